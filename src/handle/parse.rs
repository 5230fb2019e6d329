//! A handle: the URL of a model, checked once.

use std::fmt;
use std::hash::{Hash, Hasher};

use super::{BadHost, BucketPath, HandleError, Key, host, kaggle, words};

/// How a handle's host is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `https://`
    Https,
    /// `http://`, to hosts that are allowed it.
    Http,
    /// `gs://`, a bucket of Google Cloud Storage in the place of the host.
    Gs,
    /// `s3://`, a bucket of S3 in the place of the host.
    S3,
}

impl Scheme {
    /// The word before `://`.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Https => "https",
            Scheme::Http => "http",
            Scheme::Gs => "gs",
            Scheme::S3 => "s3",
        }
    }

    /// The port that is meant when none is named.
    pub(super) fn default_port(self) -> u16 {
        match self {
            Scheme::Https | Scheme::Gs | Scheme::S3 => 443,
            Scheme::Http => 80,
        }
    }

    /// Whether it names a bucket and not a host.
    pub fn is_bucket(self) -> bool {
        matches!(self, Scheme::Gs | Scheme::S3)
    }
}

/// The URL of a model: scheme and host in lower case, path as typed, no trailing slash.
///
/// Without the query, which is no part of the name: URLs that differ only in it are one model with one directory.
#[derive(Debug, Clone)]
pub struct Handle {
    scheme: Scheme,
    authority: String,
    path: String,
}

impl Handle {
    /// Reads a full URL as tensorflow_hub accepts it. A trailing slash and a fragment are dropped,
    /// surrounding white space is ignored, the query is dropped after a look at its characters.
    pub fn parse(text: &str) -> Result<Handle, HandleError> {
        if let Some(url) = bucket_url(text) {
            let path = BucketPath::parse(&url)?;
            return match path.key() {
                "" => Err(HandleError::NoPath { typed: shown(text) }),
                _ => Ok(Handle::of_object(&path)),
            };
        }
        let parts = UrlParts::split(text)?;
        let typed = || shown(text);
        let path = parts.path.trim_end_matches('/');
        if path.is_empty() {
            return Err(HandleError::NoPath { typed: typed() });
        }
        for name in path.split('/') {
            words::check(name).map_err(|why| HandleError::Name {
                typed: typed(),
                why,
            })?;
        }
        if let Some(bad) = parts.query.chars().find(|c| !c.is_ascii_graphic()) {
            return Err(HandleError::Query {
                typed: typed(),
                bad,
            });
        }
        let handle = Handle {
            scheme: parts.scheme,
            authority: parts.authority,
            path: path.to_owned(),
        };
        if kaggle::is_host(&handle.authority) && !kaggle::is_model(&handle.components()) {
            return Err(HandleError::Kaggle { typed: typed() });
        }
        Ok(handle)
    }

    /// The handle of a path in a bucket.
    pub fn of_object(path: &BucketPath) -> Handle {
        Handle {
            scheme: path.scheme(),
            authority: path.bucket().to_owned(),
            path: path.key().to_owned(),
        }
    }

    /// The path in a bucket that this is; `None` for a handle with a host.
    pub fn bucket(&self) -> Option<BucketPath> {
        let is_bucket = self.scheme.is_bucket();
        is_bucket.then(|| BucketPath::of_checked(self.scheme, &self.authority, self.path.clone()))
    }

    /// A handle of parts that were checked before.
    pub(super) fn of_checked(scheme: Scheme, authority: &str, components: &[&str]) -> Handle {
        Handle {
            scheme,
            authority: authority.to_owned(),
            path: components.join("/"),
        }
    }

    /// The same host with another path, made of checked components.
    pub(super) fn with_path(&self, path: String) -> Handle {
        Handle {
            path,
            ..self.clone()
        }
    }

    /// The canonical URL: `scheme://authority/path`, no query, no trailing slash.
    pub fn url(&self) -> String {
        format!(
            "{}://{}/{}",
            self.scheme.as_str(),
            self.authority,
            self.path
        )
    }

    /// The name of the model's directory in tensorflow_hub's cache.
    pub fn key(&self) -> Key {
        Key::of(&self.url())
    }

