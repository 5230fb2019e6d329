//! What leaves the cache to make space: chosen by one at a time, and then taken away beside others.
//!
//! What is chosen counts no more from that moment on, so that nobody else chooses for the same bytes; what turns out to be in
//! use counts again. Choosing looks at memory only. Taking away is a rename into the trash; the sweeper deletes.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use super::budget::{DiskBudget, Leave};
use super::evict::{self, Stays};
use super::ledger::Row;

/// How long nobody is asked to leave after nobody could.
const STUCK_FOR: Duration = Duration::from_secs(1);
/// Parts do not go to make everything fit for less than this share of them: they go piece by piece when they are written
/// again. Bytes are counted while they are open, and not the pages that they lie in, their plan and their map; and what was
/// waited for may have exceeded the limit. Without this, a model larger than the limit would be gone after a restart.
const EXCESS_SHARE: u64 = 8;

/// Something that leaves.
#[derive(Debug)]
pub(super) struct Leaving {
    used: SystemTime,
    bytes: u64,
    what: What,
}

#[derive(Debug)]
enum What {
    Parts(String),
    Model(Row),
}

impl Leaving {
    fn of(row: Row) -> Leaving {
        Leaving {
            used: row.used,
            bytes: row.bytes,
            what: What::Model(row),
        }
    }

    fn name(&self) -> String {
        match &self.what {
            What::Parts(name) => format!("parts of {name}"),
            What::Model(row) => row.key.to_string(),
        }
    }
}

/// What stays, and how often it was tried: what was used since it was chosen may still be the oldest.
#[derive(Debug, Default)]
pub(super) struct Tried(HashMap<String, u32>);

impl Tried {
    const ENOUGH: u32 = 2;

    fn has(&self, leaving: &Leaving) -> bool {
        !self.0.is_empty()
            && self
                .0
                .get(&leaving.name())
                .is_some_and(|count| *count >= Tried::ENOUGH)
    }

    fn add(&mut self, leaving: &Leaving, stays: Stays) {
        let count = self.0.entry(leaving.name()).or_default();
        *count += match stays {
            Stays::Used(_) => 1,
            _ => Tried::ENOUGH,
        };
    }
}

impl DiskBudget {
    /// Chooses what is to leave for `lack` bytes, the longest unused first, but what was tried. It counts no more from now
    /// on, and is to be given to [`DiskBudget::evict`]. If no model can leave, none is asked for a while.
    pub(super) fn choose(&self, lack: u64, may: Leave, tried: &Tried) -> Vec<Leaving> {
        let is_stuck = || self.stuck.lock().is_some_and(|at| at.elapsed() < STUCK_FOR);
        let may = match may {
            Leave::Models if is_stuck() => Leave::Parts,
            may => may,
        };
        let chosen = self.choose_until(may, tried, |sum, _| sum >= lack);
        if chosen.is_empty() && may == Leave::Models {
            *self.stuck.lock() = Some(Instant::now());
        }
        chosen
    }

    fn choose_until(
        &self,
        may: Leave,
        tried: &Tried,
        enough: impl Fn(u64, &Leaving) -> bool,
    ) -> Vec<Leaving> {
        let parts = self.idle.rows().into_iter().map(|(name, idle)| Leaving {
            used: idle.used,
            bytes: idle.bytes,
            what: What::Parts(name),
        });
        let mut parts: Vec<Leaving> = parts.collect();
        parts.sort_unstable_by_key(|parts| Reverse(parts.used));
        let next_model = |after| match may {
            Leave::Models => self.ledger.next(after, |row| self.may_leave(row)),
            Leave::Parts => None,
        };
        let mut model = next_model(None);
        let (mut chosen, mut sum) = (Vec::new(), 0u64);
        loop {
            let is_part_older = parts.last().is_some_and(|part| {
                let of_model = model.as_ref().map(|row| row.used);
                of_model.is_none_or(|used| part.used <= used)
            });
            let next = match is_part_older {
                true => parts.pop(),
                false => model.take().map(|row| {
                    model = next_model(Some((row.used, row.key)));
                    Leaving::of(row)
                }),
            };
            let Some(next) = next else {
                break;
            };
            if tried.has(&next) {
                continue;
            }
            if enough(sum, &next) {
                break;
            }
            let is_ours = match &next.what {
                What::Parts(name) => self.idle.take(name),
                What::Model(row) => self.ledger.forget(&row.key),
            };
            if is_ours {
                self.leaving.fetch_add(next.bytes, Ordering::Relaxed);
                sum = sum.saturating_add(next.bytes);
                chosen.push(next);
            }
        }
        chosen
    }

    /// Takes away what was chosen. Returns how many bytes have gone; what stays counts again, and is added to `tried`.
    pub(super) fn evict(&self, chosen: Vec<Leaving>, tried: &mut Tried) -> u64 {
        let mut freed: u64 = 0;
        for leaving in chosen {
            let moved = match &leaving.what {
                What::Parts(name) => self.idle.bury(name, leaving.bytes).ok_or(Stays::InUse),
                What::Model(row) => self.evict_model(row),
            };
            match moved {
                Ok(grave) => {
                    freed = freed.saturating_add(leaving.bytes);
                    if let Some(grave) = grave {
                        self.sweeper.push(grave, leaving.bytes);
                    }
                }
                Err(stays) => tried.add(&leaving, stays),
            }
            self.leaving.fetch_sub(leaving.bytes, Ordering::Relaxed);
        }
        freed
    }

    fn evict_model(&self, row: &Row) -> Result<Option<PathBuf>, Stays> {
        let stays = match evict::evict(&self.layout, row) {
            Ok(Ok(grave)) => {
                tracing::info!(entry = %row.key, bytes = row.bytes, "evicted to make space");
                self.ledger.forget(&row.key); // a look at the disk may have found it meanwhile
                return Ok(grave);
            }
            Ok(Err(stays)) => stays,
            Err(error) => {
                tracing::warn!(%error, "cannot evict a model");
                Stays::InUse
            }
        };
        tracing::debug!(entry = %row.key, %stays, "not evicted");
        let used = match stays {
            Stays::Used(at) => at,
            _ => SystemTime::now(),
        };
        self.ledger.record(&row.key);
        self.ledger.record_use(&row.key, used);
        Err(stays)
    }

    /// Makes everything fit again that has grown without asking: what others put there, or a limit that is lower now. The
    /// disk's space is only looked after when something comes.
    pub(in crate::cache) fn tidy(&self, used: u64) -> u64 {
        self.idle.survey();
        self.look();
        let cap = self.cap(self.whole(used).disk);
        let (mut freed, mut tried) = (0u64, Tried::default());
        loop {
            let over = self.taken(used).saturating_sub(cap);
            if over == 0 {
                break;
            }
            let chosen = self.choose_until(Leave::Models, &tried, |sum, next| {
                let left = over.saturating_sub(sum);
                match next.what {
                    What::Parts(_) => left <= next.bytes / EXCESS_SHARE,
                    What::Model(_) => left == 0,
                }
            });
            if chosen.is_empty() {
                break;
            }
            freed = freed.saturating_add(self.evict(chosen, &mut tried));
        }
        self.sweeper.drain();
        freed
    }
}

impl Drop for DiskBudget {
    fn drop(&mut self) {
        self.sweeper.drain();
    }
}
