//! Whether a cache entry is whole.
//!
//! The most frequent complaint about tensorflow_hub's cache: a cleaner of `/tmp` removes old files and leaves directories,
//! tensorflow_hub sees a directory that is not empty, and TensorFlow finds no model in it (tensorflow/hub#575, #646, #896).
//! What we know is compared with its manifest (`entry.rs`). Of anything else only what every SavedModel has can be asked.

use std::path::PathBuf;

use super::bundle;
use super::savedmodel;
use super::sealed::Sealed;

/// `variables.index` holds some 50 bytes a tensor: a million tensors fit. A larger one is judged by names only.
const MAX_INDEX: u64 = 64 << 20;

/// Why an entry is not whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flaw {
    #[error("{0:?} is missing or has another size than when the model was complete")]
    Lost(String),
    #[error("{0:?} has other bytes than when the model was complete")]
    Other(String),
    #[error("{0:?} does not belong to it, and cannot be removed because it goes on changing")]
    Strange(PathBuf),
    #[error(
        "it has no saved_model.pb, saved_model.pbtxt, model.json or .tflite file that is not empty"
    )]
    NoModel,
    #[error("it has no variables/variables.index, and is a model with variables")]
    NoVariablesIndex,
    #[error("its variables.index announces {0}, which is missing")]
    NoShard(String),
    #[error("{name} has {got} of the {want} bytes that its variables.index announces")]
    ShortShard { name: String, want: u64, got: u64 },
}

/// Looks for what is missing in a model that others have written, as far as one can see; `None` if it is whole. Without a
/// SavedModel in it, it is one only where `any` kind of files is.
pub(super) fn flaw(entry: &Sealed, any: bool) -> Option<Flaw> {
    let none = if any { None } else { no_model(entry) };
    none.or_else(|| no_variables(entry))
}

/// A TF1 hub module has `tfhub_module.pb` beside `saved_model.pb`, and is nothing without the latter. An empty file is what
/// a power cut leaves of one that was never synced.
fn no_model(entry: &Sealed) -> Option<Flaw> {
    let is_model = |(name, size): (&str, u64)| {
        size > 0
            && (matches!(name, "saved_model.pb" | "saved_model.pbtxt" | "model.json")
                || name.ends_with(".tflite"))
    };
    (!entry.files_in("").any(is_model)).then_some(Flaw::NoModel)
}

fn no_variables(entry: &Sealed) -> Option<Flaw> {
    let Some(size) = entry.size("variables/variables.index") else {
        let lacking = match entry.children("variables") {
            // A cleaner takes directories too.
            None => announces_variables(entry) == Some(true),
            Some(children) => !children.is_empty() || announces_variables(entry) != Some(false),
        };
        return lacking.then_some(Flaw::NoVariablesIndex);
    };
    match read_index(entry, size).and_then(|bytes| bundle::parse(&bytes)) {
        Some(shards) => lacking_shard(entry, &shards),
        None => lacking_name(entry),
    }
}

fn announces_variables(entry: &Sealed) -> Option<bool> {
    let name = "saved_model.pb";
    savedmodel::has_variables(entry.open(name).ok()?, entry.size(name)?)
}

fn read_index(entry: &Sealed, size: u64) -> Option<Vec<u8>> {
    use std::io::Read;
    if size > MAX_INDEX {
        return None;
    }
    let mut bytes = Vec::new();
    entry
        .open("variables/variables.index")
        .ok()?
        .take(MAX_INDEX)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(bytes)
}

fn lacking_shard(entry: &Sealed, shards: &bundle::Shards) -> Option<Flaw> {
    // A count from a hostile index may be astronomical; the first name that is missing ends the search.
    (0..shards.count).find_map(|number| {
        let name = shard_name(number, shards.count);
        let want = shards.extents.get(&number).copied().unwrap_or(0);
        match entry.size(&name) {
            None => Some(Flaw::NoShard(name)),
            Some(got) if got < want => Some(Flaw::ShortShard { name, want, got }),
            Some(_) => None,
        }
    })
}

/// For an index that cannot be read: the number after `-of-` in any shard's name says how many there must be.
fn lacking_name(entry: &Sealed) -> Option<Flaw> {
    let count = entry.files_in("variables").find_map(|(name, _)| {
        name.strip_prefix("variables.data-")?
            .split_once("-of-")?
            .1
            .parse()
            .ok()
    });
    let count = count.unwrap_or(1);
    lacking_shard(
        entry,
        &bundle::Shards {
            count,
            ..Default::default()
        },
    )
}

fn shard_name(number: u64, count: u64) -> String {
    format!("variables/variables.data-{number:05}-of-{count:05}")
}

#[cfg(test)]
mod tests {
    use super::bundle::tests::{REAL, table};
    use super::*;

