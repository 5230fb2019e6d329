//! Models that others put into the directory: they are recorded, so that their names and their last use stay known.

use std::fs;
use std::sync::Arc;
use std::time::SystemTime;

use crate::hubdir::{Descriptor, is_handle_of};

use super::dirs::plain;
use super::error::{Context, Error};
use super::layout::{Key, Layout};
use super::lock::Claim;
use super::sealed::entry::{self, EntryState};
use super::sealed::manifest::{Manifest, State};
use super::space::ledger;

/// Records that a model of ours is used now, and the model itself if others put it here.
///
/// # Errors
///
/// The disk failed, or cannot be written.
pub(super) fn note_use(layout: &Arc<Layout>, key: &Key, url: &str) -> Result<(), Error> {
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
    let EntryState::Whole(sealed) = entry::state(layout, key)? else {
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
pub(super) fn unrecorded(layout: &Layout) -> Vec<Key> {
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
