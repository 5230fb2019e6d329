//! Which complete models the cache has, how large they are, when each was last used, and which may leave.
//!
//! It is read from the disk, because other processes, tensorflow_hub among them, add and remove models too, and is good for
//! a while. When a model was last used is the time of its manifest, which every process sets; a model without one is
//! tensorflow_hub's, and as old as its directory.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

use super::foreign::tree_size;
use super::layout::{Key, Layout};
use super::manifest::{Manifest, State};

/// How long a look at the disk is good.
const FRESH: Duration = Duration::from_secs(30);

/// One complete model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) key: Key,
    pub(super) bytes: u64,
    pub(super) used: SystemTime,
    pub(super) pinned: bool,
    /// Others put it there.
    pub(super) foreign: bool,
}

#[derive(Debug)]
pub(super) struct Ledger {
    layout: Arc<Layout>,
    table: Mutex<Table>,
    /// One reads the disk at a time.
    reading: Mutex<()>,
}

#[derive(Debug, Default)]
struct Table {
    rows: HashMap<Key, (Row, Seen)>,
    /// Of all rows, and of what other processes are unpacking.
    bytes: u64,
    at: Option<Instant>,
}

/// What the size of a model was read from: the manifest's inode, or the time of a directory without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Manifest(u64),
    Directory(SystemTime),
}

impl Ledger {
    pub(super) fn new(layout: Arc<Layout>) -> Ledger {
        Ledger {
            layout,
            table: Mutex::default(),
            reading: Mutex::default(),
        }
    }

    /// The bytes of all complete models, and of those that others are unpacking; `ours` are our own staging directories.
    pub(super) fn bytes(&self, ours: impl FnOnce() -> HashSet<String>) -> u64 {
        self.refresh(ours);
        self.table.lock().bytes
    }

    /// Every model, in no order.
    pub(super) fn rows(&self) -> Vec<Row> {
        let table = self.table.lock();
        table.rows.values().map(|(row, _)| row.clone()).collect()
    }

    /// Says that a model has left.
    pub(super) fn is_gone(&self, key: &Key) {
        let mut table = self.table.lock();
        if let Some((row, _)) = table.rows.remove(key) {
            table.bytes = table.bytes.saturating_sub(row.bytes);
        }
    }

    /// Says when a model was used, or could not leave for another reason.
    pub(super) fn is_used(&self, key: &Key, at: SystemTime) {
        if let Some((row, _)) = self.table.lock().rows.get_mut(key) {
            row.used = at;
        }
    }

    /// Says that the disk is to be looked at anew.
    pub(super) fn look_again(&self) {
        self.table.lock().at = None;
    }

    fn refresh(&self, ours: impl FnOnce() -> HashSet<String>) {
        let is_fresh = |table: &Table| table.at.is_some_and(|at| at.elapsed() < FRESH);
        if is_fresh(&self.table.lock()) {
            return;
        }
        let _one = self.reading.lock();
        if is_fresh(&self.table.lock()) {
            return;
        }
        let known = std::mem::take(&mut self.table.lock().rows);
        let (rows, staged) = survey(&self.layout, known, &ours());
        let bytes = rows.values().map(|(row, _)| row.bytes);
        let bytes = bytes.fold(staged, u64::saturating_add);
        *self.table.lock() = Table {
            rows,
            bytes,
            at: Some(Instant::now()),
        };
    }
}

type Rows = HashMap<Key, (Row, Seen)>;

/// Reads the cache directory: its models, and the bytes of staging directories but `ours`.
fn survey(layout: &Layout, known: Rows, ours: &HashSet<String>) -> (Rows, u64) {
    let pins = keys_in(&layout.pins());
    let mut rows = HashMap::new();
    let mut staged: u64 = 0;
    for entry in fs::read_dir(layout.root()).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if let Some(key) = Key::parse(&name) {
            let row = read(layout, key, known.get(&key), pins.contains(&key));
            rows.extend(row.ok().map(|row| (key, row)));
        } else if name.ends_with(".tmp") && is_of_model(&name) && !ours.contains(&name) {
            staged = staged.saturating_add(tree_size(&entry.path()));
        }
    }
    (rows, staged)
}

/// What is known of one model; its size is not counted again as long as nothing has changed.
fn read(
    layout: &Layout,
    key: Key,
    known: Option<&(Row, Seen)>,
    pinned: bool,
) -> io::Result<(Row, Seen)> {
    let manifest = fs::symlink_metadata(layout.manifest(&key));
    let (used, seen) = match &manifest {
        Ok(meta) => (meta.modified()?, Seen::Manifest(meta.ino())),
        Err(_) => {
            let at = written(layout, &key)?;
            (at, Seen::Directory(at))
        }
    };
    if let Some((row, before)) = known.filter(|(_, before)| *before == seen) {
        let row = Row {
            used,
            pinned,
            ..row.clone()
        };
        return Ok((row, *before));
    }
    let current = Manifest::current(layout, &key);
    let (bytes, foreign) = match &current {
        Some(manifest) => (manifest.bytes(), manifest.state == State::Adopted),
        None => (tree_size(&layout.model(&key)), true),
    };
    let row = Row {
        key,
        bytes,
        used,
        pinned,
        foreign,
    };
    Ok((row, seen))
}

/// When an entry was written, as far as its directory and its descriptor tell.
pub(super) fn written(layout: &Layout, key: &Key) -> io::Result<SystemTime> {
    let at = fs::metadata(layout.model(key))?.modified()?;
    let described = fs::symlink_metadata(layout.descriptor(key)).and_then(|meta| meta.modified());
    Ok(described.map_or(at, |described| described.max(at)))
}

/// The models that a directory of ours has something about.
pub(super) fn keys_in(dir: &Path) -> HashSet<Key> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let keys = entries.filter_map(|entry| Key::parse(entry.file_name().to_str()?));
    keys.collect()
}

fn is_of_model(name: &str) -> bool {
    name.get(..40).and_then(Key::parse).is_some()
}

/// Those that may leave, the longest unused first.
pub(super) fn in_order(rows: Vec<Row>, evict_foreign: bool) -> Vec<Row> {
    let may = |row: &Row| !row.pinned && (evict_foreign || !row.foreign);
    let mut rows: Vec<Row> = rows.into_iter().filter(may).collect();
    rows.sort_unstable_by_key(|row| (row.used, row.key));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_leaves_first_and_some_never() {
        let at = |secs| SystemTime::UNIX_EPOCH + Duration::from_secs(secs);
        let row = |url: &str, secs, pinned, foreign| Row {
            key: Key::of(url),
            bytes: 1,
            used: at(secs),
            pinned,
            foreign,
        };
        let rows = vec![
            row("new", 9, false, false),
            row("old", 1, false, false),
            row("pinned", 0, true, false),
            row("theirs", 2, false, true),
            row("pinned and theirs", 0, true, true),
        ];
        let keys = |rows: Vec<Row>| rows.into_iter().map(|row| row.key).collect::<Vec<_>>();
        let wanted = |urls: &[&str]| urls.iter().map(|url| Key::of(url)).collect::<Vec<_>>();
        assert_eq!(keys(in_order(rows.clone(), false)), wanted(&["old", "new"]));
        assert_eq!(
            keys(in_order(rows, true)),
            wanted(&["old", "theirs", "new"])
        );
    }
}
