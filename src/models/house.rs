//! Looking after the cache while a mount lives: what others put there is recorded, what is too much leaves, and every byte
//! is read again now and then.

use std::thread::sleep;
use std::time::Duration;

use super::Models;

/// How often the cache is looked at.
const LOOK: Duration = Duration::from_secs(30);

/// How fast complete models are read to find flipped bits: a terabyte in three days, and nothing that a disk feels.
const SCRUB: u64 = 4 << 20;

impl Models {
    /// Looks after the cache for as long as the process lives, and calls `also` each time. To be given a thread of its own.
    pub fn keep_house(&self, also: impl Fn()) {
        let mut scrubbed = 0;
        loop {
            also();
            self.shared.cache.tidy();
            // One process does it for all that share the directory.
            if let Some(_turn) = self.shared.cache.takes_turn() {
                scrubbed = self.scrub(scrubbed, LOOK);
            } else {
                sleep(LOOK);
            }
        }
    }

    /// Reads models from number `next` on for about as long as `span`; returns the number to go on with.
    fn scrub(&self, next: usize, span: Duration) -> usize {
        let cache = &self.shared.cache;
        let keys = cache.keys();
        let mut left = SCRUB * span.as_secs();
        for (number, key) in keys.iter().enumerate().skip(next) {
            let pace = |bytes: usize| {
                sleep(SCRUB_PIECE * u32::try_from(bytes).unwrap_or(u32::MAX));
                left = left.saturating_sub(bytes as u64);
            };
            if let Err(error) = cache.scrub(key, pace) {
                tracing::warn!(entry = %key, %error, "a model of the cache cannot be read through");
            }
            if left == 0 {
                return number + 1;
            }
        }
        sleep(SCRUB_PIECE.saturating_mul(u32::try_from(left).unwrap_or(u32::MAX)));
        0
    }
}

/// For one byte.
const SCRUB_PIECE: Duration = Duration::from_nanos(1_000_000_000 / SCRUB);
