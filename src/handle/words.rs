//! Components: which words can be part of a handle, and which of them end one.

use super::BadName;

/// No common file system allows a longer name.
pub(super) const MAX_NAME: usize = 255;

/// What may stand in a URL path besides letters, digits and `%` (RFC 3986, `pchar`).
const MARKS: &[u8] = b"-._~!$&'()*+,;=:@";

/// Endings of a handle that is an archive.
const ARCHIVES: [&str; 7] = [
    ".tar.gz", ".tgz", ".tar", ".tar.bz2", ".tbz2", ".tar.xz", ".txz",
];

/// Files of models, and files that programs look for in every directory. None of their endings
/// is a top-level domain, so no host is lost.
const FILES: [&str; 7] = [
    "saved_model.pb",
    "model.json",
    "autorun.inf",
    "desktop.ini",
    "thumbs.db",
    "lost+found",
    "__pycache__",
];
const FILE_ENDINGS: [&str; 9] = [
    ".pb",
    ".pbtxt",
    ".index",
    ".tflite",
    ".h5",
    ".descriptor.txt",
    ".lock",
    ".tmp",
    ".pyc",
];

/// The word for "the newest version" below an unversioned model.
pub(super) const LATEST: &str = "latest";

/// Directories in which tfhub.dev keeps other formats of a model, with numbers in the middle of a handle.
pub(super) const FORMATS: [&str; 2] = ["tfjs-model", "lite-model"];

/// Whether `name` can be a component of any path at all.
pub(super) fn check_fit(name: &str) -> Result<(), BadName> {
    match name {
        "" => Err(BadName::Empty),
        "." | ".." => Err(BadName::Dots(name.to_owned())),
        _ if name.contains(['/', '\0']) => Err(BadName::Unfit),
        _ => Ok(()),
    }
}

/// Whether `name` can be a component of an object's key that is shown as a path.
pub(super) fn check_object(name: &str) -> Result<(), BadName> {
    check_fit(name)?;
    if name.len() > MAX_NAME {
        return Err(BadName::TooLong(name.len()));
    }
    match name.chars().find(|c| c.is_control()) {
        Some(bad) => Err(BadName::Character {
            name: name.escape_debug().to_string(),
            bad,
        }),
        None => Ok(()),
    }
}

/// Whether `name` can be a component of a handle.
pub(super) fn check(name: &str) -> Result<(), BadName> {
    check_fit(name)?;
    if name.len() > MAX_NAME {
        return Err(BadName::TooLong(name.len()));
    }
    // An HTTP client folds `%2e%2e` as it folds `..`.
    if matches!(
        name.to_ascii_lowercase().replace("%2e", ".").as_str(),
        "." | ".."
    ) {
        return Err(BadName::Dots(name.to_owned()));
    }
    if name.starts_with('.') {
        return Err(BadName::LeadingDot(name.to_owned()));
    }
    check_characters(name)?;
    if is_digits(name) && name.parse::<u64>().is_err() {
        return Err(BadName::Digits(name.to_owned()));
    }
    if is_file_of_a_model(name) {
        return Err(BadName::FileOfAModel(name.to_owned()));
    }
    Ok(())
}

/// Whether `name` ends in an archive's suffix, in any case.
pub(super) fn is_archive(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ARCHIVES
        .iter()
        .any(|suffix| name.len() > suffix.len() && name.ends_with(suffix))
}

/// Whether `name` is a version: digits and nothing else.
pub(super) fn is_digits(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit())
}

fn check_characters(name: &str) -> Result<(), BadName> {
    let bad = name.chars().find(|&c| {
        !(c.is_ascii_alphanumeric() || c == '%' || c.is_ascii() && MARKS.contains(&(c as u8)))
    });
    if let Some(bad) = bad {
        return Err(BadName::Character {
            name: name.escape_debug().to_string(),
            bad,
        });
    }
    let escaped = |after: &str| after.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    if name.split('%').skip(1).all(escaped) {
        Ok(())
    } else {
        Err(BadName::Percent(name.to_owned()))
    }
}

fn is_file_of_a_model(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    FILES.contains(&name.as_str())
        || FILE_ENDINGS.iter().any(|ending| name.ends_with(ending))
        || is_shard(&name)
}

/// `variables.data-00000-of-00001` and its like.
fn is_shard(name: &str) -> bool {
    name.rsplit_once(".data-")
        .and_then(|(_, numbers)| numbers.split_once("-of-"))
        .is_some_and(|(n, of)| is_digits(n) && is_digits(of))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_names_pass() {
        for name in [
            "google",
            "LaBSE",
            "bert_en_uncased_L-12_H-768_A-12",
            "mobilenet_v2_1.0_224",
            "tensorFlow2",
            "4",
            "18446744073709551615",
            "model%20a.tar.gz",
            "~user",
            "a+b@c=d",
            "assets",
            "gemma_1.1_instruct_2b_en",
        ] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn what_can_be_no_handle_is_refused() {
        let s = str::to_owned;
        for (name, want) in [
            ("", BadName::Empty),
            ("..", BadName::Dots(s(".."))),
            ("%2E.", BadName::Dots(s("%2E."))),
            ("a/b", BadName::Unfit),
            (".git", BadName::LeadingDot(s(".git"))),
            ("100%", BadName::Percent(s("100%"))),
            ("%2", BadName::Percent(s("%2"))),
            (
                "%2\u{fc}",
                BadName::Character {
                    name: s("%2\u{fc}"),
                    bad: '\u{fc}',
                },
            ),
            (
                "a b",
                BadName::Character {
                    name: s("a b"),
                    bad: ' ',
                },
            ),
            (
                "a\nb",
                BadName::Character {
                    name: s("a\\nb"),
                    bad: '\n',
                },
            ),
            (
                "18446744073709551616",
                BadName::Digits(s("18446744073709551616")),
            ),
        ] {
            assert_eq!(check(name), Err(want), "{name}");
        }
        assert_eq!(check(&"a".repeat(256)), Err(BadName::TooLong(256)));
    }

    #[test]
    fn files_of_models_are_no_handles() {
        for name in [
            "saved_model.pb",
            "saved_model.pbtxt",
            "SAVED_MODEL.PB",
            "tfhub_module.pb",
            "fingerprint.pb",
            "variables.index",
            "variables.data-00000-of-00001",
            "0123abcd.descriptor.txt",
            "model.tflite",
            "lost+found",
        ] {
            assert_eq!(check(name), Err(BadName::FileOfAModel(name.to_owned())));
        }
    }

    #[test]
    fn archives_are_told_by_their_ending() {
        for name in [
            "m.tar.gz",
            "m.TGZ",
            "m.tar",
            "m.tar.bz2",
            "m.tbz2",
            "m.tar.xz",
            "m.txz",
        ] {
            assert!(is_archive(name), "{name}");
        }
        for name in ["m.gz", "m.zip", "tar", ".tar", "m.tar.zst", "mtgz"] {
            assert!(!is_archive(name), "{name}");
        }
    }
}
