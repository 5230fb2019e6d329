//! Clearing away what died, recording what others put here, and making everything fit.

use std::fs;

use crate::os::lock::Locked;

use super::super::adopt::{adopt, unrecorded};
use super::super::error::{Context, Error, if_there};
use super::super::layout::{FILE_MODE, Key, Layout};
use super::super::opening::reclaim;
use super::super::root::Cache;
use super::super::space::budget::Budget;
use super::super::space::evict::{self, Stays};
use super::super::space::idle;
use super::super::trash;

/// What keeps a cache in order.
#[derive(Debug)]
pub struct Upkeep<'a> {
    cache: &'a Cache,
}

impl<'a> Upkeep<'a> {
    /// The upkeep of `cache`.
    pub fn of(cache: &'a Cache) -> Upkeep<'a> {
        Upkeep { cache }
    }

    /// Takes the right to scrub this directory, which one process has at a time; `None` if another has it.
    pub fn lock(&self) -> Option<Locked> {
        let layout = self.cache.own()?.layout();
        Locked::open(&layout.house(), FILE_MODE).ok()?
    }

    /// Records models that others have put here.
    pub fn record(&self) {
        let Some(locks) = self.cache.own() else {
            return;
        };
        for key in unrecorded(locks.layout()) {
            if let Err(error) = adopt(locks.layout(), &key, None) {
                tracing::debug!(entry = %key, %error, "cannot record a model of others");
            }
        }
    }

    /// Records what others have put here, clears away what died, and evicts what exceeds the limit. Takes as long as the disk
    /// needs. Returns how many bytes were evicted.
    pub fn tidy(&self) -> u64 {
        let Some(locks) = self.cache.own() else {
            return 0;
        };
        reclaim(locks.layout());
        self.record();
        let room = self.cache.disk();
        match room.map(|room| (room.used(), room.budget())) {
            Some((used, Budget::Disk(budget))) => budget.tidy(used),
            _ => 0,
        }
    }

    /// Takes a model out of the cache. `forget` takes what is known of it, and its pin, too; then a copy in a directory that
    /// is not ours to write counts: the model stays.
    ///
    /// # Errors
    ///
    /// The disk failed, or cannot be written.
    pub fn remove(&self, key: &Key, forget: bool) -> Result<Result<(), Stays>, Error> {
        let mut below = self.cache.read_only_layouts();
        let is_below = below.any(|layout| is_known(layout, key));
        let ours = self.cache.own().map(|locks| locks.layout());
        let Some(layout) = ours.filter(|ours| !is_below || is_known(ours, key)) else {
            return Ok(if is_below {
                Err(Stays::NotOurs)
            } else {
                Ok(())
            });
        };
        let pin = layout.pin(key);
        if !forget && fs::symlink_metadata(&pin).is_ok() {
            return Ok(Err(Stays::Pinned));
        }
        match evict::remove(layout, key)? {
            Ok(Some(grave)) => trash::delete(layout, grave),
            Ok(None) => {}
            Err(stays) => return Ok(Err(stays)),
        }
        if !idle::discard(layout, &key.to_string()) {
            return Ok(Err(Stays::InUse));
        }
        if forget {
            for path in [layout.manifest(key), pin] {
                if_there(fs::remove_file(&path)).context("remove", &path)?;
            }
        }
        self.cache.look_again();
        Ok(match forget && is_below {
            true => Err(Stays::NotOurs),
            false => Ok(()),
        })
    }
}

/// Whether a directory has anything about a model.
fn is_known(layout: &Layout, key: &Key) -> bool {
    let parts = layout.parts().join(key.to_string());
    let paths = [
        layout.model(key),
        layout.manifest(key),
        layout.pin(key),
        layout.lock(key),
        parts,
    ];
    paths.iter().any(|path| fs::symlink_metadata(path).is_ok())
}
