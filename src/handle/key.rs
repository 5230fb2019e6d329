//! The directory name that tensorflow_hub gives a model.

use std::fmt;

use sha1::{Digest, Sha1};

/// The SHA-1 of a handle's URL, shown as 40 hex digits: the name of its directory in a cache
/// shared with tensorflow_hub (`compressed_module_resolver.py`, `_module_dir`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key([u8; 20]);

impl Key {
    /// The key of `url`, byte for byte as given.
    pub fn of(url: &str) -> Self {
        Self(Sha1::digest(url.as_bytes()).into())
    }

    /// The key that a directory is named after: 40 lower-case hex digits, nothing else.
    pub fn parse(name: &str) -> Option<Self> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let digits: &[u8; 40] = name.as_bytes().try_into().ok()?;
        let mut key = [0; 20];
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(key))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handle::Handle;

    #[test]
    fn a_directory_name_turns_back_into_its_key() {
        let key = Key::of("https://tfhub.dev/google/yamnet/1");
        assert_eq!(Key::parse(&key.to_string()), Some(key));
        for name in [
            "",
            "9616fd",
            "9616FD04ec2360621642ef9455b84f4b668e219e",
            "x616fd04ec2360621642ef9455b84f4b668e219e",
        ] {
            assert_eq!(Key::parse(name), None, "{name}");
        }
    }

    /// Directory names seen in the logs of real tensorflow_hub users.
    #[test]
    fn is_what_tensorflow_hub_computes() {
        for (key, url) in [
            (
                "9616fd04ec2360621642ef9455b84f4b668e219e",
                "https://tfhub.dev/google/yamnet/1",
            ),
            (
                "063d866c06683311b44b4992fd46003be952409c",
                "https://tfhub.dev/google/universal-sentence-encoder/4",
            ),
            (
                "1fb57c3ffe1a38479233ee9853ddd7a8ac8a8c47",
                "https://tfhub.dev/google/universal-sentence-encoder/2",
            ),
            (
                "145bb06ec3b59b08fb564ab752bd5aa222bfb50a",
                "https://tfhub.dev/google/tf2-preview/mobilenet_v2/feature_vector/4",
            ),
            (
                "d760773f85f64fc84ae0b47310f7cfe3bcec4868",
                "https://tfhub.dev/tensorflow/bert_en_uncased_L-12_H-768_A-12/4",
            ),
        ] {
            assert_eq!(Handle::parse(url).unwrap().key().to_string(), key);
            let pasted = format!("{url}/?tfhub-redirect=true#top");
            assert_eq!(Handle::parse(&pasted).unwrap().key().to_string(), key);
        }
    }
}
