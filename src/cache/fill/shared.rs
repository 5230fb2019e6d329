//! What every file of one filling shares with it.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use parking_lot::{Mutex, RwLock};

use super::super::error::{Error, Failure};
use super::super::space::reservation::Stake;
use super::super::space::room::Room;
use super::demand::Demand;
use super::filling::Filling;
use super::waiting::Progress;

/// How much a full disk is asked to give back at once, and how often.
pub(in crate::cache) const SPARE: u64 = 16 << 20;
const TRIES: u32 = 3;

#[derive(Debug)]
pub(in crate::cache) struct Shared {
    pub(super) failure: OnceLock<Failure>,
    pub(super) progress: Mutex<Progress>,
    /// The files have their final names: they are not ours to change any more.
    pub(super) sealed: AtomicBool,
    /// Of a range filling: what it takes of its room.
    pub(in crate::cache) stake: Option<Stake>,
    /// Whom to ask when the disk is full.
    room: Option<Arc<Room>>,
    demand: RwLock<Option<Arc<dyn Demand>>>,
    /// Of a range filling: the filling itself.
    filling: Weak<Filling>,
}

impl Shared {
    /// Of an archive's filling.
    pub(super) fn new(room: Option<Arc<Room>>) -> Shared {
        let progress = Mutex::new(Progress {
            bytes: 0,
            grown: Instant::now(),
        });
        Shared {
            failure: OnceLock::new(),
            progress,
            sealed: AtomicBool::new(false),
            stake: None,
            room,
            demand: RwLock::default(),
            filling: Weak::new(),
        }
    }

    /// Of a range filling.
    pub(super) fn ranged(stake: Stake, filling: Weak<Filling>) -> Shared {
        let room = stake.room.clone();
        Shared {
            stake: Some(stake),
            filling,
            ..Shared::new(Some(room))
        }
    }

    /// Whether to try again what failed with `error`: the disk was full, and parts of models have been given back for it.
    pub(super) fn has_spared(&self, error: &Error, tries: &mut u32) -> bool {
        *tries += 1;
        matches!(error, Error::NoSpace { .. })
            && *tries <= TRIES
            && self.room.as_ref().is_some_and(|room| room.spare(SPARE) > 0)
    }

    pub(super) fn grow(&self, bytes: u64) {
        let now = Instant::now();
        let mut progress = self.progress.lock();
        progress.bytes = progress.bytes.saturating_add(bytes);
        progress.grown = now;
    }

    pub(super) fn is_sealed(&self) -> bool {
        self.sealed.load(Ordering::Acquire)
    }

    pub(super) fn set_demand(&self, demand: Option<Arc<dyn Demand>>) {
        let earlier = std::mem::replace(&mut *self.demand.write(), demand);
        drop(earlier); // without the lock: it may be the last of something large
    }

    /// Tells the filler of a read. No lock is held meanwhile.
    pub(super) fn tell(&self, file: &str, range: Range<u64>, present: bool) {
        let Some(demand) = self.demand.read().clone() else {
            return;
        };
        if let Some(filling) = self.filling.upgrade() {
            demand.read(&filling, file, range, present);
        }
    }

    /// Tells the filler that a file was taken away. No lock is held meanwhile.
    pub(super) fn tell_lost(&self) {
        let demand = self.demand.read().clone();
        if let Some(demand) = demand {
            demand.lost();
        }
    }

    /// The room's clock.
    pub(super) fn now(&self) -> u64 {
        self.stake.as_ref().map_or(0, |stake| stake.room.now())
    }
}
