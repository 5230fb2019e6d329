//! Names that a listing gives: which can be paths in a model, and whether they go together.

use std::collections::BTreeSet;

use crate::handle::is_plain_path;

/// Whether `name` is a plain relative path without control characters.
pub(super) fn is_plain(name: &str) -> bool {
    is_plain_path(name) && !name.contains(char::is_control)
}

/// The name that cannot be beside the others: it is there twice, or below a file.
pub(super) fn conflict<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut files = BTreeSet::new();
    for name in names {
        if !files.insert(name) {
            return Some(name);
        }
    }
    let below = |name: &&str| {
        let mut ends = name.match_indices('/').map(|(end, _)| end);
        ends.any(|end| files.contains(&name[..end]))
    };
    files.iter().copied().find(below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths_are_names() {
        for name in [
            "saved_model.pb",
            "variables/variables.index",
            "a b/ü",
            "..a",
        ] {
            assert!(is_plain(name), "{name}");
        }
        for name in ["", "/a", "../x", "a\nb", "a\0b"] {
            assert!(!is_plain(name), "{name:?}");
        }
    }

    #[test]
    fn a_name_is_there_once_and_no_file_is_a_directory() {
        for (names, wrong) in [
            (vec!["a", "a.b", "b/c", "b/d", "b-"], None),
            (vec!["a", "b", "a"], Some("a")),
            (vec!["a/b/c", "a-b", "a"], Some("a/b/c")),
            (vec!["a/b", "a/b/c"], Some("a/b/c")),
        ] {
            assert_eq!(conflict(names.iter().copied()), wrong, "{names:?}");
        }
    }
}
