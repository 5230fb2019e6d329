//! A cache directory that is served as it is: another user's, or on a read-only disk.
//!
//! Nothing is written there, so nothing is mended, recorded or evicted either. What is not whole there counts as missing.

use super::entry::{self, Look};
use super::layout::{Key, Layout};
use super::manifest::Manifest;
use super::outline::Outline;
use super::sealed::Sealed;

/// The directory, below the one that is ours.
#[derive(Debug)]
pub(super) struct Lower {
    pub(super) layout: Layout,
}

impl Lower {
    pub(super) fn new(layout: Layout) -> Lower {
        Lower { layout }
    }

    /// A model that has every name and size that it should have. Times may differ: images and archives round them.
    pub(super) fn sealed(&self, key: &Key) -> Option<Sealed> {
        match entry::look(&self.layout, key) {
            Ok(Look::Whole(sealed)) => Some(sealed),
            Ok(Look::Touched(touched)) => Some(touched.unmended()),
            Ok(Look::Half(_) | Look::Missing) => None,
            Err(error) => {
                tracing::debug!(entry = %key, %error, "a model of another's cache cannot be read");
                None
            }
        }
    }

    /// The names in a model that was complete there.
    pub(super) fn outline(&self, key: &Key) -> Option<Outline> {
        Manifest::read(&self.layout, key)?.outline()
    }
}
