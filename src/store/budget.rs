//! What sets the limit of a room, and the parts on disk that nobody has open.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

use crate::config::CacheSize;
use crate::os;
use crate::os::disk::Space;

use super::foreign::tree_size;
use super::layout::{Key, Layout};
use super::parts;
use super::trash;

/// What parts may take even when complete models have used up the limit, unless the limit itself is less.
const FLOOR: u64 = 64 << 20;
/// How long an answer of the disk is good.
const SPACE_FOR: Duration = Duration::from_secs(1);
/// How long the sum of all complete models is good: it takes a walk.
const SEALED_FOR: Duration = Duration::from_secs(30);
/// Parts do not go at the start of a run for less than this share of them: they go piece by piece when they are written
/// again. Bytes are counted while they are open, and not the pages that they lie in, their plan and their map; and what was
/// waited for may have exceeded the limit. Without this, a model larger than the limit would be gone after a restart.
const EXCESS_SHARE: u64 = 8;

/// Of a room.
#[derive(Debug)]
pub(super) enum Budget {
    /// So many bytes.
    Memory(u64),
    Disk(DiskBudget),
}

impl Budget {
    /// What the open fillings may take, who take `used` now.
    pub(super) fn limit(&self, used: u64) -> u64 {
        match self {
            Budget::Memory(limit) => *limit,
            Budget::Disk(disk) => disk.limit(used),
        }
    }

    /// Removes parts that nobody has open, the longest unused first, until `want` bytes are gone. Returns how many are.
    pub(super) fn reclaim(&self, want: u64) -> u64 {
        match self {
            Budget::Memory(_) => 0,
            Budget::Disk(disk) => disk.reclaim(want),
        }
    }
}

#[derive(Debug)]
pub(super) struct DiskBudget {
    layout: Arc<Layout>,
    cap: Option<CacheSize>,
    min_free: u8,
    idle: Mutex<IdleParts>,
    known: Mutex<Known>,
}

/// Parts that this process has not open.
#[derive(Clone, Copy, Debug)]
struct Idle {
    bytes: u64,
    used: SystemTime,
}

#[derive(Debug, Default)]
struct IdleParts {
    by_name: HashMap<String, Idle>,
    bytes: u64,
}

impl IdleParts {
    fn insert(&mut self, name: &str, idle: Idle) {
        self.remove(name);
        self.bytes += idle.bytes;
        self.by_name.insert(name.to_owned(), idle);
    }

    fn remove(&mut self, name: &str) {
        if let Some(idle) = self.by_name.remove(name) {
            self.bytes -= idle.bytes;
        }
    }
}

#[derive(Debug, Default)]
struct Known {
    /// When the disk was asked, what it said, and what it would let the parts take.
    space: Option<(Instant, Option<Space>, u64)>,
    sealed: Option<(Instant, u64)>,
}

impl DiskBudget {
    pub(super) fn new(layout: Arc<Layout>, cap: Option<CacheSize>, min_free: u8) -> DiskBudget {
        DiskBudget {
            layout,
            cap,
            min_free,
            idle: Mutex::default(),
            known: Mutex::default(),
        }
    }

    /// What the open fillings may take: the parts that nobody has open go before any of theirs.
    fn limit(&self, used: u64) -> u64 {
        self.allowed(used).saturating_sub(self.idle_bytes())
    }

    /// What all parts together may take.
    fn allowed(&self, used: u64) -> u64 {
        let (space, by_disk) = self.space(used + self.idle_bytes());
        let by_cap = self.cap.map_or(u64::MAX, |cap| {
            let cap = cap.bytes(space.map_or(u64::MAX, |space| space.total));
            cap.saturating_sub(self.sealed()).max(cap.min(FLOOR))
        });
        by_cap.min(by_disk.max(FLOOR))
    }

    /// What a new model may take, if the parts, of which the open ones have `used` bytes, are given back for it.
    pub(super) fn room(&self, used: u64) -> u64 {
        let (space, by_disk) = self.space(used + self.idle_bytes());
        let by_cap = self.cap.map_or(u64::MAX, |cap| {
            let cap = cap.bytes(space.map_or(u64::MAX, |space| space.total));
            cap.saturating_sub(self.sealed())
        });
        by_cap.min(by_disk)
    }

    /// Says that parts are open, or gone.
    pub(super) fn is_open(&self, dir: &str) {
        self.idle.lock().remove(dir);
    }

    /// Says that parts of so many bytes are not open any more.
    pub(super) fn is_idle(&self, dir: &str, bytes: u64) {
        let used = SystemTime::now();
        self.idle.lock().insert(dir, Idle { bytes, used });
    }

