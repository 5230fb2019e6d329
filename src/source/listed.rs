//! Names that a listing gives: which can be paths in a model, and whether they go together.

use std::collections::BTreeSet;

/// No common file system allows a longer component, or a longer path.
const MAX_COMPONENT: usize = 255;
const MAX_PATH: usize = 4095;

/// Whether `name` is a plain relative path: components without control characters, none of them empty, `.` or `..`.
pub(super) fn is_plain(name: &str) -> bool {
    let fits = |part: &str| !matches!(part, "" | "." | "..") && part.len() <= MAX_COMPONENT;
    name.len() <= MAX_PATH && !name.contains(char::is_control) && name.split('/').all(fits)
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
        let long = "a".repeat(256);
        let deep = "a/".repeat(2048) + "a";
        for name in [
            "", "/a", "a/", "a//b", "../x", "a/../b", "./a", "a\nb", "a\0b", &long, &deep,
        ] {
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
