//! Which complete models the cache has, how large they are, when each was last used, and which may leave.
//!
//! It is read from the disk, because other processes, tensorflow_hub among them, add and remove models too, and is good for
//! a while. When a model was last used is the time of its manifest, which every process sets; a model without one is
//! tensorflow_hub's, and as old as its directory.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::io;
use std::ops::Bound;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

use super::super::layout::{Key, Layout};
use super::super::lock::foreign::tree_size;
use super::super::sealed::manifest::{Manifest, State};

/// How long a look at the disk is good, if others may have added something since and if not.
const FRESH: Duration = Duration::from_secs(1);
const UNCHANGED: Duration = Duration::from_secs(30);
/// Looking again takes at most this share of the time.
const SHARE: u32 = 10;
/// So many of the largest models are measured before anything leaves: a manifest that lies then costs no more than they.
const LARGEST: usize = 64;

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
pub(in crate::cache) struct Ledger {
    layout: Arc<Layout>,
    table: Mutex<Table>,
    /// One reads the disk at a time.
    reading: Mutex<()>,
    /// A thread is about to.
    looking: AtomicBool,
}

#[derive(Debug, Default)]
struct Table {
    rows: Rows,
    /// What other processes are unpacking.
    staged: u64,
    looked: Option<Looked>,
    /// What has changed since the present look at the disk began.
    since: Vec<Change>,
}

/// A look at the disk.
#[derive(Clone, Copy, Debug)]
struct Looked {
    at: Instant,
    took: Duration,
    /// Of the cache directory: whoever adds or removes something in it changes that.
    written: Option<SystemTime>,
}

/// What this process has done to a model.
#[derive(Clone, Debug)]
enum Change {
    Came(Row, Seen),
    Gone(Key),
    Used(Key, SystemTime),
}

/// Every model, and the bytes of all of them.
#[derive(Clone, Debug, Default)]
struct Rows {
    by_key: HashMap<Key, (Row, Seen)>,
    /// The longest unused first.
    order: BTreeSet<(SystemTime, Key)>,
    bytes: u64,
}

impl Rows {
    fn insert(&mut self, row: Row, seen: Seen) {
        self.remove(&row.key);
        self.bytes = self.bytes.saturating_add(row.bytes);
        self.order.insert((row.used, row.key));
        self.by_key.insert(row.key, (row, seen));
    }

    fn remove(&mut self, key: &Key) {
        if let Some((row, _)) = self.by_key.remove(key) {
            self.bytes = self.bytes.saturating_sub(row.bytes);
            self.order.remove(&(row.used, row.key));
        }
    }
}

/// What the size of a model was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// The manifest with this inode.
    Manifest(u64),
    /// The same, and its files really have that size.
    Measured(u64),
    /// A directory without one, of this time.
    Directory(SystemTime),
}

impl Seen {
    fn is_of(self, manifest: u64) -> bool {
        matches!(self, Seen::Manifest(inode) | Seen::Measured(inode) if inode == manifest)
    }
}

impl Ledger {
    pub(super) fn new(layout: Arc<Layout>) -> Ledger {
        Ledger {
            layout,
            table: Mutex::default(),
            reading: Mutex::default(),
            looking: AtomicBool::new(false),
        }
    }

    /// The bytes of all complete models, and of those that others were unpacking at the last look at the disk.
    pub(super) fn bytes(&self) -> u64 {
        let table = self.table.lock();
        table.rows.bytes.saturating_add(table.staged)
    }

    /// Every model, the longest unused first.
    pub(super) fn rows(&self) -> Vec<Row> {
        let table = self.table.lock();
        let order = table.rows.order.iter();
        let rows = order.filter_map(|(_, key)| table.rows.by_key.get(key));
        rows.map(|(row, _)| row.clone()).collect()
    }

    /// The longest unused model after `after` that `which` picks.
    pub(super) fn next(
        &self,
        after: Option<(SystemTime, Key)>,
        which: impl Fn(&Row) -> bool,
    ) -> Option<Row> {
        let table = self.table.lock();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let later = table.rows.order.range((from, Bound::Unbounded));
        let mut rows = later.filter_map(|(_, key)| table.rows.by_key.get(key));
        let found = rows.find(|(row, _)| which(row));
        found.map(|(row, _)| row.clone())
    }

