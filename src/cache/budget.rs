//! What everything in a cache may take, and what leaves when that is too much.
//!
//! Counted are complete models, parts that somebody has open (by their room) or nobody has (idle), and models that are being
//! unpacked (staged). The limit is what the user gave, and what the disk has beyond what is to stay free. Idle parts and
//! complete models leave in one order: the longest unused first.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

use crate::config::CacheSize;
use crate::os;

use super::evict::{self, Stays};
use super::idle::IdleParts;
use super::layout::{Key, Layout};
use super::ledger::{self, Ledger, Row};

/// What parts may take even when complete models have used up the limit, unless the limit itself is less.
const FLOOR: u64 = 64 << 20;
/// How long an answer of the disk is good.
const SPACE_FOR: Duration = Duration::from_secs(1);
/// How long nobody is asked to leave after nobody could.
const STUCK_FOR: Duration = Duration::from_secs(1);
/// Parts do not go to make everything fit for less than this share of them: they go piece by piece when they are written
/// again. Bytes are counted while they are open, and not the pages that they lie in, their plan and their map; and what was
/// waited for may have exceeded the limit. Without this, a model larger than the limit would be gone after a restart.
const EXCESS_SHARE: u64 = 8;

/// Of a room.
#[derive(Debug)]
pub(super) enum Budget {
    /// So many bytes.
    Memory(u64),
    Disk(Box<DiskBudget>),
}

impl Budget {
    /// What the open fillings may take, who take `used` now, if no complete model leaves.
    pub(super) fn limit(&self, used: u64) -> u64 {
        match self {
            Budget::Memory(limit) => *limit,
            Budget::Disk(disk) => disk.limit(used),
        }
    }

    /// Removes parts that nobody has open, and complete models if they `may` leave, the longest unused first, until `want`
    /// bytes are gone. Returns how many are.
    pub(super) fn reclaim(&self, want: u64, may: Leave) -> u64 {
        match self {
            Budget::Memory(_) => 0,
            Budget::Disk(disk) => disk.reclaim(want, may),
        }
    }

    /// How many bytes too many everything takes, the open fillings taking `used`.
    pub(super) fn excess(&self, used: u64) -> u64 {
        match self {
            Budget::Memory(limit) => used.saturating_sub(*limit),
            Budget::Disk(disk) => disk.excess(used),
        }
    }
}

/// What may leave to make room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// Parts that nobody has open: what comes can never be a complete model, and so pushes none out.
    Parts,
    /// Complete models too.
    Models,
}

/// What the user has said of the disk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// What everything may take.
    pub(super) cap: Option<CacheSize>,
    /// What is to stay free.
    pub(super) min_free: CacheSize,
    /// Whether what others put there may leave.
    pub(super) evict_foreign: bool,
}

#[derive(Debug)]
pub(super) struct DiskBudget {
    pub(super) layout: Arc<Layout>,
    limits: Limits,
    pub(super) idle: IdleParts,
    pub(super) ledger: Ledger,
    /// Of models that this process is unpacking.
    staged: AtomicU64,
    /// Of these, what is still to be written: the disk does not know of it yet.
    unwritten: AtomicU64,
    /// The names of their directories.
    staging: Mutex<HashSet<String>>,
    space: Mutex<Option<(Instant, Whole)>>,
    stuck: Mutex<Option<Instant>>,
    /// What this process has completed, if none of it is to leave while it lives.
    kept: Mutex<Option<HashSet<Key>>>,
}

/// What the disk has, and what everything may take by it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whole {
    pub(super) disk: u64,
    pub(super) allowed: u64,
}

impl DiskBudget {
    pub(super) fn new(layout: Arc<Layout>, limits: Limits) -> DiskBudget {
        DiskBudget {
            idle: IdleParts::new(layout.clone()),
            ledger: Ledger::new(layout.clone()),
            layout,
            limits,
            staged: AtomicU64::new(0),
            unwritten: AtomicU64::new(0),
            staging: Mutex::default(),
            space: Mutex::default(),
            stuck: Mutex::default(),
            kept: Mutex::default(),
        }
    }

    /// From now on nothing that this process completes leaves to make room for what it does.
    pub(super) fn keep_completed(&self) {
        self.kept.lock().get_or_insert_default();
    }

