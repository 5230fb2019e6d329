//! Which copies in the bucket can be used, as far as this host has seen.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use lru::LruCache;
use parking_lot::Mutex;

use crate::handle::Key;
use crate::source::Folder;

/// Of how many models.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// How long a copy that cannot be used is not looked at again.
const PASSED_OVER: Duration = Duration::from_secs(600);

/// Tells one state of a copy from others, by the names and versions of its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fingerprint(u64);

impl Fingerprint {
    fn of(folder: &Folder) -> Fingerprint {
        let mut hasher = DefaultHasher::new();
        for file in &folder.files {
            (&file.name, file.size, &file.version).hash(&mut hasher);
        }
        Fingerprint(hasher.finish())
    }
}

/// The last thing that was seen of a model's copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CopyHealth {
    /// It is read from there.
    Offered(Fingerprint),
    /// It cannot be used; seen at this time.
    Unusable(Instant),
    /// It looks right, and its bytes are not.
    Wrong(Fingerprint, Instant),
}

/// The copies of the models that were asked for last.
#[derive(Debug)]
pub(super) struct CopyHealthTable(Mutex<LruCache<Key, CopyHealth>>);

impl CopyHealthTable {
    pub fn new() -> CopyHealthTable {
        CopyHealthTable(Mutex::new(LruCache::new(REMEMBERED)))
    }

    /// The copy is about to be read. False if it is known to be wrong: then it is passed over again.
    pub fn offer(&self, key: Key, copy: &Folder) -> bool {
        let fingerprint = Fingerprint::of(copy);
        let mut table = self.0.lock();
        let is_right =
            !matches!(table.get(&key), Some(CopyHealth::Wrong(wrong, _)) if *wrong == fingerprint);
        let health = match is_right {
            true => CopyHealth::Offered(fingerprint),
            false => CopyHealth::Wrong(fingerprint, Instant::now()),
        };
        table.put(key, health);
        is_right
    }

    /// There is something that cannot be used.
    pub fn record_unusable(&self, key: Key) {
        self.0.lock().put(key, CopyHealth::Unusable(Instant::now()));
    }

    /// There is nothing: what was read from there before is not there any more.
    pub fn forget(&self, key: &Key) {
        let mut table = self.0.lock();
        if matches!(table.peek(key), Some(CopyHealth::Offered(_))) {
            table.pop(key);
        }
    }

    /// What was being read could not be read, or was not what it should be (`by_bytes`). False if nothing was given.
    pub fn record_failure(&self, key: Key, by_bytes: bool) -> bool {
        let mut table = self.0.lock();
        let Some(CopyHealth::Offered(fingerprint)) = table.get(&key).copied() else {
            return false;
        };
        let health = match by_bytes {
            true => CopyHealth::Wrong(fingerprint, Instant::now()),
            false => CopyHealth::Unusable(Instant::now()),
        };
        table.put(key, health);
        true
    }

    /// What was uploaded is right, whatever was there before.
    pub fn record_uploaded(&self, key: &Key) {
        self.0.lock().pop(key);
    }

    pub fn is_offered(&self, key: &Key) -> bool {
        matches!(self.0.lock().get(key), Some(CopyHealth::Offered(_)))
    }

    pub fn is_passed_over(&self, key: &Key) -> bool {
        let mut table = self.0.lock();
        let Some(CopyHealth::Unusable(at) | CopyHealth::Wrong(_, at)) = table.get(key) else {
            return false;
        };
        at.elapsed() < PASSED_OVER
    }

    /// Whether just this copy was found wrong by its bytes.
    pub fn is_wrong(&self, key: &Key, copy: &Folder) -> bool {
        let wrong = self.0.lock().get(key).copied();
        matches!(wrong, Some(CopyHealth::Wrong(wrong, _)) if wrong == Fingerprint::of(copy))
    }

    /// Whether a copy was found wrong by its bytes, whatever is there now.
    pub fn was_wrong(&self, key: &Key) -> bool {
        matches!(self.0.lock().get(key), Some(CopyHealth::Wrong(..)))
    }
}
