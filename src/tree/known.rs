//! The models that are known to exist, as canonical paths: what directories above a model list.

use std::collections::BTreeSet;
use std::ops::Bound;

use parking_lot::RwLock;

/// Known paths. It only grows while mounted: a listing never shrinks because of an error or of being offline.
#[derive(Default)]
pub(super) struct Known {
    paths: RwLock<BTreeSet<String>>,
}

impl Known {
    /// Remembers a model's path.
    pub fn insert(&self, path: &str) {
        if !self.paths.read().contains(path) {
            self.paths.write().insert(path.to_owned());
        }
    }

    /// Whether a known model lies below `directory`.
    pub fn has_below(&self, directory: &str) -> bool {
        let prefix = format!("{directory}/");
        let paths = self.paths.read();
        let mut after = paths.range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded));
        after.next().is_some_and(|path| path.starts_with(&prefix))
    }

    /// The names directly below `directory` that lead to known models, sorted.
    pub fn children(&self, directory: &str) -> Vec<String> {
        let prefix = if directory.is_empty() {
            String::new()
        } else {
            format!("{directory}/")
        };
        let paths = self.paths.read();
        let mut names = Vec::new();
        let mut from = Bound::Included(prefix.clone());
        while let Some(path) = paths.range((from, Bound::Unbounded)).next() {
            let Some(rest) = path.strip_prefix(&prefix) else {
                break;
            };
            let name = rest.split('/').next().unwrap_or(rest);
            if names.last().is_none_or(|last| last != name) {
                names.push(name.to_owned());
            }
            // '0' follows '/': everything below this name is skipped in one step.
            from = if rest.len() == name.len() {
                Bound::Excluded(path.clone())
            } else {
                Bound::Included(format!("{prefix}{name}0"))
            };
        }
        names.sort();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_are_the_next_components() {
        let known = Known::default();
        for path in [
            "google/a/1",
            "google/a/2",
            "google/a-b/1",
            "google/a/x/3",
            "x.org/m/1",
        ] {
            known.insert(path);
        }
        assert_eq!(known.children(""), ["google", "x.org"]);
        assert_eq!(known.children("google"), ["a", "a-b"]);
        assert_eq!(known.children("google/a"), ["1", "2", "x"]);
        assert!(known.children("goog").is_empty());
        assert!(known.has_below("google/a"));
        assert!(!known.has_below("google/a/1"));
    }
}
