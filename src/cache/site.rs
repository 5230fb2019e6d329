//! Where the files of a filling lie: a directory, what it takes of the disk, and what those who follow are told of it.

use std::path::Path;
use std::sync::Arc;

use super::base::Base;
use super::error::{Context, Error};
use super::journal::{Event, Journal};
use super::room::{Full, Room};
use super::staging::Staging;

/// One directory. A filling changes it at most when whoever filled the earlier one has died.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) base: Arc<Base>,
    /// What it takes of the disk, if it is ours to fill from an archive.
    pub(super) staging: Option<Staging>,
    /// Whom to tell, if it is ours.
    journal: Option<Arc<Journal>>,
}

impl Site {
    /// A directory that others fill, or that is counted elsewhere.
    pub(super) fn of(base: Arc<Base>) -> Site {
        Site {
            base,
            staging: None,
            journal: None,
        }
    }

    /// `dir` is an empty directory that nobody else writes to; `room` gives back when its disk is full.
    pub(super) fn new(
        dir: &Path,
        room: Option<Arc<Room>>,
        journal: Option<Arc<Journal>>,
    ) -> Result<Site, Error> {
        let base = Base::open(dir).context("open", dir)?;
        Ok(Site {
            base: Arc::new(base),
            staging: room.map(|room| Staging::new(room, dir)),
            journal,
        })
    }

    /// Makes room for so many bytes more.
    ///
    /// # Errors
    ///
    /// There is none, and nothing may leave for them.
    pub(super) fn grow(&self, bytes: u64) -> Result<(), Full> {
        match &self.staging {
            Some(staging) => staging.grow(bytes),
            None => Ok(()),
        }
    }

    /// Says that so many of them are on the disk.
    pub(super) fn wrote(&self, bytes: u64) {
        if let Some(staging) = &self.staging {
            staging.wrote(bytes);
        }
    }

    /// Tells those who follow.
    pub(super) fn tell(&self, event: &Event) {
        if let Some(journal) = &self.journal {
            journal.tell(event);
        }
    }
}
