//! A cache directory that is served as it is: another user's, or on a read-only disk.
//!
//! Nothing is written there, so nothing is mended, recorded or evicted either. What is not whole there counts as missing.

use std::collections::HashMap;
use std::time::SystemTime;

use parking_lot::Mutex;

use super::entry::{self, Look};
use super::layout::{Key, Layout};
use super::manifest::Manifest;
use super::outline::Outline;
use super::sealed::Sealed;

/// The directory, below the one that is ours.
#[derive(Debug)]
pub(super) struct Lower {
    pub(super) layout: Layout,
    /// Models whose files have other times than they had, and were read and found right.
    read: Mutex<HashMap<Key, Vec<(String, SystemTime)>>>,
}

impl Lower {
    pub(super) fn new(layout: Layout) -> Lower {
        Lower {
            layout,
            read: Mutex::default(),
        }
    }

    /// A model that has every name and size that it should have. Times may differ (images and archives round them) if
    /// [`Lower::judged`] has found it right.
    pub(super) fn sealed(&self, key: &Key) -> Option<Sealed> {
        match self.look(key) {
            Look::Whole(sealed) => Some(sealed),
            Look::Touched(touched) => {
                let is_right = self.read.lock().get(key) == Some(&touched.stamp());
                is_right.then(|| touched.unmended())
            }
            Look::Half(_) | Look::Missing => None,
        }
    }

    /// The same, after reading what has another time than it had. May take as long as reading it does.
    pub(super) fn judged(&self, key: &Key) -> Option<Sealed> {
        if let Some(sealed) = self.sealed(key) {
            return Some(sealed);
        }
        let Look::Touched(mut touched) = self.look(key) else {
            return None;
        };
        if !touched.is_right() {
            tracing::warn!(entry = %self.layout.model(key).display(), "a copy that is not ours to write has other bytes than when it was complete; it is passed over");
            return None;
        }
        self.read.lock().insert(*key, touched.stamp());
        Some(touched.unmended())
    }

    fn look(&self, key: &Key) -> Look {
        entry::look(&self.layout, key).unwrap_or_else(|error| {
            tracing::debug!(entry = %key, %error, "a model of another's cache cannot be read");
            Look::Missing
        })
    }

    /// The names in a model that was complete there.
    pub(super) fn outline(&self, key: &Key) -> Option<Outline> {
        Manifest::read(&self.layout, key)?.outline()
    }
}
