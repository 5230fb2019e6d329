//! Keys of what belongs to a model, from tensorflow_hub's names.

use crate::handle::{BucketPath, Key};
use crate::hubdir::{self, LockText};

/// Where the parts of models are.
#[derive(Debug, Clone)]
pub(super) struct BucketLayout {
    /// `gs://bucket/` or `s3://bucket/`.
    root: String,
    /// Empty, or with a slash at the end.
    prefix: String,
}

impl BucketLayout {
    pub fn new(at: &BucketPath) -> BucketLayout {
        BucketLayout {
            root: format!("{}://{}/", at.scheme().as_str(), at.bucket()),
            prefix: match at.key() {
                "" => String::new(),
                key => format!("{key}/"),
            },
        }
    }

    /// The URL of a model's directory.
    pub fn dir(&self, key: &Key) -> String {
        format!("{}{}{key}", self.root, self.prefix)
    }

    pub fn file(&self, key: &Key, name: &str) -> String {
        format!("{}{key}/{name}", self.prefix)
    }

    pub fn descriptor(&self, key: &Key) -> String {
        self.prefix.clone() + &hubdir::descriptor_name(key)
    }

    pub fn lock(&self, key: &Key) -> String {
        self.prefix.clone() + &hubdir::lock_name(key)
    }

    pub fn manifest(&self, key: &Key) -> String {
        format!("{}.tfhub-fs/v1/manifests/{key}", self.prefix)
    }

    /// The directory into which the tensorflow_hub that wrote this lock unpacks.
    pub fn staging(&self, key: &Key, lock: &LockText) -> String {
        let name = hubdir::staging_name(key, &lock.uid);
        format!("{}{}{name}", self.root, self.prefix)
    }
}

/// Whether a descriptor is about the model at `url`; `Err` says why not.
pub(super) fn check_descriptor(text: &[u8], url: &str) -> Result<(), String> {
    let text = String::from_utf8_lossy(text);
    let module = text.lines().next().unwrap_or_default();
    match module.strip_prefix("Module: ") {
        Some(module) if module == url => Ok(()),
        Some(module) => {
            let module: String = module
                .chars()
                .take(200)
                .flat_map(char::escape_debug)
                .collect();
            Err(format!("its descriptor says that it is {module}"))
        }
        None => Err(String::from("its descriptor is none")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hubdir::Descriptor;

    #[test]
    fn names_are_those_of_tensorflow_hub() {
        let key = Key::of("https://tfhub.dev/google/yamnet/1");
        for (at, dir, lock) in [
            (
                "gs://bucket/a/b",
                "gs://bucket/a/b/9616fd04ec2360621642ef9455b84f4b668e219e",
                "a/b/9616fd04ec2360621642ef9455b84f4b668e219e.lock",
            ),
            (
                "s3://bucket",
                "s3://bucket/9616fd04ec2360621642ef9455b84f4b668e219e",
                "9616fd04ec2360621642ef9455b84f4b668e219e.lock",
            ),
        ] {
            let layout = BucketLayout::new(&BucketPath::parse(at).unwrap());
            assert_eq!(
                (layout.dir(&key), layout.lock(&key)),
                (dir.into(), lock.into())
            );
        }
    }

    #[test]
    fn a_descriptor_names_its_model() {
        let url = "https://tfhub.dev/google/yamnet/1";
        let text = Descriptor::new(url, String::from("host")).to_string();
        assert_eq!(check_descriptor(text.as_bytes(), url), Ok(()));
        for odd in [
            "",
            "Module: ",
            "Module: https://tfhub.dev/google/yamnet/2\n",
            "\u{fffd}",
        ] {
            assert!(check_descriptor(odd.as_bytes(), url).is_err(), "{odd}");
        }
    }
}
