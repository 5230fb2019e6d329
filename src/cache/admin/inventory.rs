//! What the cache holds, and what it knows of.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::time::SystemTime;

use serde::Serialize;

use crate::hubdir::{Descriptor, is_handle_of};
use crate::os;

use super::super::dirs::plain;
use super::super::layout::{Key, Layout};
use super::super::lock::underway;
use super::super::partial::parts;
use super::super::partial::plan;
use super::super::root::Cache;
use super::super::sealed::Sealed;
use super::super::sealed::entry::{self, EntryState};
use super::super::sealed::manifest::{Manifest, State};
use super::super::space::idle;
use super::super::space::ledger;
use super::pins;

/// One model of a cache.
#[derive(Clone, Debug, Serialize)]
pub struct Item {
    /// Whose it is; the name of its directory if nobody knows.
    pub handle: String,
    /// The name of its directory.
    pub key: String,
    /// The sum of all files' sizes.
    pub bytes: u64,
    /// When it was last used, as seconds since 1970; 0 if it never was.
    #[serde(serialize_with = "seconds")]
    pub used: SystemTime,
    /// Whether its bytes are here.
    pub state: ModelStatus,
    /// Whether it never leaves.
    pub pinned: bool,
    /// Where its bytes came from, if that is known.
    pub origin: Option<String>,
    /// Whether it is in the directory that is ours to write.
    pub ours: bool,
    /// Whether others put it here, whatever became of it.
    #[serde(skip)]
    pub foreign: bool,
}

/// Whether a model's bytes are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelStatus {
    /// Fetched and verified.
    Sealed,
    /// Put here by others, and whole as far as one can see.
    Adopted,
    /// Streamed, and read in part: so many of its bytes are here.
    Partial,
    /// Being fetched by some process: so many of its bytes are here.
    Filling,
    /// It has left; its names are known, and it comes back when it is read.
    Evicted,
    /// Nothing is known of it but that it is pinned.
    Absent,
    /// Somebody has touched it; the next open, or verifying it, reads it and so finds out whether it is right.
    Unchecked,
    /// Not as it was: the next open fetches it.
    Damaged,
}

impl ModelStatus {
    /// Whether all its bytes are here, as far as one knows.
    pub fn is_here(self) -> bool {
        use ModelStatus::{Adopted, Damaged, Sealed, Unchecked};
        matches!(self, Sealed | Adopted | Unchecked | Damaged)
    }

    /// Whether it takes nothing of the disk.
    pub fn is_away(self) -> bool {
        matches!(self, ModelStatus::Evicted | ModelStatus::Absent)
    }
}

fn seconds<S: serde::Serializer>(time: &SystemTime, out: S) -> Result<S::Ok, S::Error> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    out.serialize_u64(since.map_or(0, |since| since.as_secs()))
}

/// What a cache holds, and what it knows of.
#[derive(Debug)]
pub struct Inventory<'a> {
    cache: &'a Cache,
}

