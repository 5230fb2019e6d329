//! From names in the cache back to handles.

use std::collections::HashSet;

use super::layout::{Key, Layout};
use super::manifest::Manifest;
use super::root::Cache;
use super::{ledger, plain};
use crate::hubdir::{Descriptor, is_handle_of};
use crate::os::blocking;

impl Cache {
    /// The names of all models that are, or were, in the cache. Whether each is whole is not looked at.
    pub fn names(&self) -> HashSet<Key> {
        self.layouts().flat_map(names).collect()
    }

    /// The handle of the model with this name, if it is here or was: as its descriptor, or else its manifest, has it. One that
    /// has another name is not believed.
    pub fn described(&self, key: &Key) -> Option<String> {
        blocking::may_wait();
        self.layouts().find_map(|layout| described(layout, key))
    }

    /// Ours, and the one below it.
    pub(super) fn layouts(&self) -> impl Iterator<Item = &Layout> {
        let ours = self.locks.as_ref().map(|locks| &*locks.layout);
        let lower = self.lower.as_ref().map(|lower| &lower.layout);
        ours.into_iter().chain(lower)
    }
}

fn names(layout: &Layout) -> HashSet<Key> {
    let mut names = ledger::keys_in(&layout.manifests());
    names.extend(ledger::keys_in(layout.root()));
    names
}

/// See [`Cache::described`].
pub(super) fn described(layout: &Layout, key: &Key) -> Option<String> {
    let text = plain::read_text(&layout.descriptor(key)).ok();
    let described = text.and_then(|text| Some(Descriptor::parse(&text)?.handle));
    let here = described.filter(|handle| is_handle_of(handle, key) && layout.model(key).is_dir());
    here.or_else(|| {
        let handle = Manifest::read(layout, key)?.handle;
        (!handle.is_empty()).then_some(handle)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_that_lies_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        let url = "https://h/a/1";
        let key = Key::of(url);
        assert_eq!(cache.described(&key), None);
        let place = |ending: &str| dir.path().join(format!("{key}{ending}"));
        let write = |handle: &str| {
            let text = Descriptor::new(handle, "host".to_owned()).to_string();
            std::fs::write(place(".descriptor.txt"), text).unwrap();
        };
        write(url);
        assert_eq!(cache.described(&key), None, "no entry");
        std::fs::create_dir(place("")).unwrap();
        assert_eq!(cache.described(&key).as_deref(), Some(url));
        write("https://h/b/1");
        assert_eq!(cache.described(&key), None, "another's handle");
    }

    #[test]
    fn what_a_terminal_would_act_on_is_no_handle() {
        let key = Key::of("https://h/\x1b[2J/1");
        assert!(!is_handle_of("https://h/\x1b[2J/1", &key));
        assert!(is_handle_of("https://h/ü/1", &Key::of("https://h/ü/1")));
    }
}