    /// The bytes of all models that `which` picks.
    pub(super) fn bytes_of(&self, which: impl Fn(&Row) -> bool) -> u64 {
        let table = self.table.lock();
        let rows = table.rows.by_key.values().map(|(row, _)| row);
        let bytes = rows.filter(|row| which(row)).map(|row| row.bytes);
        bytes.fold(0, u64::saturating_add)
    }

    /// Records that a model is complete, if it is.
    pub(super) fn record(&self, key: &Key) {
        if !self.layout.model(key).is_dir() {
            return;
        }
        let pinned = fs::symlink_metadata(self.layout.pin(key)).is_ok();
        if let Ok((row, seen)) = read(&self.layout, *key, None, pinned) {
            self.change(Change::Came(row, seen));
        }
    }

    /// Forgets a model that has left, or is about to. `false`: it was not known.
    pub(in crate::cache) fn forget(&self, key: &Key) -> bool {
        let was_known = self.table.lock().rows.by_key.contains_key(key);
        self.change(Change::Gone(*key));
        was_known
    }

    /// Records when a model was used, or could not leave for another reason.
    pub(super) fn record_use(&self, key: &Key, at: SystemTime) {
        self.change(Change::Used(*key, at));
    }

    fn change(&self, change: Change) {
        let mut table = self.table.lock();
        apply(&mut table.rows, &change);
        table.since.push(change);
        // Nobody is looking, so nobody will ask for it.
        if self.reading.try_lock().is_some() {
            table.since.clear();
        }
    }

    /// Says that the disk is to be looked at anew.
    pub(super) fn look_again(&self) {
        self.table.lock().looked = None;
    }

    /// Measures the largest models that have not been measured: a manifest may lie.
    fn measure(&self) {
        let mut largest: Vec<Row> = {
            let table = self.table.lock();
            let unmeasured = table.rows.by_key.values();
            let unmeasured = unmeasured.filter(|(_, seen)| matches!(seen, Seen::Manifest(_)));
            unmeasured.map(|(row, _)| row.clone()).collect()
        };
        largest.sort_unstable_by_key(|row| std::cmp::Reverse(row.bytes));
        largest.truncate(LARGEST);
        for mut row in largest {
            let claimed = row.bytes;
            row.bytes = tree_size(&self.layout.model(&row.key));
            if row.bytes != claimed {
                tracing::warn!(entry = %row.key, claimed, found = row.bytes, "a manifest is wrong about the size of its model");
            }
            let mut table = self.table.lock();
            if let Some((known, Seen::Manifest(inode))) = table.rows.by_key.get(&row.key)
                && known.bytes == claimed
            {
                let (known, inode) = (known.clone(), *inode);
                let bytes = row.bytes;
                table
                    .rows
                    .insert(Row { bytes, ..known }, Seen::Measured(inode));
            }
        }
    }

    /// Looks at the disk in a thread of its own, if that is due: no write waits for it.
    pub(super) fn look_later(
        self: &Arc<Ledger>,
        ours: impl FnOnce() -> HashSet<String> + Send + 'static,
    ) {
        let Some(looked) = self.table.lock().looked else {
            return self.look(ours);
        };
        let due = looked.at.elapsed() > FRESH.max(looked.took * SHARE);
        if !due || self.looking.swap(true, Ordering::AcqRel) {
            return;
        }
        let ledger = self.clone();
        let look = move || {
            ledger.look(ours);
            ledger.looking.store(false, Ordering::Release);
        };
        let begun = std::thread::Builder::new()
            .name("cache-survey".to_owned())
            .spawn(look);
        if begun.is_err() {
            self.looking.store(false, Ordering::Release);
        }
    }

