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

use super::super::layout::{Key, Layout};
use super::idle::IdleParts;
use super::ledger::{self, Ledger, Row};
use super::sweeper::Sweeper;

/// What parts may take even when complete models have used up the limit, unless the limit itself is less.
const FLOOR: u64 = 64 << 20;
/// How long an answer of the disk is good.
const SPACE_FOR: Duration = Duration::from_secs(1);
/// Of a room.
#[derive(Debug)]
pub(in crate::cache) enum Budget {
    /// So many bytes.
    Memory(u64),
    Disk(Box<DiskBudget>),
}

impl Budget {
    /// What the open fillings may take, who take `used` now, if no complete model leaves.
    pub(in crate::cache) fn limit(&self, used: u64) -> u64 {
        match self {
            Budget::Memory(limit) => *limit,
            Budget::Disk(disk) => disk.limit(used),
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
pub(in crate::cache) struct Limits {
    /// What everything may take.
    pub(in crate::cache) cap: Option<CacheSize>,
    /// What is to stay free.
    pub(in crate::cache) min_free: CacheSize,
    /// Whether what others put there may leave.
    pub(in crate::cache) evict_foreign: bool,
}

#[derive(Debug)]
pub(in crate::cache) struct DiskBudget {
    pub(super) layout: Arc<Layout>,
    limits: Limits,
    pub(in crate::cache) idle: IdleParts,
    pub(in crate::cache) ledger: Arc<Ledger>,
    /// Of models that this process is unpacking.
    staged: AtomicU64,
    /// Of these, what is still to be written: the disk does not know of it yet.
    unwritten: AtomicU64,
    /// The names of their directories.
    staging: Arc<Mutex<HashSet<String>>>,
    pub(in crate::cache) sweeper: Arc<Sweeper>,
    /// What is on its way into the trash.
    pub(super) leaving: AtomicU64,
    space: Mutex<Option<(Instant, Whole)>>,
    /// When nothing could leave.
    pub(super) stuck: Mutex<Option<Instant>>,
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
    pub(in crate::cache) fn new(layout: Arc<Layout>, limits: Limits) -> DiskBudget {
        DiskBudget {
            idle: IdleParts::new(layout.clone()),
            ledger: Arc::new(Ledger::new(layout.clone())),
            sweeper: Sweeper::new(layout.clone()),
            leaving: AtomicU64::new(0),
            layout,
            limits,
            staged: AtomicU64::new(0),
            unwritten: AtomicU64::new(0),
            staging: Arc::default(),
            space: Mutex::default(),
            stuck: Mutex::default(),
            kept: Mutex::default(),
        }
    }

    /// From now on nothing that this process completes leaves to make room for what it does.
    pub(in crate::cache) fn keep_completed(&self) {
        self.kept.lock().get_or_insert_default();
    }

    /// Whether a complete model may leave.
    pub(super) fn may_leave(&self, row: &Row) -> bool {
        let is_kept = || {
            let kept = self.kept.lock();
            kept.as_ref().is_some_and(|kept| kept.contains(&row.key))
        };
        !row.pinned && (self.limits.evict_foreign || !row.foreign) && !is_kept()
    }

    /// The complete models that may leave, the longest unused first.
    pub(super) fn candidates(&self) -> Vec<Row> {
        let mut rows = self.ledger.rows();
        rows.retain(|row| self.may_leave(row));
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
    pub(in crate::cache) fn room(&self, used: u64) -> u64 {
        self.look();
        self.whole(used).allowed.saturating_sub(self.stays())
    }

    /// Whether everything would fit if whatever may leaves did.
    pub(super) fn could_fit(&self, used: u64) -> bool {
        self.stays() <= self.whole(used).allowed
    }

    /// What cannot leave.
    fn stays(&self) -> u64 {
        let stays = |row: &Row| row.pinned || (row.foreign && !self.limits.evict_foreign);
        self.ledger.bytes_of(stays).saturating_add(self.staged())
    }

    /// Begins to count a model that is being unpacked in this directory.
    pub(super) fn begin_staging(&self, dir: &str) {
        self.look();
        self.staging.lock().insert(dir.to_owned());
    }

    /// Counts so many bytes of it, which are to be written.
    pub(super) fn stage(&self, bytes: u64) {
        self.unwritten.fetch_add(bytes, Ordering::Relaxed);
        self.staged.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many of them have been written, or never will be.
    pub(super) fn record_written(&self, bytes: u64) {
        self.unwritten.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// So many bytes, all of which were written or never will be, are not unpacked any more.
    pub(super) fn unstage(&self, bytes: u64) {
        self.staged.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// The model that took so many bytes in this directory is complete, or gone.
    pub(super) fn end_staging(&self, dir: &str, bytes: u64) {
        self.staging.lock().remove(dir);
        self.unstage(bytes);
        if let Some(key) = ledger::key_of(dir) {
            self.record_end(&key);
        }
    }

    /// The complete models that may leave, in the order in which they would.
    pub(in crate::cache) fn next_to_leave(&self) -> Vec<Key> {
        self.look();
        self.candidates().into_iter().map(|row| row.key).collect()
    }

    /// Records that a model was used just now.
    pub(in crate::cache) fn record_use(&self, key: &Key) {
        self.ledger.record_use(key, SystemTime::now());
    }

    pub(super) fn taken(&self, used: u64) -> u64 {
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

    /// The bytes of all complete models, and of those that other processes are unpacking, as of a look at the disk a short time
    /// ago.
    pub(super) fn complete(&self) -> u64 {
        let staging = self.staging.clone();
        self.ledger.look_later(move || staging.lock().clone());
        self.ledger.bytes()
    }

    /// Looks at the disk, if that is due.
    pub(super) fn look(&self) {
        self.ledger.look(|| self.staging.lock().clone());
    }

    pub(super) fn cap(&self, disk: u64) -> u64 {
        self.limits.cap.map_or(u64::MAX, |cap| cap.bytes(disk))
    }

    /// What everything may take, that takes what it does while the open fillings take `used`.
    pub(super) fn whole(&self, used: u64) -> Whole {
        // While something is being deleted, what the disk says is half of the truth.
        let good = |at: Instant| at.elapsed() < SPACE_FOR || self.sweeper.bytes() > 0;
        if let Some((at, whole)) = *self.space.lock()
            && good(at)
        {
            return whole;
        }
        let whole = match os::disk::space(self.layout.root()) {
            Ok(space) => {
                let kept = self.limits.min_free.bytes(space.total);
                let here = self.taken(used).saturating_sub(self.unwritten());
                let leaving = self.leaving.load(Ordering::Relaxed);
                let leaving = leaving.saturating_add(self.sweeper.bytes());
                let all = here.saturating_add(space.available).saturating_add(leaving);
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
    pub(in crate::cache) fn record_end(&self, key: &Key) {
        if let Some(kept) = &mut *self.kept.lock() {
            kept.insert(*key);
        }
        self.ledger.record(key);
        *self.space.lock() = None;
    }

    /// Says that what is known of the disk is not true any more.
    pub(in crate::cache) fn look_again(&self) {
        self.ledger.look_again();
        *self.space.lock() = None;
    }
}
