//! Looking after the cache while a mount lives: what others put there is recorded, what is too much leaves, and every byte
//! is read again now and then.

use std::thread::sleep;
use std::time::{Duration, SystemTime};

use super::Models;

/// How often the cache is looked at.
const LOOK: Duration = Duration::from_secs(30);

/// How fast complete models are read to find flipped bits: a terabyte in three days, and nothing that a disk feels.
const SCRUB: u64 = 4 << 20;

/// For one byte.
const SCRUB_PIECE: Duration = Duration::from_nanos(1_000_000_000 / SCRUB);

impl Models {
    /// Looks after the cache for as long as the process lives, and calls `also` each time. To be given a thread of its own.
    pub fn maintain(&self, also: impl Fn()) {
        loop {
            also();
            crate::cache::Upkeep::of(&self.shared.cache).tidy();
            sleep(LOOK);
        }
    }

    /// Reads every model again and again, slowly, and has those that are wrong fetched again, for as long as the process lives.
    /// Of all processes that share the directory one does so at a time. To be given a thread of its own.
    pub fn scrub(&self) {
        loop {
            if let Some(_turn) = crate::cache::Upkeep::of(&self.shared.cache).lock() {
                self.scrub_once();
            }
            sleep(LOOK);
        }
    }

    fn scrub_once(&self) {
        let cache = &self.shared.cache;
        let mut keys = crate::cache::Inventory::of(cache).keys();
        // Somewhere else at every start: a host that restarts every day reads all of a large cache in the end.
        let clock = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let first = usize::try_from(clock.as_secs()).unwrap_or_default() % keys.len().max(1);
        keys.rotate_left(first);
        for key in keys {
            let pace = |bytes| sleep(SCRUB_PIECE * u32::try_from(bytes).unwrap_or(u32::MAX));
            if let Err(error) = crate::cache::Integrity::of(cache).scrub(&key, pace) {
                tracing::warn!(entry = %key, %error, "a model of the cache cannot be read through");
            }
        }
    }
}
