//! Mirrors: another place for the bytes of a host, under the same names.

use std::fmt;
use std::str::FromStr;

use super::error::shown;
use super::{BaseUrl, Error};

/// `from=to`: what is asked of the host `from` is fetched from `to` instead.
///
/// A mirror changes where bytes come from and nothing else; handles, paths and cache keys keep
/// the mirrored host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mirror {
    /// The mirrored origin: lower-case `scheme://host[:port]`, without a default port.
    pub from: String,
    /// The base URL asked instead, without a trailing slash.
    pub to: String,
}

impl Mirror {
    /// The mirrors that `--kaggle-url` stands for: Kaggle answers at both of its names.
    pub fn of_kaggle(to: &BaseUrl) -> [Self; 2] {
        ["https://www.kaggle.com", "https://kaggle.com"].map(|from| Self {
            from: from.to_owned(),
            to: to.as_str().to_owned(),
        })
    }

    /// The URL to ask instead of `url`, or `None` if this mirror does not concern it.
    ///
    /// Everything after the authority is kept byte for byte: signed URLs break when a proxy
    /// normalises them.
    pub fn apply(&self, url: &str) -> Option<String> {
        let (scheme, rest) = url.split_once("://")?;
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let scheme = scheme.to_ascii_lowercase();
        let authority = authority.to_ascii_lowercase();
        let authority = match scheme.as_str() {
            "https" => authority.strip_suffix(":443"),
            "http" => authority.strip_suffix(":80"),
            _ => None,
        }
        .unwrap_or(&authority);
        let (from_scheme, from_authority) = self.from.split_once("://")?;
        (scheme == from_scheme && authority == from_authority).then(|| format!("{}{rest}", self.to))
    }
}

impl FromStr for Mirror {
    type Err = Error;

    /// Reads `https://tfhub.dev=http://127.0.0.1:8080/prefix`; a left side without a scheme
    /// means https.
    fn from_str(typed: &str) -> Result<Self, Error> {
        let wrong = |why: String| Error::Mirror {
            typed: typed.split_once('=').map_or_else(
                || shown(typed),
                |(from, to)| format!("{}={}", shown(from), shown(to)),
            ),
            why,
        };
        let because = |side: &str, error: Error| match error {
            Error::BaseUrl { why, .. } => wrong(format!("on its {side} side, {why}")),
            other => other,
        };
        let (from, to) = typed
            .split_once('=')
            .ok_or_else(|| wrong("it has no `=`".to_owned()))?;
        let from = if from.contains("://") {
            from.parse::<BaseUrl>()
        } else {
            format!("https://{from}").parse::<BaseUrl>()
        }
        .map_err(|e| because("left", e))?;
        if !from.path().is_empty() {
            return Err(wrong(format!(
                "its left side names a whole host, so the path `{}` cannot be there",
                from.path()
            )));
        }
        let to = to.parse::<BaseUrl>().map_err(|e| because("right", e))?;
        if to.origin() == from.origin() && to.path().is_empty() {
            return Err(wrong("both sides are the same host".to_owned()));
        }
        Ok(Self {
            from: from.as_str().to_owned(),
            to: to.as_str().to_owned(),
        })
    }
}

impl fmt::Display for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.from, self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirror(text: &str) -> Mirror {
        text.parse().unwrap()
    }

    #[test]
    fn keeps_the_rest_of_the_url_byte_for_byte() {
        let m = mirror("https://tfhub.dev=http://127.0.0.1:8080/prefix/");
        for rest in [
            "",
            "/",
            "/google/x/1",
            "?a=b",
            "/a%2fb//c/../d?x=%2F+y&z#f",
            "#f",
        ] {
            assert_eq!(
                m.apply(&format!("https://tfhub.dev{rest}")),
                Some(format!("http://127.0.0.1:8080/prefix{rest}"))
            );
        }
    }

    #[test]
    fn concerns_one_origin_however_it_is_spelled() {
        let m = mirror("TFHUB.dev=http://127.0.0.1:8080");
        assert_eq!(m.from, "https://tfhub.dev");
        assert!(m.apply("HTTPS://TfHub.dev:443/x").is_some());
        for other in [
            "http://tfhub.dev/x",
            "https://tfhub.dev.evil.org/x",
            "https://tfhub.dev:8443/x",
            "https://tfhub.dev@evil.org/x",
            "https://user@tfhub.dev/x",
            "tfhub.dev/x",
        ] {
            assert_eq!(m.apply(other), None, "{other}");
        }
        let m = mirror("http://127.0.0.1:8080=https://hub.example.com");
        assert!(m.apply("http://127.0.0.1:8080/x").is_some());
        assert_eq!(m.apply("http://127.0.0.1:80/x"), None);
    }

    #[test]
    fn kaggle_is_mirrored_at_both_of_its_names() {
        let mirrors = Mirror::of_kaggle(&"http://127.0.0.1:7777/".parse().unwrap());
        for url in [
            "https://www.kaggle.com/models/a",
            "https://kaggle.com/models/a",
        ] {
            let to: Vec<_> = mirrors.iter().filter_map(|m| m.apply(url)).collect();
            assert_eq!(to, ["http://127.0.0.1:7777/models/a"]);
        }
    }

    #[test]
    fn says_which_half_is_wrong() {
        for (typed, part) in [
            ("https://tfhub.dev", "no `=`"),
            (
                "https://tfhub.dev/google=http://a.example",
                "path `/google`",
            ),
            ("tfhub.dev=a.example", "right side"),
            ("ftp://tfhub.dev=https://a.example", "left side"),
            ("=https://a.example", "left side"),
            ("tfhub.dev=https://tfhub.dev/", "same host"),
            ("tfhub.dev=https://u:secret@a.example", "password"),
            ("tfhub.dev=https://a.example/?k=secret", "no `?`"),
        ] {
            let error = typed.parse::<Mirror>().unwrap_err().to_string();
            assert!(
                error.contains(part) && error.contains("HOST=URL"),
                "{error}"
            );
            assert!(
                !error.contains("=secret") && !error.contains(":secret"),
                "{error}"
            );
        }
    }

    #[test]
    fn shows_what_was_typed() {
        let m = mirror("tfhub.dev=http://127.0.0.1:8080/a/");
        assert_eq!(m.to_string(), "https://tfhub.dev=http://127.0.0.1:8080/a");
        assert_eq!(mirror(&m.to_string()), m);
    }
}
