//! URLs as they may be shown: in messages, logs, `status` and extended attributes.
//!
//! A signed URL is a password for as long as it lives, and which query key carries the secret depends on who signed
//! (Google V2 and V4, Azure, CloudFront, ...). So the rule is the other way round: scheme, host, path and query
//! *keys* are shown, a *value* only if its key is known to be harmless.

use std::borrow::Cow;
use std::fmt::Write;

/// Keys whose values say what was asked for and open nothing. `tf-hub-format` and its kin: the hosting protocol;
/// `alt`, `generation`: Google Cloud Storage.
const HARMLESS: [&str; 6] = [
    "tf-hub-format",
    "tfhub-redirect",
    "lite-format",
    "tfjs-format",
    "alt",
    "generation",
];

/// Longest URL that is shown whole. A hostile redirect may be 64 KiB long; a log line should not be.
const MAX_SHOWN: usize = 1024;

const REDACTED: &str = "REDACTED";

/// `url` without its secrets: user information and the values of all query keys not known to be harmless are
/// replaced by `REDACTED`, the fragment is dropped, control characters are escaped. Takes any text, never fails.
pub fn redacted(url: &str) -> String {
    let url = url.split('#').next().unwrap_or_default();
    let (address, query) = match url.split_once('?') {
        Some((address, query)) => (address, Some(query)),
        None => (url, None),
    };
    let mut shown = printable(&without_userinfo(address)).into_owned();
    if let Some(query) = query {
        for (index, pair) in query.split('&').enumerate() {
            let separator = if index == 0 { '?' } else { '&' };
            let _ = write!(shown, "{separator}{}", redacted_pair(pair));
        }
    }
    shorten(shown)
}

fn redacted_pair(pair: &str) -> Cow<'_, str> {
    match pair.split_once('=') {
        Some((key, _)) if HARMLESS.contains(&key) => printable(pair),
        Some((key, _)) => Cow::Owned(format!("{}={REDACTED}", printable(key))),
        // A lone word may be a token as well as a flag.
        None if pair.is_empty() || HARMLESS.contains(&pair) => Cow::Borrowed(pair),
        None => Cow::Borrowed(REDACTED),
    }
}

fn without_userinfo(address: &str) -> Cow<'_, str> {
    let start = address.find("//").map_or(0, |at| at + 2);
    let end = address[start..]
        .find(['/', '\\'])
        .map_or(address.len(), |at| start + at);
    match address[start..end].rfind('@') {
        Some(at) => Cow::Owned(format!(
            "{}{REDACTED}{}",
            &address[..start],
            &address[start + at..]
        )),
        None => Cow::Borrowed(address),
    }
}

/// `text` with control characters escaped, so that a header cannot write lines of its own into a log.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        Cow::Owned(text.chars().flat_map(char::escape_default).collect())
    } else {
        Cow::Borrowed(text)
    }
}

fn shorten(mut shown: String) -> String {
    if shown.len() > MAX_SHOWN {
        let end = (0..=MAX_SHOWN).rfind(|&at| shown.is_char_boundary(at));
        shown.truncate(end.unwrap_or(0));
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::redacted;

    #[test]
    fn values_are_hidden_unless_known_to_be_harmless() {
        for (url, shown) in [
            (
                "https://tfhub.dev/google/nnlm/2",
                "https://tfhub.dev/google/nnlm/2",
            ),
            (
                "https://h/m/1?tf-hub-format=compressed&tfhub-redirect=true",
                "https://h/m/1?tf-hub-format=compressed&tfhub-redirect=true",
            ),
            (
                "https://storage.googleapis.com/b/o?X-Goog-Date=20240101T000000Z&X-Goog-Signature=abc=&x=#f",
                "https://storage.googleapis.com/b/o?X-Goog-Date=REDACTED&X-Goog-Signature=REDACTED&x=REDACTED",
            ),
            ("https://h/?s3cret", "https://h/?REDACTED"),
            ("https://h/?", "https://h/?"),
            ("https://user:pass@h/x", "https://REDACTED@h/x"),
            ("https://u@v@h", "https://REDACTED@h"),
            ("//user:pass@h/x?y=z", "//REDACTED@h/x?y=REDACTED"),
            ("https://h/@x", "https://h/@x"),
            ("https://h/a\nb", "https://h/a\\nb"),
        ] {
            assert_eq!(redacted(url), shown, "{url}");
        }
    }

    #[test]
    fn a_long_url_is_cut() {
        let shown = redacted(&format!("https://h/{}", "ü".repeat(40_000)));
        assert!(shown.len() < 1100 && shown.ends_with("..."), "{shown}");
    }

    proptest::proptest! {
        #[test]
        fn a_secret_never_shows(key in "[a-zA-Z-]{0,12}", before in "(/[a-z]{0,5}){0,3}") {
            let shown = redacted(&format!("https://me:S3CR3T@host{before}?{key}=S3CR3T&S3CR3T"));
            let harmless = super::HARMLESS.contains(&key.as_str());
            proptest::prop_assert!(harmless || !shown.contains("S3CR3T"), "{}", shown);
        }
    }
}