    /// `host` or `host:port` in lower case, without a default port.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// How the host is spoken to.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The path without its leading slash.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path's components; at least one.
    pub(super) fn components(&self) -> Vec<&str> {
        self.path.split('/').collect()
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url())
    }
}

impl PartialEq for Handle {
    fn eq(&self, other: &Self) -> bool {
        (self.scheme, &self.authority, &self.path) == (other.scheme, &other.authority, &other.path)
    }
}

impl Eq for Handle {}

impl Hash for Handle {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.scheme, &self.authority, &self.path).hash(state);
    }
}

/// A URL taken apart, its host checked and its path not.
pub(super) struct UrlParts<'a> {
    pub(super) scheme: Scheme,
    pub(super) authority: String,
    /// Without the leading slash.
    pub(super) path: &'a str,
    pub(super) query: &'a str,
}

impl<'a> UrlParts<'a> {
    pub(super) fn split(text: &'a str) -> Result<Self, HandleError> {
        let text = text.trim();
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(HandleError::NoScheme {
                typed: shown(text),
                hint: shown(&probably_meant(text)),
            });
        };
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            _ => {
                return Err(HandleError::Scheme {
                    typed: shown(text),
                    scheme: scheme.to_ascii_lowercase().escape_debug().to_string(),
                });
            }
        };
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if let Some((_, host)) = authority.rsplit_once('@') {
            return Err(HandleError::UserPart {
                host: host.escape_debug().to_string(),
            });
        }
        let authority =
            host::canonical(authority, scheme).map_err(|why: BadHost| HandleError::Host {
                typed: shown(text),
                host: authority.escape_debug().to_string(),
                why,
            })?;
        Ok(Self {
            scheme,
            authority,
            path,
            query,
        })
    }
}

/// A `gs://` or `s3://` URL, its scheme in lower case.
fn bucket_url(text: &str) -> Option<String> {
    let (scheme, rest) = text.trim().split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    matches!(scheme.as_str(), "gs" | "s3").then(|| format!("{scheme}://{rest}"))
}

/// The URL that a text without a scheme was probably short for.
fn probably_meant(text: &str) -> String {
    for scheme in ["https:/", "http:/", "gs:/", "s3:/"] {
        if let Some(rest) = text.strip_prefix(scheme) {
            return format!("{scheme}/{rest}");
        }
    }
    let text = text.trim_start_matches('/');
    let first = text.split('/').next().unwrap_or_default();
    if host::looks_like_one(first) {
        format!("https://{text}")
    } else {
        format!("https://tfhub.dev/{text}")
    }
}

/// `text` as a message may show it: no query, no user part, no control characters.
pub(super) fn shown(text: &str) -> String {
    crate::config::shown(text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pasted_urls_become_one_handle() {
        let plain = Handle::parse("https://tfhub.dev/google/LaBSE/2").unwrap();
        for typed in [
            " https://tfhub.dev/google/LaBSE/2/\n",
            "HTTPS://TFHUB.dev:443/google/LaBSE/2//",
            "https://tfhub.dev/google/LaBSE/2?tfhub-redirect=true&x=%2F+y#top",
            "https://tfhub.dev/google/LaBSE/2?",
            "https://tfhub.dev/google/LaBSE/2#a?b",
        ] {
            let handle = Handle::parse(typed).unwrap();
            assert_eq!(handle, plain, "{typed}");
            assert_eq!(handle.to_string(), "https://tfhub.dev/google/LaBSE/2");
            assert_eq!(handle.key(), plain.key());
        }
        let other = Handle::parse("https://tfhub.dev/google/labse/2").unwrap();
        assert_ne!(other, plain, "a path's case counts");
        assert_ne!(
            Handle::parse("http://tfhub.dev/google/LaBSE/2").unwrap(),
            plain
        );
    }

    #[test]
    fn its_parts_can_be_had() {
        let handle = Handle::parse("http://LocalHost:8501/a/b/1").unwrap();
        assert_eq!(handle.scheme(), Scheme::Http);
        assert_eq!(handle.authority(), "localhost:8501");
        assert_eq!(handle.path(), "a/b/1");
    }
}
