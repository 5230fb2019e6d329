//! What can be wrong with a setting, said to the person who typed it.

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
}

/// `text` as it may be shown: without what follows a `?` and without a user part, no control characters.
pub(super) fn shown(text: &str) -> String {
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
