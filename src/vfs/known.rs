//! The models that are known to exist, as canonical paths: what directories above a model list.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::ops::Bound;

use lru::LruCache;
use parking_lot::{Mutex, RwLock};

/// How many names with a pasted query are listed, in all: enough for those who paste, and no way to flood a listing.
const PASTED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(7);

/// Known paths. What was cached or opened stays while mounted: a listing never shrinks because of an error or of being
/// offline. What the catalog alone names goes when its line does.
pub(super) struct Known {
    paths: RwLock<BTreeSet<String>>,
    catalog: RwLock<BTreeSet<String>>,
    pasted: Mutex<LruCache<String, ()>>,
}

impl Default for Known {
    fn default() -> Known {
        Known {
            paths: RwLock::default(),
            catalog: RwLock::default(),
            pasted: Mutex::new(LruCache::new(PASTED)),
        }
    }
}

impl Known {
    /// Remembers a model's path.
    pub fn insert(&self, path: &str) {
        if !self.paths.read().contains(path) {
            self.paths.write().insert(path.to_owned());
        }
    }

    /// Takes the paths of a catalog in the place of an earlier one's.
    pub fn set_catalog(&self, paths: BTreeSet<String>) {
        *self.catalog.write() = paths;
    }

    /// Remembers a path with a pasted query (`x/2?tfhub-redirect=true`), which is a link. It is listed because
    /// TensorFlow takes the `?` for a wildcard and looks for matching names in the listing.
    pub fn insert_pasted(&self, path: &str) {
        self.pasted.lock().put(path.to_owned(), ());
    }

    /// The names with a pasted query that were used in `directory`.
    pub fn pasted(&self, directory: &str) -> Vec<String> {
        let pasted = self.pasted.lock();
        let here = pasted.iter().filter_map(|(path, ())| {
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
            (parent == directory).then(|| name.to_owned())
        });
        here.collect()
    }

    /// Whether a known model lies below `directory`.
    pub fn has_below(&self, directory: &str) -> bool {
        let prefix = format!("{directory}/");
        let in_set = |paths: &BTreeSet<String>| {
            let from = (Bound::Included(prefix.as_str()), Bound::Unbounded);
            let mut after = paths.range::<str, _>(from);
            after.next().is_some_and(|path| path.starts_with(&prefix))
        };
        in_set(&self.paths.read()) || in_set(&self.catalog.read())
    }

    /// The names directly below `directory` that lead to known models, sorted.
    pub fn children(&self, directory: &str) -> Vec<String> {
        let mut names = children(&self.paths.read(), directory);
        names.extend(children(&self.catalog.read(), directory));
        names.sort();
        names.dedup();
        names
    }
}

fn children(paths: &BTreeSet<String>, directory: &str) -> Vec<String> {
    let prefix = if directory.is_empty() {
        String::new()
    } else {
        format!("{directory}/")
    };
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
    names
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

    #[test]
    fn a_catalogs_paths_go_with_it_and_the_others_stay() {
        let known = Known::default();
        known.insert("google/a/1");
        let of = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
        known.set_catalog(of(&["google/a/1", "google/b/2/x/1"]));
        assert_eq!(known.children("google"), ["a", "b"]);
        assert!(known.has_below("google/b/2"));
        known.set_catalog(of(&["x.org/m/1"]));
        assert_eq!(known.children(""), ["google", "x.org"]);
        assert_eq!(known.children("google"), ["a"]);
        assert!(!known.has_below("google/b/2"));
    }
}