impl<'a> Inventory<'a> {
    /// The inventory of `cache`.
    pub fn of(cache: &'a Cache) -> Inventory<'a> {
        Inventory { cache }
    }

    /// Every model that is, was, or is to stay here, by handle.
    pub fn items(&self) -> Vec<Item> {
        let host = os::host::hostname();
        let mut items: HashMap<String, Item> = HashMap::new();
        if let Some(locks) = self.cache.own() {
            let ours = items_in(locks.layout(), &host, true).into_iter();
            items.extend(ours.map(|item| (item.key.clone(), item)));
        }
        let below = self.cache.read_only_layouts();
        for item in below.flat_map(|layout| items_in(layout, &host, false)) {
            // What is here counts before what is in a directory below, and that before what is only known.
            match items.get_mut(&item.key) {
                Some(ours) if ours.state.is_away() && !item.state.is_away() => {
                    let pinned = ours.pinned || item.pinned;
                    *ours = Item { pinned, ..item };
                }
                Some(_) => {}
                None => drop(items.insert(item.key.clone(), item)),
            }
        }
        let mut items: Vec<Item> = items.into_values().collect();
        items.sort_unstable_by(|one, other| {
            (&one.handle, &one.key).cmp(&(&other.handle, &other.key))
        });
        items
    }

    /// The keys of the models that are in our own directory, sorted.
    pub fn keys(&self) -> Vec<Key> {
        let root = self.cache.root();
        let keys = root.map(ledger::keys_in).unwrap_or_default();
        let mut keys: Vec<Key> = keys.into_iter().collect();
        keys.sort_unstable();
        keys
    }

    /// The keys of all models that are, or were, in any directory. Whether each is whole is not examined.
    pub fn keys_known(&self) -> HashSet<Key> {
        let keys = |layout: &Layout| {
            let mut keys = ledger::keys_in(&layout.manifests());
            keys.extend(ledger::keys_in(layout.root()));
            keys
        };
        self.cache.layouts().flat_map(keys).collect()
    }

    /// The handle of the model with this key, if it is here or was: as its descriptor, or else its manifest, has it. A handle
    /// whose key is another one is not believed.
    pub fn handle_of(&self, key: &Key) -> Option<String> {
        os::blocking::may_wait();
        let mut layouts = self.cache.layouts();
        layouts.find_map(|layout| handle_in(layout, key))
    }
}

/// See [`Inventory::handle_of`].
pub(super) fn handle_in(layout: &Layout, key: &Key) -> Option<String> {
    let text = plain::read_text(&layout.descriptor(key)).ok();
    let described = text.and_then(|text| Some(Descriptor::parse(&text)?.handle));
    let here = described.filter(|handle| is_handle_of(handle, key) && layout.model(key).is_dir());
    here.or_else(|| {
        let handle = Manifest::read(layout, key)?.handle;
        (!handle.is_empty()).then_some(handle)
    })
}

fn items_in(layout: &Layout, host: &str, ours: bool) -> Vec<Item> {
    let pins = ledger::keys_in(&layout.pins());
    let underway = underway::in_dir(layout, host);
    let mut keys = ledger::keys_in(&layout.manifests());
    keys.extend(ledger::keys_in(layout.root()));
    keys.extend(pins.iter().chain(underway.keys()));
    let items = keys
        .iter()
        .filter_map(|key| item(layout, key, underway.get(key).copied(), ours));
    let mut items: HashMap<String, Item> = items.map(|item| (item.key.clone(), item)).collect();
    let parts = ledger::keys_in(&layout.parts()).into_iter();
    for part in parts.filter_map(|key| part(layout, &key, ours)) {
        // What comes back in parts is not away any more.
        let filled = items
            .get(&part.key)
            .is_some_and(|item| item.state == ModelStatus::Filling);
        if !filled {
            items.insert(part.key.clone(), part);
        }
    }
    let mut items: Vec<Item> = items.into_values().collect();
    for item in &mut items {
        item.pinned = Key::parse(&item.key).is_some_and(|key| pins.contains(&key));
    }
    items
}

/// What is here of a model, or an object, that is streamed.
fn part(layout: &Layout, key: &Key, ours: bool) -> Option<Item> {
    let dir = layout.parts().join(key.to_string());
    let used = fs::symlink_metadata(parts::claim_of(&dir)).and_then(|meta| meta.modified());
    Some(Item {
        bytes: idle::allocated(&dir),
        used: used.unwrap_or(SystemTime::UNIX_EPOCH),
        ..bare(key, plan::id_in(&dir)?, ModelStatus::Partial, ours)
    })
}

/// A model of which nothing else is known.
fn bare(key: &Key, handle: String, state: ModelStatus, ours: bool) -> Item {
    let key = key.to_string();
    Item {
        handle: if handle.is_empty() {
            key.clone()
        } else {
            handle
        },
        key,
        bytes: 0,
        used: SystemTime::UNIX_EPOCH,
        state,
        pinned: false,
        origin: None,
        ours,
        foreign: false,
    }
}

fn item(layout: &Layout, key: &Key, underway: Option<u64>, ours: bool) -> Option<Item> {
    match fs::symlink_metadata(layout.model(key)).is_ok() {
        true => here(layout, key, ours),
        false => away(layout, key, underway, ours),
    }
}

fn last_use(layout: &Layout, key: &Key) -> SystemTime {
    let used = fs::symlink_metadata(layout.manifest(key)).and_then(|meta| meta.modified());
    let used = used.or_else(|_| ledger::written(layout, key));
    used.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// A model whose directory is not there. A damaged manifest says nothing of it.
fn away(layout: &Layout, key: &Key, underway: Option<u64>, ours: bool) -> Option<Item> {
    let manifest = Manifest::read(layout, key);
    let pinned = pins::handle(layout, key);
    let state = match (underway, &manifest) {
        (Some(_), _) => ModelStatus::Filling,
        (None, Some(_)) => ModelStatus::Evicted,
        (None, None) => pinned.as_ref().map(|_| ModelStatus::Absent)?,
    };
    let (handle, origin) = match manifest.as_ref() {
        Some(manifest) => (manifest.handle.clone(), manifest.origin.clone()),
        None => (pinned.unwrap_or_default(), None),
    };
    let known = manifest.map(|manifest| (manifest.bytes(), last_use(layout, key)));
    let (size, used) = known.unwrap_or((0, SystemTime::UNIX_EPOCH));
    Some(Item {
        bytes: underway.unwrap_or(size),
        used,
        origin,
        ..bare(key, handle, state, ours)
    })
}

fn here(layout: &Layout, key: &Key, ours: bool) -> Option<Item> {
    let manifest = Manifest::current(layout, key);
    let foreign = manifest
        .as_ref()
        .is_none_or(|known| known.state == State::Adopted);
    let as_known = match foreign {
        true => ModelStatus::Adopted,
        false => ModelStatus::Sealed,
    };
    let state = match entry::state_with(layout, key, || manifest.clone()) {
        Ok(EntryState::Whole(_)) => as_known,
        // Below nothing is mended, and times are not looked at.
        Ok(EntryState::Touched(touched)) if !ours && touched.added().is_none() => as_known,
        Ok(EntryState::Touched(touched)) if ours && touched.is_told_by_reading() => {
            ModelStatus::Unchecked
        }
        _ => ModelStatus::Damaged,
    };
    let (handle, bytes, origin) = match manifest {
        Some(manifest) => (manifest.handle.clone(), manifest.bytes(), manifest.origin),
        None => {
            let bytes = Sealed::load(layout.model(key)).ok()?.bytes();
            (handle_in(layout, key).unwrap_or_default(), bytes, None)
        }
    };
    Some(Item {
        bytes,
        used: last_use(layout, key),
        origin,
        foreign,
        ..bare(key, handle, state, ours)
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
        assert_eq!(Inventory::of(&cache).handle_of(&key), None);
        let place = |ending: &str| dir.path().join(format!("{key}{ending}"));
        let write = |handle: &str| {
            let text = Descriptor::new(handle, "host".to_owned()).to_string();
            std::fs::write(place(".descriptor.txt"), text).unwrap();
        };
        write(url);
        assert_eq!(Inventory::of(&cache).handle_of(&key), None, "no entry");
        std::fs::create_dir(place("")).unwrap();
        assert_eq!(Inventory::of(&cache).handle_of(&key).as_deref(), Some(url));
        write("https://h/b/1");
        assert_eq!(
            Inventory::of(&cache).handle_of(&key),
            None,
            "another's handle"
        );
    }

    #[test]
    fn what_a_terminal_would_act_on_is_no_handle() {
        let key = Key::of("https://h/\x1b[2J/1");
        assert!(!is_handle_of("https://h/\x1b[2J/1", &key));
        assert!(is_handle_of("https://h/ü/1", &Key::of("https://h/ü/1")));
    }
}
