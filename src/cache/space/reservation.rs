//! What one filling takes of a room.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::budget::Leave;
use super::room::Room;
use super::turns::{Shortage, Turn};

/// What one filling has taken of a room. Dropped, it gives that back.
#[derive(Debug)]
pub(in crate::cache) struct Stake {
    pub(in crate::cache) room: Arc<Room>,
    /// What may leave for it.
    may: Leave,
    bytes: AtomicU64,
    /// What all of it will take.
    whole: u64,
    /// Its place among the models that are to come whole.
    turn: Mutex<Option<u64>>,
    /// A write was refused although space was reserved for all of it.
    refused: AtomicBool,
}

impl Stake {
    /// Of a filling that takes `whole` bytes if all of it comes.
    pub(in crate::cache) fn new(room: Arc<Room>, whole: u64) -> Stake {
        Stake {
            may: room.may_leave_for(whole),
            room,
            bytes: AtomicU64::new(0),
            whole,
            turn: Mutex::default(),
            refused: AtomicBool::new(false),
        }
    }

    /// As [`Room::admit`]. What comes for a model with space reserved for all of it is as good as awaited, as long as there
    /// is any.
    pub(in crate::cache) fn admit(&self, cost: u64, awaited: bool) -> bool {
        let reserved = self.is_reserved();
        let may = if reserved { Leave::Models } else { self.may };
        let admitted = self.room.admit(cost, awaited, reserved, may);
        if !admitted {
            self.refuse();
        }
        admitted
    }

    /// Bytes that nobody waits for cannot be kept.
    pub(in crate::cache) fn refuse(&self) {
        self.refused.store(true, Ordering::Release);
    }

    /// Whether all of it has space reserved, so that nothing of it is given back.
    pub(in crate::cache) fn is_reserved(&self) -> bool {
        let turn = *self.turn.lock();
        turn.is_some_and(|id| self.room.turns.is_reserved(id))
    }

    /// Reserves space for all of it, beside others that are to come whole.
    ///
    /// # Errors
    ///
    /// It does not fit, or a write was refused and no other model makes way.
    pub(in crate::cache) fn reserve(&self) -> Result<Turn, Shortage> {
        let turns = &self.room.turns;
        let id = *self
            .turn
            .lock()
            .get_or_insert_with(|| turns.join(self.whole));
        let refused = self.refused.swap(false, Ordering::AcqRel) && turns.is_reserved(id);
        let mut shortage = None;
        let turn = match refused && !turns.yield_latest() {
            true => None,
            false => turns.reserve(id, |together| {
                shortage = self.room.shortage(self.whole, together);
                shortage.is_none()
            }),
        };
        turn.ok_or_else(|| {
            self.leave();
            let there = self.bytes.load(Ordering::Relaxed);
            shortage.unwrap_or_else(|| self.room.refused(self.whole, there))
        })
    }

    fn leave(&self) {
        if let Some(id) = self.turn.lock().take() {
            self.room.turns.leave(id);
        }
    }

    /// Counts bytes that were there before this run.
    pub(in crate::cache) fn begin_with(&self, bytes: u64) {
        self.room.add(bytes);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Settles what was admitted against what was written.
    pub(in crate::cache) fn settle(&self, admitted: u64, written: u64) {
        self.bytes.fetch_add(written, Ordering::Relaxed);
        // Bytes of a block that another write made meanwhile may be more than were admitted for them.
        if written > admitted {
            self.room.add(written - admitted);
        } else {
            self.room.release(admitted - written);
        }
    }

    /// Says that so many bytes are gone.
    pub(in crate::cache) fn lose(&self, bytes: u64) {
        let less = |had: u64| Some(had.saturating_sub(bytes));
        // After its end nothing is left to lose.
        let had = self
            .bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        self.room.release(had.unwrap_or(0).min(bytes));
    }

    /// Ends the stake: the bytes are somebody else's to count.
    pub(in crate::cache) fn take(&self) -> u64 {
        let bytes = self.bytes.swap(0, Ordering::Relaxed);
        self.room.release(bytes);
        self.leave();
        bytes
    }
}

impl Drop for Stake {
    fn drop(&mut self) {
        self.take();
    }
}
