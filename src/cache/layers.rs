//! The places where a complete model may be, in the order in which they are asked.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;

use crate::handle::Handle;

use super::error::Error;
use super::layout::{Key, Layout};
use super::lock::Locks;
use super::sealed::Sealed;
use super::sealed::entry::{self, EntryState};
use super::sealed::kagglehub;

/// One place.
#[derive(Debug)]
pub(super) enum Layer {
    /// Our cache directory, which is ours to write.
    Own(Arc<Locks>),
    /// A cache directory that is served as it is: another user's, or on a read-only disk.
    ReadOnly(Box<ReadOnly>),
    /// kagglehub's cache, which has another layout.
    Kagglehub(PathBuf),
}

impl Layer {
    /// The directory, if it is in tensorflow_hub's layout.
    pub(super) fn layout(&self) -> Option<&Layout> {
        match self {
            Layer::Own(locks) => Some(locks.layout()),
            Layer::ReadOnly(dir) => Some(&dir.layout),
            Layer::Kagglehub(_) => None,
        }
    }

    /// The model with this handle, if it is complete here.
    ///
    /// # Errors
    ///
    /// Its entry in our own directory is no directory, or cannot be read.
    pub(super) fn sealed(&self, url: &str) -> Result<Option<Sealed>, Error> {
        match self {
            Layer::Own(locks) => match entry::state(locks.layout(), &Key::of(url))? {
                EntryState::Whole(sealed) => Ok(Some(sealed)),
                _ => Ok(None),
            },
            Layer::ReadOnly(dir) => Ok(dir.sealed(&Key::of(url))),
            Layer::Kagglehub(root) => Ok(find_in_kagglehub(root, url)),
        }
    }

    /// Mends a model whose entry somebody has touched, if that takes nothing but the disk. May read all of it.
    ///
    /// # Errors
    ///
    /// The disk failed, or cannot be written.
    pub(super) fn mend(&self, url: &str) -> Result<Option<Sealed>, Error> {
        match self {
            Layer::Own(locks) => mend(locks, &Key::of(url)),
            Layer::ReadOnly(dir) => Ok(dir.judged(&Key::of(url))),
            Layer::Kagglehub(root) => Ok(find_in_kagglehub(root, url)),
        }
    }
}

fn find_in_kagglehub(root: &std::path::Path, url: &str) -> Option<Sealed> {
    kagglehub::find(root, &Handle::parse(url).ok()?.variation()?)
}

fn mend(locks: &Locks, key: &Key) -> Result<Option<Sealed>, Error> {
    match entry::state(locks.layout(), key)? {
        EntryState::Touched(_) => {}
        EntryState::Whole(sealed) => return Ok(Some(sealed)),
        EntryState::Half(_) | EntryState::Missing => return Ok(None),
    }
    let Ok(held) = locks.take(key)? else {
        return Ok(None);
    };
    match entry::state(locks.layout(), held.key())? {
        EntryState::Whole(sealed) => Ok(Some(sealed)),
        EntryState::Touched(touched) => Ok(touched.mend(locks.layout(), held.key())?.ok()),
        EntryState::Half(_) | EntryState::Missing => Ok(None),
    }
}

/// A cache directory in which nothing is written, so nothing is mended, recorded or evicted either. What is not whole there
/// counts as missing.
#[derive(Debug)]
pub(super) struct ReadOnly {
    layout: Layout,
    /// Models whose files have other times than they had, and were read and found right.
    read: Mutex<HashMap<Key, Vec<(String, SystemTime)>>>,
}

impl ReadOnly {
    pub(super) fn new(layout: Layout) -> ReadOnly {
        ReadOnly {
            layout,
            read: Mutex::default(),
        }
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// A model that has every name and size that it should have. Times may differ (images and archives round them) if
    /// [`ReadOnly::judged`] has found it right.
    pub(super) fn sealed(&self, key: &Key) -> Option<Sealed> {
        match self.state(key) {
            EntryState::Whole(sealed) => Some(sealed),
            EntryState::Touched(touched) => {
                let is_right = self.read.lock().get(key) == Some(&touched.stamp());
                is_right.then(|| touched.unmended())
            }
            EntryState::Half(_) | EntryState::Missing => None,
        }
    }

    /// A model, after reading what has another time than it had.
    fn judged(&self, key: &Key) -> Option<Sealed> {
        if let Some(sealed) = self.sealed(key) {
            return Some(sealed);
        }
        let EntryState::Touched(mut touched) = self.state(key) else {
            return None;
        };
        if !touched.verify_touched() {
            tracing::warn!(entry = %self.layout.model(key).display(), "a copy that is not ours to write has other bytes than when it was complete; it is passed over");
            return None;
        }
        self.read.lock().insert(*key, touched.stamp());
        Some(touched.unmended())
    }

    fn state(&self, key: &Key) -> EntryState {
        entry::state(&self.layout, key).unwrap_or_else(|error| {
            tracing::debug!(entry = %key, %error, "a model of another's cache cannot be read");
            EntryState::Missing
        })
    }
}