    /// Looks at what earlier runs have left: removes what belongs to nobody and cannot be used again, counts the rest.
    pub(super) fn survey(&self) {
        let Ok(entries) = fs::read_dir(self.layout.parts()) else {
            return;
        };
        for entry in entries.flatten() {
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if Key::parse(&name).is_none() {
                self.remove(&name);
                continue;
            }
            let claim = parts::claim_of(&entry.path());
            let used = fs::symlink_metadata(claim).and_then(|meta| meta.modified());
            let idle = Idle {
                bytes: allocated(&entry.path()),
                used: used.unwrap_or(SystemTime::UNIX_EPOCH),
            };
            self.idle.lock().insert(&name, idle);
        }
        let over = self.idle_bytes().saturating_sub(self.allowed(0));
        self.remove_oldest(|freed, next| over.saturating_sub(freed) <= next / EXCESS_SHARE);
    }

    fn reclaim(&self, want: u64) -> u64 {
        self.remove_oldest(|freed, _| freed >= want)
    }

    /// Removes parts until it is `enough`, judged by the bytes that have gone and those that would go next.
    fn remove_oldest(&self, enough: impl Fn(u64, u64) -> bool) -> u64 {
        let mut oldest: Vec<(String, Idle)> = {
            let idle = self.idle.lock();
            idle.by_name
                .iter()
                .map(|(name, idle)| (name.clone(), *idle))
                .collect()
        };
        oldest.sort_unstable_by_key(|(_, idle)| idle.used);
        let mut freed = 0;
        for (name, idle) in oldest {
            if enough(freed, idle.bytes) {
                break;
            }
            if self.remove(&name) {
                self.idle.lock().remove(&name);
                freed += idle.bytes;
            } else if let Some(idle) = self.idle.lock().by_name.get_mut(&name) {
                idle.used = SystemTime::now(); // another process has it open
            }
        }
        freed
    }

    /// Removes parts unless somebody has them open.
    fn remove(&self, name: &str) -> bool {
        let dir = self.layout.parts().join(name);
        let claimed = match fs::symlink_metadata(&dir) {
            Ok(meta) if meta.is_dir() => parts::claim(&dir).map(|claim| claim.map(Some)),
            _ => Ok(Some(None)), // a link, which leads to nothing of ours
        };
        match claimed {
            Ok(None) | Err(_) => false,
            Ok(Some(_claim)) => match trash::discard_named(&self.layout, name, &dir) {
                Ok(()) => true,
                Err(error) => {
                    tracing::warn!(%error, "cannot remove an unfinished model");
                    false
                }
            },
        }
    }

    fn idle_bytes(&self) -> u64 {
        self.idle.lock().bytes
    }

    /// The disk, and what it would let parts take that take `used` now.
    fn space(&self, used: u64) -> (Option<Space>, u64) {
        if let Some((at, space, allowed)) = self.known.lock().space
            && at.elapsed() < SPACE_FOR
        {
            return (space, allowed);
        }
        let space = os::disk::space(self.layout.root()).ok();
        let allowed = space.map_or(u64::MAX, |space| {
            let kept = space.total / 100 * u64::from(self.min_free);
            used.saturating_add(space.available).saturating_sub(kept)
        });
        self.known.lock().space = Some((Instant::now(), space, allowed));
        (space, allowed)
    }

    /// The bytes of all complete models, and of those that are being unpacked.
    fn sealed(&self) -> u64 {
        if let Some((at, bytes)) = self.known.lock().sealed
            && at.elapsed() < SEALED_FOR
        {
            return bytes;
        }
        let bytes = sealed_bytes(self.layout.root());
        self.known.lock().sealed = Some((Instant::now(), bytes));
        bytes
    }

    /// Says that what is known of the models is not true any more.
    pub(super) fn look_again(&self) {
        *self.known.lock() = Known::default();
    }
}

fn sealed_bytes(root: &Path) -> u64 {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            let name = entry.file_name();
            let key = name.to_str().and_then(|name| name.get(..40));
            key.and_then(Key::parse).is_some() && entry.file_type().is_ok_and(|kind| kind.is_dir())
        })
        .map(|entry| tree_size(&entry.path()))
        .sum()
}

/// What a tree of files with holes takes of the disk.
fn allocated(dir: &Path) -> u64 {
    let mut bytes = 0;
    let mut left = vec![dir.to_path_buf()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => left.push(entry.path()),
                Ok(meta) => bytes += meta.blocks() * 512,
                Err(_) => {}
            }
        }
    }
    bytes
}