    /// The complete models that may leave, the longest unused first.
    pub(super) fn candidates(&self) -> Vec<Row> {
        let mut rows = ledger::in_order(self.ledger.rows(), self.limits.evict_foreign);
        if let Some(kept) = &*self.kept.lock() {
            rows.retain(|row| !kept.contains(&row.key));
        }
        rows
    }

    /// What the open fillings may take: what nobody has open goes before any of theirs.
    fn limit(&self, used: u64) -> u64 {
        let idle = self.idle.bytes();
        let others = self.complete().saturating_add(self.staged());
        let whole = self.whole(used);
        let floor = self.cap(whole.disk).min(FLOOR);
        let parts = whole.allowed.saturating_sub(others).max(floor);
        parts.saturating_sub(idle)
    }

    /// How many bytes too many everything takes.
    pub(super) fn excess(&self, used: u64) -> u64 {
        let taken = self.taken(used);
        taken.saturating_sub(self.whole(used).allowed)
    }

    /// What a new model may take, if whatever may leaves for it.
    pub(super) fn room(&self, used: u64) -> u64 {
        self.whole(used).allowed.saturating_sub(self.stays())
    }

    /// Whether everything would fit if whatever may leaves did.
    pub(super) fn could_fit(&self, used: u64) -> bool {
        self.stays() <= self.whole(used).allowed
    }

    /// What cannot leave.
    fn stays(&self) -> u64 {
        self.complete();
        let stays = |row: &Row| row.pinned || (row.foreign && !self.limits.evict_foreign);
        self.ledger.bytes_of(stays).saturating_add(self.staged())
    }

    /// Counts a model that is being unpacked in this directory.
    pub(super) fn is_staging(&self, dir: &str) {
        self.staging.lock().insert(dir.to_owned());
    }

