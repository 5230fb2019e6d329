//! What can be wrong with a setting, said to the person who typed it.

use super::Origin;

/// A setting that cannot be used: what was typed, why not, and what to type instead.
///
/// A URL is shown without its query and without its user part, which may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A base URL (`--hub-url`, `--kaggle-url`, the right side of `--mirror`) that is none.
    #[error(
        "`{typed}` is not a base URL: {why}; type a scheme, a host and perhaps a path, like `https://hub.example.com/models`"
    )]
    BaseUrl {
        /// What was typed, without query and user part.
        typed: String,
        /// What is wrong with it.
        why: String,
    },
    /// A `--mirror` whose halves do not fit.
    #[error(
        "`{typed}` is not a mirror: {why}; type `HOST=URL`, like `https://tfhub.dev=http://127.0.0.1:8080`"
    )]
    Mirror {
        /// What was typed, without query and user part.
        typed: String,
        /// What is wrong with it.
        why: String,
    },
    /// An `--allow-http` that is no host.
    #[error(
        "`{typed}` is not a host: {why}; type `--allow-http HOST`, or HOST:PORT for one port alone"
    )]
    HttpHost {
        /// What was typed, without query and user part.
        typed: String,
        /// What is wrong with it.
        why: String,
    },
    /// Credentials that no request can carry; they are not shown.
    #[error(
        "{origin} holds no Kaggle credentials: they are visible ASCII characters without spaces, and a user name has no `:`; set it anew, or unset it for public models"
    )]
    KaggleCredentials {
        /// Where they were given.
        origin: Origin,
    },
    /// A size, rate or duration that is none.
    #[error("`{typed}` is not a {what}: {why}; type {like}")]
    Value {
        /// What it should be.
        what: &'static str,
        /// What was typed.
        typed: String,
        /// What is wrong with it.
        why: &'static str,
        /// What to type instead.
        like: &'static str,
    },
    /// A load format that nobody knows.
    #[error(
        "`{typed}` ({origin}) is not a load format; the formats are auto, compressed, uncompressed"
    )]
    LoadFormat {
        /// What was typed.
        typed: String,
        /// Where.
        origin: Origin,
    },
    /// A load format that tensorflow_hub would not know, for its lack of capitals.
    #[error(
        "TFHUB_MODEL_LOAD_FORMAT is `{typed}`, which tensorflow_hub does not know: it reads capitals only; set it to `{capitals}`, or use --load-format, which takes any case"
    )]
    LoadFormatCase {
        /// What was typed.
        typed: String,
        /// The same in capitals.
        capitals: String,
    },
    /// A shared cache that is in no bucket.
    #[error(
        "`{typed}` ({origin}) is no shared cache: {why}; type a bucket and a prefix, like `gs://my-bucket/tfhub-modules-cache` or `s3://my-bucket/models`"
    )]
    SharedCache {
        /// What was typed.
        typed: String,
        /// What is wrong with it.
        why: String,
        /// Where it was typed.
        origin: Origin,
    },
    /// A cache directory at an address that is no bucket's.
    #[error(
        "{origin} names a cache at a `{scheme}://` address, and a cache is a local directory, like `--cache-dir /var/cache/tfhub-fs`, or in a bucket, `gs://` or `s3://`"
    )]
    RemoteCacheDir {
        /// The scheme before `://`.
        scheme: String,
        /// Where it was typed.
        origin: Origin,
    },
    /// A cache directory without a name.
    #[error("{origin} is empty; type the path of a directory, or leave it out for the default")]
    EmptyCacheDir {
        /// Where it was typed.
        origin: Origin,
    },
}

impl Error {
    pub(super) fn value(
        what: &'static str,
        typed: &str,
        why: &'static str,
        like: &'static str,
    ) -> Self {
        Error::Value {
            what,
            typed: typed.escape_debug().to_string(),
            why,
            like,
        }
    }
}

/// `text` as it may be shown: without what follows a `?` and without a user part, no control characters.
pub(crate) fn shown(text: &str) -> String {
    let bare = text.find(['?', '#']).map_or(text, |end| &text[..end]);
    let cut = if bare.len() == text.len() { "" } else { "?..." };
    // In a mistyped URL the user part may be anywhere, so nothing before an `@` is shown.
    let without_user = |part: &str| match part.rsplit_once('@') {
        Some((_, rest)) => format!("...@{rest}"),
        None => part.to_owned(),
    };
    let parts: Vec<String> = bare.split('/').map(without_user).collect();
    format!("{}{cut}", parts.join("/").escape_debug())
}