    /// Judges an entry of these files; a name that ends with `/` is an empty directory.
    fn judge(files: &[(&str, &[u8])]) -> Option<Flaw> {
        let dir = tempfile::tempdir().unwrap();
        let entry = dir.path().join("x");
        std::fs::create_dir(&entry).unwrap();
        for (name, bytes) in files {
            let path = entry.join(name);
            if name.ends_with('/') {
                std::fs::create_dir_all(path).unwrap();
                continue;
            }
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        flaw(&Sealed::load(entry).unwrap(), false)
    }

    const PB: (&str, &[u8]) = ("saved_model.pb", b"x");
    const INDEX: &str = "variables/variables.index";
    const SHARD: &str = "variables/variables.data-00000-of-00001";

    #[test]
    fn what_makes_a_model() {
        for name in [
            "saved_model.pb",
            "saved_model.pbtxt",
            "model.json",
            "lite-model_x_1.tflite",
        ] {
            assert_eq!(judge(&[(name, b"x")]), None, "{name}");
            assert_eq!(
                judge(&[(name, b"")]),
                Some(Flaw::NoModel),
                "{name} is empty"
            );
        }
        assert_eq!(judge(&[("tfhub_module.pb", b"\x08\x03"), PB]), None);
        for names in [
            vec![],
            vec!["assets/"],
            vec!["README.md"],
            vec!["sub/saved_model.pb"],
            vec!["tfhub_module.pb"],
        ] {
            let files: Vec<(&str, &[u8])> =
                names.iter().map(|name| (*name, b"x" as &[u8])).collect();
            assert_eq!(judge(&files), Some(Flaw::NoModel), "{names:?}");
        }
    }

    #[test]
    fn variables_need_their_index_and_every_shard() {
        assert_eq!(
            judge(&[PB, ("variables/", b"")]),
            Some(Flaw::NoVariablesIndex)
        );
        assert_eq!(judge(&[PB, (SHARD, b"x")]), Some(Flaw::NoVariablesIndex));
        assert_eq!(
            judge(&[PB, (INDEX, REAL)]),
            Some(Flaw::NoShard(SHARD.into()))
        );
        assert_eq!(judge(&[PB, (INDEX, REAL), (SHARD, &[0; 44])]), None);
        let short = Flaw::ShortShard {
            name: SHARD.into(),
            want: 44,
            got: 43,
        };
        assert_eq!(judge(&[PB, (INDEX, REAL), (SHARD, &[0; 43])]), Some(short));
    }

    #[test]
    fn a_graph_without_variables_has_an_empty_directory_for_them() {
        use super::savedmodel::tests::{WITH, WITHOUT};
        let name = "saved_model.pb";
        assert_eq!(judge(&[(name, WITHOUT), ("variables/", b"")]), None);
        assert_eq!(
            judge(&[(name, WITH), ("variables/", b"")]),
            Some(Flaw::NoVariablesIndex)
        );
        assert_eq!(
            judge(&[(name, WITHOUT), (SHARD, b"x")]),
            Some(Flaw::NoVariablesIndex)
        );
        assert_eq!(judge(&[(name, WITHOUT)]), None);
        assert_eq!(judge(&[(name, WITH)]), Some(Flaw::NoVariablesIndex));
    }

    #[test]
    fn many_shards() {
        let index = table(2, 3);
        let (first, second) = (
            "variables/variables.data-00000-of-00002",
            "variables/variables.data-00001-of-00002",
        );
        assert_eq!(
            judge(&[PB, (INDEX, &index), (first, b"123"), (second, b"123")]),
            None
        );
        assert_eq!(
            judge(&[PB, (INDEX, &index), (first, b"123")]),
            Some(Flaw::NoShard(second.into()))
        );
    }

    #[test]
    fn an_unreadable_index_leaves_the_names_to_judge_by() {
        let odd: &[u8] = b"not a table";
        let (first, third) = (
            "variables/variables.data-00000-of-00003",
            "variables/variables.data-00002-of-00003",
        );
        let second = "variables/variables.data-00001-of-00003";
        assert_eq!(
            judge(&[PB, (INDEX, odd), (first, b""), (second, b""), (third, b"")]),
            None
        );
        assert_eq!(
            judge(&[PB, (INDEX, odd), (first, b""), (third, b"")]),
            Some(Flaw::NoShard(second.into()))
        );
        assert_eq!(
            judge(&[PB, (INDEX, odd)]),
            Some(Flaw::NoShard(SHARD.into()))
        );
        let endless = "variables/variables.data-00000-of-18446744073709551615";
        assert!(matches!(
            judge(&[PB, (INDEX, odd), (endless, b"")]),
            Some(Flaw::NoShard(_))
        ));
    }
}
