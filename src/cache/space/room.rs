//! How much the bytes of range fillings may take together, and whose go when that is too much.
//!
//! A write asks for room first. Over the limit, segments are given back in the order of [`Worth`]: what was read longest ago
//! first. Bytes that somebody waits for, or has waited for and not fetched yet, stay. Bytes that were read ahead give way
//! only to bytes that somebody waits for, and those are taken in even if nothing can go: so every reader gets what it
//! waits for, however little room there is, and the limit is exceeded by what is being waited for at most.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use parking_lot::Mutex;

use super::super::fill::fillfile::FillFile;
use super::super::fill::filling::Filling;
use super::super::fill::giveback::Unit;
use super::super::fill::segments::Worth;
use super::budget::{Budget, Leave};
use super::leaving::Tried;
use super::turns::{Remedy, Shortage, Turns};

/// What is given back in one go beyond what is needed at once: this share of the limit, and at most so many bytes.
const SLACK_SHARE: u64 = 64;
const MAX_SLACK: u64 = 64 << 20;

/// One pool of bytes: the parts on disk, or those in memory.
#[derive(Debug)]
pub(in crate::cache) struct Room {
    budget: Budget,
    /// Bytes of fillings that are open, with those that are about to be written.
    used: AtomicU64,
    fillings: Mutex<Vec<Weak<Filling>>>,
    /// One gives back at a time.
    giving: Mutex<()>,
    pub(super) turns: Turns,
    born: Instant,
}

impl Room {
    pub(in crate::cache) fn new(budget: Budget) -> Arc<Room> {
        Arc::new(Room {
            budget,
            used: AtomicU64::new(0),
            fillings: Mutex::default(),
            giving: Mutex::default(),
            turns: Turns::default(),
            born: Instant::now(),
        })
    }

