//! A base URL: the part of every request that a person configures.

use std::fmt;
use std::str::FromStr;

use super::Error;
use super::error::shown;

/// A checked `http` or `https` URL to which paths are appended: lower-case scheme and host, no
/// default port, no user part, query or fragment, no trailing slash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BaseUrl {
    text: String,
    /// Where the path begins in `text`.
    path_at: usize,
}

impl BaseUrl {
    /// The whole URL, without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// `scheme://host[:port]`.
    pub fn origin(&self) -> &str {
        &self.text[..self.path_at]
    }

    /// The path with its leading slash, or nothing.
    pub fn path(&self) -> &str {
        &self.text[self.path_at..]
    }

    /// `host` or `host:port`.
    pub fn authority(&self) -> &str {
        let origin = self.origin();
        origin.split_once("://").map_or(origin, |(_, rest)| rest)
    }

    /// Whether it is plain `http`.
    pub fn is_plain_http(&self) -> bool {
        self.text.starts_with("http://")
    }
}

impl FromStr for BaseUrl {
    type Err = Error;

    fn from_str(typed: &str) -> Result<Self, Error> {
        let wrong = |why: &str| Error::BaseUrl {
            typed: shown(typed),
            why: why.to_owned(),
        };
        // The `url` crate would also read `http:host` and `http:/host`, which are typing errors.
        if !typed.contains("://") {
            return Err(wrong("it has no `https://` or `http://`"));
        }
        let url = url::Url::parse(typed.trim()).map_err(|e| wrong(&e.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("only http and https are spoken here"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("a user name or password in a URL ends up in logs"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong(
                "paths are appended to it, so it can have no `?` and no `#`",
            ));
        }
        let origin = url.origin().ascii_serialization();
        let text = format!("{origin}{}", url.path().trim_end_matches('/'));
        Ok(Self {
            path_at: origin.len(),
            text,
        })
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_normal_in_its_origin_and_has_no_trailing_slash() {
        let url: BaseUrl = "HTTPS://Hub.Example.com:443/Models/".parse().unwrap();
        assert_eq!(url.as_str(), "https://hub.example.com/Models");
        assert_eq!(url.origin(), "https://hub.example.com");
        assert_eq!(url.authority(), "hub.example.com");
        assert_eq!(url.path(), "/Models");
        assert!(!url.is_plain_http());
        let url: BaseUrl = "http://[::1]:80/".parse().unwrap();
        assert_eq!((url.as_str(), url.path()), ("http://[::1]", ""));
        assert!(url.is_plain_http());
    }

    #[test]
    fn refuses_what_is_no_base_and_tells_no_secret() {
        for typed in [
            "tfhub.dev",
            "http:tfhub.dev",
            "ftp://tfhub.dev",
            "https://",
            "https://u:secret@tfhub.dev",
            "https://tfhub.dev/?token=secret",
            "https://tfhub.dev/#secret?",
            "https://a b/",
            "",
        ] {
            let error = typed.parse::<BaseUrl>().unwrap_err().to_string();
            assert!(error.contains("is not a base URL"), "{error}");
            assert!(
                !error.contains("=secret") && !error.contains(":secret"),
                "{error}"
            );
        }
    }
}
