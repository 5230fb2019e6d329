//! Buckets: `gs://bucket/key` and `s3://bucket/key`.
//!
//! Below a bucket nothing is a root except an archive: `gs:/bucket/any/dir` is a directory or an object, and only the bucket
//! can say which. Every character that a file name may have can be in a key, so no query is cut off.

use std::fmt;

use super::rules::Reading;
use super::{BadName, HandleError, Scheme, words};

/// Bucket names are 3 to 63 characters, with dots up to 222 (cloud.google.com/storage/docs/buckets; S3's are stricter).
const NAME: std::ops::RangeInclusive<usize> = 3..=222;

/// A bucket, or a path in one: what a directory or an object is called.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BucketPath {
    scheme: Scheme,
    bucket: String,
    key: String,
}

impl BucketPath {
    /// Reads `gs://bucket/key` or `s3://bucket/key`, with or without a slash at the end.
    ///
    /// # Errors
    ///
    /// Another scheme, no bucket's name, a key that cannot be a path (`a//b`, `..`, control characters).
    pub fn parse(url: &str) -> Result<BucketPath, HandleError> {
        let typed = || super::parse::shown(url);
        let scheme = [Scheme::Gs, Scheme::S3]
            .into_iter()
            .find(|scheme| url.starts_with(&format!("{}://", scheme.as_str())));
        let (Some(scheme), Some((_, rest))) = (scheme, url.split_once("://")) else {
            return Err(HandleError::Scheme {
                typed: typed(),
                scheme: url.split("://").next().unwrap_or_default().to_owned(),
            });
        };
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if !is_name(bucket) {
            return Err(HandleError::Bucket { typed: typed() });
        }
        let key = key.trim_end_matches('/');
        let components = key.split('/').filter(|_| !key.is_empty());
        for name in components {
            words::check_object(name).map_err(|why| HandleError::Name {
                typed: typed(),
                why,
            })?;
        }
        Ok(BucketPath::of_checked(scheme, bucket, key.to_owned()))
    }

    pub(super) fn of_checked(scheme: Scheme, bucket: &str, key: String) -> BucketPath {
        BucketPath {
            scheme,
            bucket: bucket.to_owned(),
            key,
        }
    }

    /// Whose bucket it is.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The bucket's name.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The path in the bucket, without slashes at the ends; empty for the bucket itself.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The directory and the name in it; `None` for the bucket itself.
    pub fn split(&self) -> Option<(BucketPath, &str)> {
        let (parent, name) = match self.key.rsplit_once('/') {
            Some(split) => split,
            None if self.key.is_empty() => return None,
            None => ("", self.key.as_str()),
        };
        let parent = BucketPath::of_checked(self.scheme, &self.bucket, parent.to_owned());
        Some((parent, name))
    }

    /// The path of `name` in this directory.
    ///
    /// # Errors
    ///
    /// It is no file's name.
    pub fn join(&self, name: &str) -> Result<BucketPath, BadName> {
        words::check_object(name)?;
        let key = match self.key.as_str() {
            "" => name.to_owned(),
            key => format!("{key}/{name}"),
        };
        Ok(BucketPath::of_checked(self.scheme, &self.bucket, key))
    }
}

impl fmt::Display for BucketPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.bucket)?;
        if self.key.is_empty() {
            return Ok(());
        }
        write!(f, "/{}", self.key)
    }
}

/// Whether `name` can be a bucket's.
pub(super) fn is_name(name: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    NAME.contains(&name.len())
        && ends
            .iter()
            .all(|end| end.is_some_and(|end| alphanumeric(*end)))
        && bytes
            .iter()
            .all(|byte| alphanumeric(*byte) || b"-_.".contains(byte))
        && !name.contains("..")
}

/// What the components below a bucket are: inside an archive, or `None` for what only the bucket can say.
pub(super) fn read(components: &[&str]) -> Result<Option<Reading>, BadName> {
    for (index, name) in components.iter().enumerate() {
        words::check_object(name)?;
        if words::is_archive(name) {
            let end = index + 1;
            return Ok(Some(Reading::Root { end, certain: true }));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_apart_and_put_together() {
        let path = BucketPath::parse("gs://bucket/a/b?c#d/").unwrap();
        assert_eq!((path.bucket(), path.key()), ("bucket", "a/b?c#d"));
        assert_eq!(path.to_string(), "gs://bucket/a/b?c#d");
        let (parent, name) = path.split().unwrap();
        assert_eq!(
            (parent.to_string().as_str(), name),
            ("gs://bucket/a", "b?c#d")
        );
        assert_eq!(parent.join(name).unwrap(), path);
        let (root, name) = parent.split().unwrap();
        assert_eq!((root.to_string().as_str(), name), ("gs://bucket", "a"));
        assert_eq!(root.split(), None);
        assert_eq!(
            BucketPath::parse("s3://bucket").unwrap().to_string(),
            "s3://bucket"
        );
    }

    #[test]
    fn what_is_no_path_in_a_bucket_is_refused() {
        for url in [
            "https://bucket/a",
            "gs:/bucket",
            "gs://",
            "gs://ab",
            "gs://Bucket/a",
            "gs://-bucket/a",
            "gs://bu..cket/a",
            "gs://user@bucket/a",
            "gs://bucket//a",
            "gs://bucket/a/../b",
            "gs://bucket/a/./b",
            "gs://bucket/a\nb",
        ] {
            assert!(BucketPath::parse(url).is_err(), "{url:?}");
        }
        let root = BucketPath::parse("gs://bucket").unwrap();
        for name in ["", ".", "..", "a/b", "a\u{7f}", &"a".repeat(256)] {
            assert!(root.join(name).is_err(), "{name:?}");
        }
    }
}