    /// The clock of the segments of fills: nanoseconds, never 0.
    pub(in crate::cache) fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_nanos()).map_or(u64::MAX, |now| now.max(1))
    }

    pub(in crate::cache) fn budget(&self) -> &Budget {
        &self.budget
    }

    pub(in crate::cache) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Lets the segments of a filling be given back from now on.
    pub(in crate::cache) fn enter(&self, filling: &Arc<Filling>) {
        let mut fillings = self.fillings.lock();
        fillings.retain(|other| other.strong_count() > 0);
        fillings.push(Arc::downgrade(filling));
    }

    /// Makes room for `cost` bytes and counts them as used. `false`: nobody waits for them, and nothing may go for them.
    /// What was read ahead goes for them if they are `awaited` or have space `reserved`; `may` says what goes besides.
    pub(super) fn admit(&self, cost: u64, awaited: bool, reserved: bool, may: Leave) -> bool {
        self.used.fetch_add(cost, Ordering::Relaxed);
        if may == Leave::Models {
            self.evict(may, || self.budget.excess(self.used()));
        }
        if self.over() == 0 {
            return true;
        }
        self.give_back(awaited || reserved, Leave::Parts, || self.over());
        if awaited || self.over() == 0 {
            return true;
        }
        self.release(cost);
        false
    }

    fn over(&self) -> u64 {
        let used = self.used();
        used.saturating_sub(self.budget.limit(used))
    }

    /// Makes room for so many bytes of a model that is being unpacked, and counts them.
    ///
    /// # Errors
    ///
    /// Nothing more may go.
    pub(super) fn stage(&self, bytes: u64) -> Result<(), Full> {
        let Budget::Disk(disk) = &self.budget else {
            return Ok(());
        };
        disk.stage(bytes);
        let lacking = || disk.excess(self.used());
        while lacking() > 0 {
            // What never fits pushes nothing out.
            let fits = disk.could_fit(self.used());
            let may = if fits { Leave::Models } else { Leave::Parts };
            let given = self.give_back(true, may, lacking);
            // Otherwise others may have taken what was given.
            if given == Some(0) && lacking() > 0 {
                disk.record_written(bytes);
                disk.unstage(bytes);
                return Err(Full { fits });
            }
        }
        Ok(())
    }

    /// What may leave for a filling of so many bytes: one that never fits pushes nothing out that is complete.
    pub(super) fn may_leave_for(&self, bytes: u64) -> Leave {
        match &self.budget {
            Budget::Disk(disk) if bytes <= disk.room(self.used()) => Leave::Models,
            _ => Leave::Parts,
        }
    }

    /// Why a model of so many bytes does not fit beside what cannot leave, if it is to come whole with `together` bytes of
    /// all that do.
    pub(super) fn shortage(&self, bytes: u64, together: u64) -> Option<Shortage> {
        match &self.budget {
            Budget::Memory(limit) => (together > *limit).then_some(Shortage {
                needs: bytes,
                has: *limit,
                remedy: Remedy::Memory(together),
            }),
            Budget::Disk(disk) => disk.shortage(self.used(), bytes, together),
        }
    }

    /// The same for a model that was thought to fit, of which so many bytes are there.
    pub(super) fn refused(&self, bytes: u64, there: u64) -> Shortage {
        self.shortage(bytes, bytes).unwrap_or(Shortage {
            needs: bytes,
            has: there,
            remedy: Remedy::Disk(bytes.saturating_sub(there)),
        })
    }

    /// Counts bytes that are there without having been admitted.
    pub(super) fn add(&self, bytes: u64) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Corrects what [`Room::admit`] counted.
    pub(super) fn release(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Gives at least `bytes` back if so many may go: the disk is full. Returns how many went.
    pub(in crate::cache) fn spare(&self, bytes: u64) -> u64 {
        // What has left already is enough, once it is deleted.
        if let Budget::Disk(disk) = &self.budget {
            let swept = disk.sweeper.drain();
            if swept > 0 {
                return swept;
            }
        }
        let before = self.used();
        let shrunk = || before.saturating_sub(self.used());
        let mut evicted = 0;
        if let Budget::Disk(disk) = &self.budget {
            let mut tried = Tried::default();
            while evicted < bytes {
                let chosen = disk.choose(bytes - evicted, Leave::Models, &tried);
                if chosen.is_empty() {
                    break;
                }
                evicted += disk.evict(chosen, &mut tried);
            }
            disk.sweeper.drain();
        }
        self.give_back(true, Leave::Parts, || {
            bytes.saturating_sub(evicted).saturating_sub(shrunk())
        });
        evicted.saturating_add(shrunk())
    }

    /// Evicts until nothing is `lacking`; `None`: nothing was. Whoever chooses does so alone, and evicts beside others.
    fn evict(&self, may: Leave, lacking: impl Fn() -> u64) -> Option<u64> {
        let Budget::Disk(disk) = &self.budget else {
            return (lacking() > 0).then_some(0);
        };
        let (mut freed, mut tried) = (None, Tried::default());
        while lacking() > 0 {
            let chosen = {
                let _one = self.giving.lock();
                match lacking() {
                    0 => break,
                    lack => disk.choose(lack, may, &tried),
                }
            };
            let before = freed.unwrap_or(0);
            freed = Some(before);
            if chosen.is_empty() {
                break;
            }
            freed = Some(disk.evict(chosen, &mut tried).saturating_add(before));
        }
        freed
    }

    /// Gives back until nothing is `lacking`, and some more. `None`: nothing is, because somebody else has done so meanwhile.
    fn give_back(&self, fresh_too: bool, may: Leave, lacking: impl Fn() -> u64) -> Option<u64> {
        let evicted = self.evict(may, &lacking);
        let _one = self.giving.lock();
        let lack = lacking();
        if lack == 0 {
            return evicted;
        }
        let slack = (self.budget.limit(self.used()) / SLACK_SHARE).min(MAX_SLACK);
        let shrunk = self.shrink(lack.saturating_add(slack), lack, fresh_too);
        Some(evicted.unwrap_or(0).saturating_add(shrunk))
    }

    /// Takes `want` bytes of what has been used, or at least `lack` bytes of what has just been fetched too.
    fn shrink(&self, want: u64, lack: u64, fresh_too: bool) -> u64 {
        let fillings: Vec<Arc<Filling>> = {
            self.fillings
                .lock()
                .iter()
                .filter_map(Weak::upgrade)
                .collect()
        };
        let now = self.now();
        let mut offers: Vec<Offer> = Vec::new();
        let files = fillings.iter().filter(|filling| filling.may_shrink());
        for file in files.flat_map(|filling| filling.files()) {
            file.offer(now, |worth, unit, bytes| {
                offers.push(Offer {
                    worth,
                    file,
                    unit,
                    bytes,
                });
            });
        }
        offers.sort_unstable_by_key(|offer| offer.worth);
        let mut chosen = 0;
        let mut count = 0;
        for offer in &offers {
            let enough = match offer.worth {
                Worth::Used(_) => want,
                Worth::Fresh(_) if fresh_too => lack,
                Worth::Fresh(_) => 0,
            };
            if chosen >= enough {
                break;
            }
            chosen += offer.bytes;
            count += 1;
        }
        offers.truncate(count);
        offers.sort_unstable_by_key(|offer| std::ptr::from_ref(&**offer.file));
        offers
            .chunk_by(|one, next| Arc::ptr_eq(one.file, next.file))
            .filter_map(|of_one| {
                let units: Vec<Unit> = of_one.iter().map(|offer| offer.unit).collect();
                Some(of_one.first()?.file.give_back(&units))
            })
            .sum()
    }
}

/// There is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cache) struct Full {
    /// Whether there would be if everything left that nobody has asked to stay.
    pub(in crate::cache) fits: bool,
}

struct Offer<'a> {
    worth: Worth,
    file: &'a Arc<FillFile>,
    unit: Unit,
    bytes: u64,
}
