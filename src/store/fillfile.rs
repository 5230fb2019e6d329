//! One file of a filling, as a reader sees it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Instant, SystemTime};

use parking_lot::Mutex;

use super::base::Base;
use super::error::Failure;
use super::presence::Presence;
use super::waiting::{Progress, Wait, Waiters, Woken};

/// What every file of one filling shares with it.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) base: Base,
    pub(super) failure: OnceLock<Failure>,
    pub(super) progress: Mutex<Progress>,
}

impl Shared {
    pub(super) fn new(base: Base) -> Shared {
        let progress = Mutex::new(Progress {
            bytes: 0,
            grown: Instant::now(),
        });
        Shared {
            base,
            failure: OnceLock::new(),
            progress,
        }
    }

    pub(super) fn grow(&self, bytes: u64) {
        let now = Instant::now();
        let mut progress = self.progress.lock();
        progress.bytes = progress.bytes.saturating_add(bytes);
        progress.grown = now;
    }
}

/// A file whose size is known and whose bytes are arriving.
#[derive(Debug)]
pub struct FillFile {
    path: Box<str>,
    size: u64,
    mtime: SystemTime,
    shared: Arc<Shared>,
    replaced: AtomicBool,
    map: Mutex<Map>,
    disk: Mutex<Weak<File>>,
}

#[derive(Debug, Default)]
struct Map {
    present: Presence,
    waiters: Waiters<Range<u64>>,
}

/// The answer to a read of a filling file.
#[derive(Debug)]
pub enum ReadAt {
    /// So many bytes are in the buffer: fewer than asked only at the end of the file.
    Ready(usize),
    /// Not all of them are present yet: wait for `Need::Bytes`.
    NotYet,
    /// A later entry of the archive has the same name; these bytes are not the model's.
    Replaced,
    /// The filling failed: no byte of it can be trusted.
    Failed(Failure),
    /// The cache's disk failed.
    Io(io::Error),
}

impl FillFile {
    /// `disk` is the open file; it is kept open as long as somebody holds it.
    pub(super) fn new(
        path: &str,
        size: u64,
        mtime: SystemTime,
        shared: Arc<Shared>,
        disk: &Arc<File>,
    ) -> FillFile {
        FillFile {
            path: path.into(),
            size,
            mtime,
            shared,
            replaced: AtomicBool::new(false),
            map: Mutex::default(),
            disk: Mutex::new(Arc::downgrade(disk)),
        }
    }

    /// The path in the model.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// In bytes, as it will be when complete.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// As the archive has it.
    pub fn mtime(&self) -> SystemTime {
        self.mtime
    }

    /// Opens the file. As long as the result is held, every `read_at` uses it; otherwise each opens the file anew, so that
    /// a model of 100,000 files does not take 100,000 descriptors.
    ///
    /// # Errors
    ///
    /// Those of open(2); also when the model has been removed from the cache since.
    pub fn open(&self) -> io::Result<Arc<File>> {
        if let Some(file) = self.disk.lock().upgrade() {
            return Ok(file);
        }
        let file = Arc::new(File::open(self.shared.base.path(&self.path))?);
        let mut slot = self.disk.lock();
        if let Some(other) = slot.upgrade() {
            return Ok(other);
        }
        *slot = Arc::downgrade(&file);
        Ok(file)
    }

    /// Fills `buf` from `offset`, all of it or up to the end of the file. Never waits for bytes.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> ReadAt {
        if let Some(bad) = self.bad() {
            return bad;
        }
        let end = offset.saturating_add(buf.len() as u64).min(self.size);
        let Some(len) = end.checked_sub(offset).filter(|len| *len > 0) else {
            return ReadAt::Ready(0);
        };
        if !self.map.lock().present.covers(offset..end) {
            return ReadAt::NotYet;
        }
        // `len` is at most `buf.len()`, so neither conversion nor slice can fail.
        let len = usize::try_from(len).unwrap_or(buf.len());
        let Some(buf) = buf.get_mut(..len) else {
            return ReadAt::Ready(0);
        };
        if let Err(error) = self.open().and_then(|file| file.read_exact_at(buf, offset)) {
            return self.bad().unwrap_or(ReadAt::Io(error));
        }
        // Whoever replaced or failed it meanwhile did so before touching the disk: these bytes may be another file's.
        self.bad().unwrap_or(ReadAt::Ready(len))
    }

    /// Whether every byte is present.
    pub fn is_complete(&self) -> bool {
        self.map.lock().present.covers(0..self.size)
    }

    pub(super) fn present(&self) -> u64 {
        self.map.lock().present.bytes()
    }

    fn bad(&self) -> Option<ReadAt> {
        if let Some(why) = self.shared.failure.get() {
            return Some(ReadAt::Failed(why.clone()));
        }
        self.replaced
            .load(Ordering::Acquire)
            .then_some(ReadAt::Replaced)
    }

    /// A future for the moment when `range` is present, or when it never will be.
    pub(super) fn wait(&self, range: Range<u64>) -> Wait {
        let range = range.start..range.end.min(self.size);
        let mut map = self.map.lock();
        // Looked at under the lock that `wake_all` takes after it set either flag: no wake-up is lost.
        if self.bad().is_some() || map.present.covers(range.clone()) {
            return Wait::over();
        }
        map.waiters.add(range)
    }

    /// Says that `range` is on disk now.
    pub(super) fn advance(&self, range: Range<u64>) {
        self.shared.grow(range.end.saturating_sub(range.start));
        let mut woken = Woken::default();
        {
            let mut map = self.map.lock();
            let Map { present, waiters } = &mut *map;
            present.insert(range);
            waiters.take_met(&mut woken, |want| present.covers(want.clone()));
        }
        woken.wake();
    }

    /// Says that another file has this name now. To be called before that file is made.
    pub(super) fn replace(&self) {
        self.replaced.store(true, Ordering::Release);
        self.wake_all();
    }

    pub(super) fn wake_all(&self) {
        let mut woken = Woken::default();
        self.map.lock().waiters.take_all(&mut woken);
        woken.wake();
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }
}
