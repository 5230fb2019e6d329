//! The parts on disk that nobody has open.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;

use crate::os;

use super::super::layout::{Key, Layout};
use super::super::partial::parts;
use super::super::trash;

/// Parts that this process has not open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Idle {
    pub(super) bytes: u64,
    pub(super) used: SystemTime,
}

#[derive(Debug)]
pub(in crate::cache) struct IdleParts {
    layout: Arc<Layout>,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    by_name: HashMap<String, Idle>,
    bytes: u64,
    /// Those that are counted by who has them open.
    open: HashSet<String>,
}

impl Table {
    fn insert(&mut self, name: &str, idle: Idle) {
        self.remove(name);
        self.bytes += idle.bytes;
        self.by_name.insert(name.to_owned(), idle);
    }

    fn remove(&mut self, name: &str) {
        if let Some(idle) = self.by_name.remove(name) {
            self.bytes -= idle.bytes;
        }
    }
}

impl IdleParts {
    pub(super) fn new(layout: Arc<Layout>) -> IdleParts {
        IdleParts {
            layout,
            table: Mutex::default(),
        }
    }

    /// The bytes of all of them.
    pub(super) fn bytes(&self) -> u64 {
        self.table.lock().bytes
    }

    /// All of them, in no order.
    pub(super) fn rows(&self) -> Vec<(String, Idle)> {
        let table = self.table.lock();
        let rows = table.by_name.iter();
        rows.map(|(name, idle)| (name.clone(), *idle)).collect()
    }

    /// Records that parts are open here.
    pub(in crate::cache) fn open(&self, name: &str) {
        let mut table = self.table.lock();
        table.remove(name);
        table.open.insert(name.to_owned());
    }

    /// Records that parts are not open here any more, and how many of their bytes stay.
    pub(in crate::cache) fn close(&self, name: &str, bytes: u64) {
        let used = SystemTime::now();
        let mut table = self.table.lock();
        table.open.remove(name);
        if bytes > 0 {
            table.insert(name, Idle { bytes, used });
        }
    }

    /// Looks at what earlier runs have left, and other processes have: removes what belongs to nobody and cannot be used
    /// again, counts the rest.
    pub(in crate::cache) fn survey(&self) {
        let Ok(entries) = fs::read_dir(self.layout.parts()) else {
            return;
        };
        let mut seen = HashSet::new();
        for entry in entries.flatten() {
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if Key::parse(&name).is_none() {
                discard(&self.layout, &name);
                continue;
            }
            let claim = parts::claim_of(&entry.path());
            seen.insert(name.clone());
            let used = fs::symlink_metadata(claim).and_then(|meta| meta.modified());
            let idle = Idle {
                bytes: allocated(&entry.path()),
                used: used.unwrap_or(SystemTime::UNIX_EPOCH),
            };
            let mut table = self.table.lock();
            if !table.open.contains(&name) {
                table.insert(&name, idle);
            }
        }
        let mut table = self.table.lock();
        let gone = table.by_name.keys().filter(|name| !seen.contains(*name));
        for name in gone.cloned().collect::<Vec<_>>() {
            table.remove(&name);
        }
    }

    /// Counts parts no more that are about to be removed. `false`: they were not counted.
    pub(super) fn take(&self, name: &str) -> bool {
        let mut table = self.table.lock();
        let was_counted = table.by_name.contains_key(name);
        table.remove(name);
        was_counted
    }

    /// Moves parts that were taken into the trash, and says where they lie there, unless somebody has them open.
    pub(super) fn bury(&self, name: &str, bytes: u64) -> Option<Option<PathBuf>> {
        let grave = bury(&self.layout, name);
        if grave.is_none() {
            let used = SystemTime::now(); // another process has it open
            self.table.lock().insert(name, Idle { bytes, used });
        }
        grave
    }
}

/// Removes parts, if they are there; `false`: somebody has them open.
pub(in crate::cache) fn discard(layout: &Layout, name: &str) -> bool {
    let grave = bury(layout, name);
    let is_gone = grave.is_some();
    if let Some(grave) = grave.flatten() {
        trash::delete(layout, grave);
    }
    is_gone
}

/// Moves them into the trash; `None`: somebody has them open.
fn bury(layout: &Layout, name: &str) -> Option<Option<PathBuf>> {
    let dir = layout.parts().join(name);
    let claimed = match fs::symlink_metadata(&dir) {
        Ok(meta) if meta.is_dir() => parts::claim(&dir).map(|claim| claim.map(Some)),
        Ok(_) => Ok(Some(None)), // a link, which leads to nothing of ours
        Err(_) => return Some(None),
    };
    match claimed {
        Ok(None) | Err(_) => None,
        Ok(Some(_claim)) => match trash::bury(layout, name, &dir) {
            Ok(grave) => Some(grave),
            Err(error) => {
                tracing::warn!(%error, "cannot remove an unfinished model");
                None
            }
        },
    }
}

/// What a tree of files with holes takes of the disk.
pub(in crate::cache) fn allocated(dir: &Path) -> u64 {
    os::dir::sum(dir, |entry| entry.allocated)
}
