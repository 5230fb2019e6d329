//! What the cache knows of models beside their bytes: names, uses, who put them there.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::budget::Budget;
use super::entry::{self, Look};
use super::error::{Context, Error};
use super::layout::{Key, Layout};
use super::ledger;
use super::lock::Claim;
use super::locks::Locks;
use super::manifest::{Manifest, State};
use super::opening::reclaim;
use super::outline::Outline;
use super::plain;
use super::root::Cache;
use super::sealed::Sealed;
use crate::hubdir::{Descriptor, is_handle_of};
use crate::os::blocking;

impl Cache {
    /// The names in a model that was complete here before, wherever its bytes are now.
    pub fn outline(&self, url: &str) -> Option<Outline> {
        blocking::may_wait();
        let key = Key::of(url);
        let locks = self.locks.as_ref();
        let ours = locks.and_then(|locks| Manifest::read(&locks.layout, &key)?.outline());
        ours.or_else(|| self.lower.as_ref()?.outline(&key))
    }

    /// Mends a model whose entry somebody has touched, if that takes nothing but the disk. `None`: it is not here, or has to
    /// be fetched. May take as long as reading it does.
    ///
    /// # Errors
    ///
    /// The disk failed, or cannot be written.
    pub fn mend(&self, url: &str) -> Result<Option<Sealed>, Error> {
        let key = Key::of(url);
        let below = || self.lower.as_ref().and_then(|lower| lower.judged(&key));
        let Some(locks) = &self.locks else {
            return Ok(below());
        };
        // What is mended is ours.
        let Look::Touched(_) = entry::look(&locks.layout, &key)? else {
            return Ok(self.sealed(url)?.or_else(below));
        };
        let Ok(held) = locks.take(&key)? else {
            return Ok(None);
        };
        match entry::look(&locks.layout, held.key())? {
            Look::Whole(sealed) => Ok(Some(sealed)),
            Look::Touched(touched) => Ok(touched.mend(&locks.layout, held.key())?.ok()),
            Look::Half(_) | Look::Missing => Ok(None),
        }
    }

    /// Says that a model is used now, so that it leaves last; and records one that others have put here.
    pub fn is_used(&self, url: &str) {
        let Some(locks) = &self.locks else { return };
        let key = Key::of(url);
        if let Err(error) = note_use(locks, &key, url) {
            tracing::debug!(model = url, %error, "cannot note that a model is used");
        }
        if let Some(Budget::Disk(budget)) = self.disk.as_ref().map(|room| room.budget()) {
            budget.record_use(&key);
        }
    }

    /// Whether a directory lies in this cache, or in the one below it.
    pub fn has_dir(&self, dir: &Path) -> bool {
        self.layouts().any(|layout| dir.starts_with(layout.root()))
    }

    /// The models that may leave to make room, in the order in which they would.
    pub fn next_to_leave(&self) -> Vec<Key> {
        match self.disk.as_ref().map(|room| room.budget()) {
            Some(Budget::Disk(budget)) => budget.next_to_leave(),
            _ => Vec::new(),
        }
    }

    /// Records what others have put here.
    pub fn record(&self) {
        let Some(locks) = &self.locks else { return };
        for key in unrecorded(&locks.layout) {
            if let Err(error) = adopt(&locks.layout, &key, None) {
                tracing::debug!(entry = %key, %error, "cannot record a model of others");
            }
        }
    }

    /// Records what others have put here, clears away what died, and makes everything fit its limit: to be called now and then.
    /// May take as long as the disk needs. Returns how many bytes have left.
    pub fn tidy(&self) -> u64 {
        let Some(locks) = &self.locks else { return 0 };
        reclaim(&locks.layout);
        self.record();
        let room = self.disk.as_ref();
        match room.map(|room| (room.used(), room.budget())) {
            Some((used, Budget::Disk(budget))) => budget.tidy(used),
            _ => 0,
        }
    }
}

impl Cache {
    /// Says that what is known of the disk is not true any more.
    pub(super) fn look_again(&self) {
        if let Some(Budget::Disk(budget)) = self.disk.as_ref().map(|room| room.budget()) {
            budget.look_again();
        }
    }
}

fn note_use(locks: &Locks, key: &Key, url: &str) -> Result<(), Error> {
    let layout = &locks.layout;
    match Manifest::current(layout, key) {
        None => adopt(layout, key, Some(url)),
        Some(_) => set_used(layout, key, SystemTime::now()),
    }
}

/// Records an entry that has no manifest of its own, if it looks whole; `url` is its handle, if that is known.
///
/// # Errors
///
/// The disk failed, or cannot be written.
pub(super) fn adopt(layout: &Arc<Layout>, key: &Key, url: Option<&str>) -> Result<(), Error> {
    let Some(_claim) = Claim::take(layout, key)? else {
        return Ok(()); // being filled
    };
    if Manifest::current(layout, key).is_some() {
        return Ok(());
    }
    let Look::Whole(sealed) = entry::look(layout, key)? else {
        return Ok(());
    };
    let text = plain::read_text(&layout.descriptor(key)).unwrap_or_default();
    let told = Descriptor::parse(&text).map(|descriptor| descriptor.handle);
    let handle = url.map(str::to_owned).or(told);
    // A descriptor may lie, and then nobody knows whose model it is.
    let handle = handle.filter(|handle| is_handle_of(handle, key));
    let handle = handle.unwrap_or_default();
    Manifest::of(&handle, State::Adopted, &text, &sealed).write(layout, key)?;
    if url.is_some() {
        return Ok(());
    }
    // Nobody has used it now: it is as old as it was.
    let since = ledger::written(layout, key).context("examine", layout.model(key))?;
    set_used(layout, key, since)
}

fn set_used(layout: &Layout, key: &Key, at: SystemTime) -> Result<(), Error> {
    let path = layout.manifest(key);
    let file = plain::open(&path).context("read", &path)?;
    file.set_modified(at).context("change the time of", &path)
}

/// Entries without a manifest of their own.
fn unrecorded(layout: &Layout) -> Vec<Key> {
    let entries = fs::read_dir(layout.root()).into_iter().flatten().flatten();
    let keys = entries.filter_map(|entry| Key::parse(entry.file_name().to_str()?));
    let has_none = |key: &Key| {
        let manifest = fs::symlink_metadata(layout.manifest(key)).and_then(|meta| meta.modified());
        let written = fs::symlink_metadata(layout.descriptor(key)).and_then(|meta| meta.modified());
        match (manifest, written) {
            (Err(_), _) => true,
            // Somebody filled it again.
            (Ok(manifest), Ok(written)) if written > manifest => {
                Manifest::current(layout, key).is_none()
            }
            _ => false,
        }
    };
    keys.filter(has_none).collect()
}
