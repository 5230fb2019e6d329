//! Where the files of a filling lie: a directory, and what it takes of the disk.

use std::path::Path;
use std::sync::Arc;

use super::super::dirs::base::Base;
use super::super::error::{Context, Error};
use super::super::space::room::{Full, Room};
use super::super::space::staging::Staging;

/// One directory.
#[derive(Debug)]
pub(in crate::cache) struct Site {
    pub(in crate::cache) base: Arc<Base>,
    /// What it takes of the disk, if it is filled from an archive.
    pub(super) staging: Option<Staging>,
}

impl Site {
    /// A directory whose bytes are counted elsewhere.
    pub(super) fn of(base: Arc<Base>) -> Site {
        Site {
            base,
            staging: None,
        }
    }

    /// `dir` is an empty directory that nobody else writes to; `room` gives back when its disk is full.
    pub(super) fn new(dir: &Path, room: Option<Arc<Room>>) -> Result<Site, Error> {
        let base = Base::open(dir).context("open", dir)?;
        Ok(Site {
            base: Arc::new(base),
            staging: room.map(|room| Staging::new(room, dir)),
        })
    }

    /// Reserves `bytes` more.
    ///
    /// # Errors
    ///
    /// There is no space, and nothing can be evicted for it.
    pub(super) fn grow(&self, bytes: u64) -> Result<(), Full> {
        match &self.staging {
            Some(staging) => staging.grow(bytes),
            None => Ok(()),
        }
    }

    /// Records that `bytes` of them are on the disk.
    pub(super) fn wrote(&self, bytes: u64) {
        if let Some(staging) = &self.staging {
            staging.wrote(bytes);
        }
    }
}
