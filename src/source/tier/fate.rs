//! What is remembered of models' copies in the bucket.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use lru::LruCache;
use parking_lot::Mutex;

use crate::handle::Key;
use crate::source::Folder;

/// Of how many models.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// How long a copy that is of no use is not looked at again.
const PASSED_OVER: Duration = Duration::from_secs(600);

/// Tells one state of a copy from others, by the names and versions of its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Imprint(u64);

impl Imprint {
    fn of(folder: &Folder) -> Imprint {
        let mut hasher = DefaultHasher::new();
        for file in &folder.files {
            (&file.name, file.size, &file.version).hash(&mut hasher);
        }
        Imprint(hasher.finish())
    }
}

/// What came of a model's copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is read from there.
    Given(Imprint),
    /// It is of no use; said at this time.
    Useless(Instant),
    /// It looks right, and its bytes are not.
    Wrong(Imprint, Instant),
}

/// All of them.
#[derive(Debug)]
pub(super) struct Fates(Mutex<LruCache<Key, Fate>>);

impl Fates {
    pub fn new() -> Fates {
        Fates(Mutex::new(LruCache::new(REMEMBERED)))
    }

    /// The copy is about to be read. False if it is known to be wrong: then it is passed over again.
    pub fn give(&self, key: Key, copy: &Folder) -> bool {
        let imprint = Imprint::of(copy);
        let mut fates = self.0.lock();
        let is_right = !matches!(fates.get(&key), Some(Fate::Wrong(wrong, _)) if *wrong == imprint);
        let fate = match is_right {
            true => Fate::Given(imprint),
            false => Fate::Wrong(imprint, Instant::now()),
        };
        fates.put(key, fate);
        is_right
    }

    /// There is something that cannot be used.
    pub fn is_of_no_use(&self, key: Key) {
        self.0.lock().put(key, Fate::Useless(Instant::now()));
    }

    /// There is nothing: what was read from there before is not there any more.
    pub fn is_gone(&self, key: &Key) {
        let mut fates = self.0.lock();
        if matches!(fates.peek(key), Some(Fate::Given(_))) {
            fates.pop(key);
        }
    }

    /// What was being read could not be read, or was not what it should be (`by_bytes`). False if nothing was given.
    pub fn has_failed(&self, key: Key, by_bytes: bool) -> bool {
        let mut fates = self.0.lock();
        let Some(Fate::Given(imprint)) = fates.get(&key).copied() else {
            return false;
        };
        let fate = match by_bytes {
            true => Fate::Wrong(imprint, Instant::now()),
            false => Fate::Useless(Instant::now()),
        };
        fates.put(key, fate);
        true
    }

    /// What was uploaded is right, whatever was there before.
    pub fn is_uploaded(&self, key: &Key) {
        self.0.lock().pop(key);
    }

    pub fn is_given(&self, key: &Key) -> bool {
        matches!(self.0.lock().get(key), Some(Fate::Given(_)))
    }

    pub fn is_passed_over(&self, key: &Key) -> bool {
        let mut fates = self.0.lock();
        let Some(Fate::Useless(at) | Fate::Wrong(_, at)) = fates.get(key) else {
            return false;
        };
        at.elapsed() < PASSED_OVER
    }

    /// Whether just this copy was found wrong by its bytes.
    pub fn is_wrong(&self, key: &Key, copy: &Folder) -> bool {
        let wrong = self.0.lock().get(key).copied();
        matches!(wrong, Some(Fate::Wrong(wrong, _)) if wrong == Imprint::of(copy))
    }

    /// Whether a copy was found wrong by its bytes, whatever is there now.
    pub fn was_wrong(&self, key: &Key) -> bool {
        matches!(self.0.lock().get(key), Some(Fate::Wrong(..)))
    }
}
