//! The names that TensorFlow gives the files of a SavedModel.

/// The names that TensorFlow takes for a SavedModel's graph, any one of which is enough.
pub const GRAPHS: [&str; 3] = ["saved_model.pb", "saved_model.pbtxt", "saved_model.cpb"];

/// The checkpoint's index.
pub const INDEX: &str = "variables/variables.index";

const SHARD: &str = "variables/variables.data-";

/// Whether `name` is that of a data shard of the checkpoint.
pub fn is_shard(name: &str) -> bool {
    name.starts_with(SHARD)
}

/// The data shard `number`, from 0 on, of `count`.
pub fn shard_name(number: u64, count: u64) -> String {
    format!("{SHARD}{number:05}-of-{count:05}")
}

/// Which of how many data shards a name is; `None` for other names.
pub fn parse_shard(name: &str) -> Option<(u64, u64)> {
    let (number, count) = name.strip_prefix(SHARD)?.split_once("-of-")?;
    let (number, count) = (number.parse().ok()?, count.parse().ok()?);
    (number < count).then_some((number, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shard_names_are_parsed_back() {
        let name = "variables/variables.data-00001-of-00003";
        assert_eq!(shard_name(1, 3), name);
        assert_eq!(parse_shard(name), Some((1, 3)));
        assert!(is_shard(name) && !is_shard(INDEX));
        for other in [
            INDEX,
            "variables/variables.data-00003-of-00003",
            "variables/variables.data-x-of-00003",
            "variables.data-00001-of-00003",
        ] {
            assert_eq!(parse_shard(other), None, "{other}");
        }
    }
}