    /// Looks at the disk if that is due; `ours` are our own staging directories. What is known meanwhile stays known.
    pub(super) fn look(&self, ours: impl FnOnce() -> HashSet<String>) {
        if self.is_fresh() {
            return;
        }
        let _one = self.reading.lock();
        if self.is_fresh() {
            return;
        }
        let known = {
            let mut table = self.table.lock();
            table.since.clear();
            table.rows.by_key.clone()
        };
        let begun = Instant::now();
        let written = written_at(self.layout.root());
        let (mut rows, staged) = survey(&self.layout, known, &ours());
        let at = Instant::now();
        let mut table = self.table.lock();
        for change in std::mem::take(&mut table.since) {
            apply(&mut rows, &change);
        }
        table.rows = rows;
        table.staged = staged;
        table.looked = Some(Looked {
            at,
            took: at - begun,
            written,
        });
        drop(table);
        self.measure();
    }

    fn is_fresh(&self) -> bool {
        let Some(looked) = self.table.lock().looked else {
            return false;
        };
        let age = looked.at.elapsed();
        age < FRESH.max(looked.took * SHARE)
            || age < UNCHANGED && looked.written == written_at(self.layout.root())
    }
}

fn written_at(dir: &Path) -> Option<SystemTime> {
    fs::metadata(dir).and_then(|meta| meta.modified()).ok()
}

fn apply(rows: &mut Rows, change: &Change) {
    match change {
        Change::Came(row, seen) => {
            rows.insert(row.clone(), *seen);
        }
        Change::Gone(key) => {
            rows.remove(key);
        }
        Change::Used(key, at) => {
            if let Some((row, seen)) = rows.by_key.get(key).cloned() {
                let used = row.used.max(*at);
                rows.insert(Row { used, ..row }, seen);
            }
        }
    }
}

/// Reads the cache directory: its models, and the bytes of staging directories but `ours`.
fn survey(
    layout: &Layout,
    known: HashMap<Key, (Row, Seen)>,
    ours: &HashSet<String>,
) -> (Rows, u64) {
    let pins = keys_in(&layout.pins());
    let mut rows = Rows::default();
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
            if let Ok((row, seen)) = row {
                rows.insert(row, seen);
            }
        } else if name.ends_with(".tmp") && key_of(&name).is_some() && !ours.contains(&name) {
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
    let is_same = |before: &Seen| match seen {
        Seen::Manifest(inode) => before.is_of(inode),
        _ => *before == seen,
    };
    if let Some((row, before)) = known.filter(|(_, before)| is_same(before)) {
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
pub(in crate::cache) fn written(layout: &Layout, key: &Key) -> io::Result<SystemTime> {
    let at = fs::metadata(layout.model(key))?.modified()?;
    let described = fs::symlink_metadata(layout.descriptor(key)).and_then(|meta| meta.modified());
    Ok(described.map_or(at, |described| described.max(at)))
}

/// The models that a directory of ours has something about.
pub(in crate::cache) fn keys_in(dir: &Path) -> HashSet<Key> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let keys = entries.filter_map(|entry| Key::parse(entry.file_name().to_str()?));
    keys.collect()
}

/// The model of a staging directory.
pub(super) fn key_of(staging: &str) -> Option<Key> {
    staging.get(..40).and_then(Key::parse)
}

#[cfg(test)]
mod tests {
    use super::super::budget::{DiskBudget, Limits};
    use super::*;
    use crate::config::CacheSize;

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
        let candidates = |evict_foreign| {
            let limits = Limits {
                cap: None,
                min_free: CacheSize::Bytes(0),
                evict_foreign,
            };
            let layout = Arc::new(Layout::new("nowhere".into()));
            let disk = DiskBudget::new(layout, limits);
            for row in &rows {
                let seen = Seen::Directory(row.used);
                disk.ledger.change(Change::Came(row.clone(), seen));
            }
            let rows = disk.candidates().into_iter();
            rows.map(|row| row.key).collect::<Vec<_>>()
        };
        let wanted = |urls: &[&str]| urls.iter().map(|url| Key::of(url)).collect::<Vec<_>>();
        assert_eq!(candidates(false), wanted(&["old", "new"]));
        assert_eq!(candidates(true), wanted(&["old", "theirs", "new"]));
    }
}