    /// Counts so many bytes of it, which are to be written.
    pub(super) fn stage(&self, bytes: u64) {
        self.unwritten.fetch_add(bytes, Ordering::Relaxed);
        self.staged.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many of them have been written, or never will be.
    pub(super) fn is_written(&self, bytes: u64) {
        self.unwritten.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// So many bytes, all of which were written or never will be, are not unpacked any more.
    pub(super) fn unstage(&self, bytes: u64) {
        self.staged.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// The model that took so many bytes in this directory is complete, or gone.
    pub(super) fn is_unstaged(&self, dir: &str, bytes: u64) {
        self.staging.lock().remove(dir);
        self.unstage(bytes);
        if let Some(key) = ledger::key_of(dir) {
            self.is_ended(&key);
        }
    }

    /// Makes everything fit again that has grown without asking: what others put there, or a limit that is lower now. The
    /// disk's space is only looked after when something comes.
    pub(super) fn tidy(&self, used: u64) -> u64 {
        self.idle.survey();
        let over = || {
            let cap = self.cap(self.whole(used).disk);
            self.taken(used).saturating_sub(cap)
        };
        if over() == 0 {
            return 0;
        }
        self.ledger.measure();
        let over = over();
        self.remove_oldest(Leave::Models, |freed, next| {
            let left = over.saturating_sub(freed);
            match next.what {
                What::Parts(_) => left <= next.bytes / EXCESS_SHARE,
                What::Model(_) => left == 0,
            }
        })
    }

    /// The complete models that may leave, in the order in which they would.
    pub(super) fn next_to_leave(&self) -> Vec<Key> {
        self.complete();
        self.candidates().into_iter().map(|row| row.key).collect()
    }

    fn reclaim(&self, want: u64, may: Leave) -> u64 {
        if may == Leave::Models && self.stuck.lock().is_some_and(|at| at.elapsed() < STUCK_FOR) {
            return self.remove_oldest(Leave::Parts, |freed, _| freed >= want);
        }
        if may == Leave::Parts {
            return self.remove_oldest(may, |freed, _| freed >= want);
        }
        let less = self.ledger.measure();
        let want = want.saturating_sub(less);
        let freed = self.remove_oldest(may, |freed, _| freed >= want);
        if freed < want {
            *self.stuck.lock() = Some(Instant::now());
        }
        freed.saturating_add(less)
    }

    /// Removes what may leave until it is `enough`, judged by the bytes that have gone and what would go next.
    fn remove_oldest(&self, may: Leave, enough: impl Fn(u64, &Leaving) -> bool) -> u64 {
        let mut freed = 0;
        // Again, if others have used models that seemed old: they may still be the oldest that can leave.
        for _ in 0..2 {
            let mut used = false;
            for leaving in self.in_order(may) {
                if enough(freed, &leaving) {
                    break;
                }
                match self.remove(&leaving.what) {
                    Ok(()) => freed = freed.saturating_add(leaving.bytes),
                    Err(stays) => used |= matches!(stays, Stays::Used(_)),
                }
            }
            if !used {
                break;
            }
        }
        if freed > 0 {
            *self.space.lock() = None;
        }
        freed
    }

    fn in_order(&self, may: Leave) -> Vec<Leaving> {
        let parts = self.idle.rows().into_iter().map(|(name, idle)| Leaving {
            used: idle.used,
            bytes: idle.bytes,
            what: What::Parts(name),
        });
        let mut leaving: Vec<Leaving> = parts.collect();
        if may == Leave::Models {
            leaving.extend(self.candidates().into_iter().map(|row| Leaving {
                used: row.used,
                bytes: row.bytes,
                what: What::Model(row),
            }));
        }
        leaving.sort_by_key(|leaving| leaving.used);
        leaving
    }

    fn remove(&self, what: &What) -> Result<(), Stays> {
        let row = match what {
            What::Parts(name) if self.idle.remove(name) => return Ok(()),
            What::Parts(_) => return Err(Stays::InUse),
            What::Model(row) => row,
        };
        let stays = match evict::evict(&self.layout, row) {
            Ok(Ok(())) => {
                tracing::info!(entry = %row.key, bytes = row.bytes, "a model leaves the cache to make room");
                self.ledger.is_gone(&row.key);
                return Ok(());
            }
            Ok(Err(stays)) => stays,
            Err(error) => {
                tracing::warn!(%error, "a model cannot leave the cache");
                Stays::InUse
            }
        };
        tracing::debug!(entry = %row.key, %stays, "a model stays in the cache");
        let used = match stays {
            Stays::Used(at) => at,
            _ => SystemTime::now(),
        };
        self.ledger.is_used(&row.key, used);
        Err(stays)
    }

    /// Says that a model was used just now.
    pub(super) fn is_used(&self, key: &Key) {
        self.ledger.is_used(key, SystemTime::now());
    }

    fn taken(&self, used: u64) -> u64 {
        let sum = used.saturating_add(self.idle.bytes());
        sum.saturating_add(self.complete())
            .saturating_add(self.staged())
    }

    pub(super) fn staged(&self) -> u64 {
        self.staged.load(Ordering::Relaxed)
    }

    fn unwritten(&self) -> u64 {
        self.unwritten.load(Ordering::Relaxed)
    }

    /// The bytes of all complete models, and of those that other processes are unpacking.
    pub(super) fn complete(&self) -> u64 {
        self.ledger.bytes(|| self.staging.lock().clone())
    }

    pub(super) fn cap(&self, disk: u64) -> u64 {
        self.limits.cap.map_or(u64::MAX, |cap| cap.bytes(disk))
    }

    /// What everything may take, that takes what it does while the open fillings take `used`.
    pub(super) fn whole(&self, used: u64) -> Whole {
        if let Some((at, whole)) = *self.space.lock()
            && at.elapsed() < SPACE_FOR
        {
            return whole;
        }
        let whole = match os::disk::space(self.layout.root()) {
            Ok(space) => {
                let kept = self.limits.min_free.bytes(space.total);
                let here = self.taken(used).saturating_sub(self.unwritten());
                let all = here.saturating_add(space.available);
                Whole {
                    disk: space.total,
                    allowed: all.saturating_sub(kept).min(self.cap(space.total)),
                }
            }
            Err(_) => Whole {
                disk: u64::MAX,
                allowed: self.cap(u64::MAX),
            },
        };
        *self.space.lock() = Some((Instant::now(), whole));
        whole
    }

    /// A model is not streamed any more, and may be complete.
    pub(super) fn is_ended(&self, key: &Key) {
        if let Some(kept) = &mut *self.kept.lock() {
            kept.insert(*key);
        }
        self.ledger.is_here(key);
        *self.space.lock() = None;
    }

    /// Says that what is known of the disk is not true any more.
    pub(super) fn look_again(&self) {
        self.ledger.look_again();
        *self.space.lock() = None;
    }
}

/// Something that may leave.
struct Leaving {
    used: SystemTime,
    bytes: u64,
    what: What,
}

enum What {
    Parts(String),
    Model(Row),
}
