//! Names of what lies beside a model's directory, all relative to the cache directory.

use crate::handle::Key;

use super::lock::is_uid;

/// `<sha1>.descriptor.txt`.
pub fn descriptor_name(key: &Key) -> String {
    format!("{key}.descriptor.txt")
}

/// `<sha1>.lock`.
pub fn lock_name(key: &Key) -> String {
    format!("{key}.lock")
}

/// `<sha1>.<uid>.tmp`, the directory that the holder of the lock with this `uid` unpacks into.
pub fn staging_name(key: &Key, uid: &str) -> String {
    format!("{key}.{uid}.tmp")
}

/// The key and the uid of a staging directory's name; `None` if it is another name.
pub fn parse_staging_name(name: &str) -> Option<(Key, &str)> {
    let (key, uid) = name.strip_suffix(".tmp")?.split_once('.')?;
    is_uid(uid).then_some((Key::parse(key)?, uid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn staging_names_are_parsed_back() {
        let (key, uid) = (Key::of("https://tfhub.dev/google/yamnet/1"), "0".repeat(32));
        let name = staging_name(&key, &uid);
        assert_eq!(
            name,
            format!("9616fd04ec2360621642ef9455b84f4b668e219e.{uid}.tmp")
        );
        assert_eq!(parse_staging_name(&name), Some((key, &*uid)));
        for other in [
            lock_name(&key),
            descriptor_name(&key),
            format!("{key}.x.tmp"),
            format!("{key}..tmp"),
            format!("x.{uid}.tmp"),
        ] {
            assert_eq!(parse_staging_name(&other), None, "{other}");
        }
    }
}
