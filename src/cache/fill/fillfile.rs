//! One file of a filling, as a reader sees it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::SystemTime;

use parking_lot::Mutex;

use crate::checksum::Hashes;
use crate::os;

use super::super::dirs::base::Base;
use super::super::error::Failure;
use super::super::layout::BLOCK;
use super::super::partial::sparse::Sparse;
use super::super::presence::Presence;
use super::blocks::Blocks;
use super::segments::Segments;
use super::shared::Shared;
use super::waiting::{Wait, Waiters, Woken};

/// How much of a file on disk is given back as one: fewer and larger holes than blocks would make.
const SEGMENT: u64 = 1 << 20;

/// A file whose size is known and whose bytes are arriving.
#[derive(Debug)]
pub struct FillFile {
    path: Box<str>,
    size: u64,
    mtime: SystemTime,
    pub(super) hashes: Mutex<Hashes>,
    /// Of all of it, once that is known.
    pub(super) crc32c: Mutex<Option<u32>>,
    pub(super) shared: Arc<Shared>,
    replaced: AtomicBool,
    /// Whether all of it was compared with its checksum, and is as it was then.
    pub(super) verified: AtomicBool,
    /// The file that was given out to be read without us, as long as somebody holds it.
    pub(super) given: Mutex<Weak<File>>,
    pub(super) map: Mutex<Map>,
    pub(super) body: Body,
}

/// Where the bytes are.
#[derive(Debug)]
pub(super) enum Body {
    /// In a staging directory, written from the start to the end.
    Appended(Appended),
    /// In parts on disk.
    Sparse(Box<Sparse>),
    /// In the map itself.
    Memory,
}

#[derive(Debug)]
pub(super) struct Appended {
    base: Arc<Base>,
    /// The open file, as long as somebody holds it.
    handle: Mutex<Weak<File>>,
}

#[derive(Debug)]
pub(super) struct Map {
    pub(super) present: Presence,
    pub(super) waiters: Waiters<Range<u64>>,
    /// Of a range filling.
    pub(super) segments: Segments,
    /// Of a file in memory.
    pub(super) blocks: Blocks,
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
    /// A file that is being appended to, through `disk`.
    pub(super) fn appended(
        path: &str,
        size: u64,
        mtime: SystemTime,
        shared: Arc<Shared>,
        (base, disk): (&Arc<Base>, &Arc<File>),
    ) -> FillFile {
        let body = Body::Appended(Appended {
            base: base.clone(),
            handle: Mutex::new(Arc::downgrade(disk)),
        });
        FillFile::new(path, size, mtime, Hashes::default(), shared, body)
    }

    pub(super) fn new(
        path: &str,
        size: u64,
        mtime: SystemTime,
        hashes: Hashes,
        shared: Arc<Shared>,
        body: Body,
    ) -> FillFile {
        let unit = match body {
            Body::Memory => BLOCK,
            Body::Appended(_) | Body::Sparse(_) => SEGMENT,
        };
        FillFile {
            path: path.into(),
            size,
            mtime,
            hashes: Mutex::new(hashes),
            crc32c: Mutex::default(),
            shared,
            replaced: AtomicBool::new(false),
            verified: AtomicBool::new(false),
            given: Mutex::default(),
            map: Mutex::new(Map {
                present: Presence::default(),
                waiters: Waiters::default(),
                segments: Segments::new(unit),
                blocks: Blocks::default(),
            }),
            body,
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

    /// As the archive, or the origin, has it.
    pub fn mtime(&self) -> SystemTime {
        self.mtime
    }

    /// Whether its bytes are in memory: reading them waits for no disk.
    pub fn is_in_memory(&self) -> bool {
        matches!(self.body, Body::Memory)
    }

    /// Opens the file. As long as the result is held, every `read_at` and `write_at` uses it; otherwise each opens the file
    /// anew, so that a model of 100,000 files does not take 100,000 descriptors.
    ///
    /// # Errors
    ///
    /// Those of open(2); also when the model has been removed from the cache since. `Unsupported` of a file in memory.
    pub fn open(&self) -> io::Result<Arc<File>> {
        match &self.body {
            Body::Appended(disk) => disk.open(&self.path),
            Body::Sparse(disk) if self.shared.is_sealed() => disk.open(),
            Body::Sparse(disk) => disk.open_or_make(),
            Body::Memory => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Fills `buf` from `offset`, all of it or up to the end of the file. Never waits for bytes.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> ReadAt {
        if let Some(bad) = self.bad() {
            return bad;
        }
        let range = self.clamp(offset..offset.saturating_add(buf.len() as u64));
        // At most `buf.len()`, so neither conversion nor slice can fail.
        let len = usize::try_from(range.end - range.start).unwrap_or(0);
        let Some(buf) = buf.get_mut(..len).filter(|buf| !buf.is_empty()) else {
            return ReadAt::Ready(0);
        };
        let answer = self.read(&range, buf, true);
        match answer {
            ReadAt::Ready(_) => self.shared.tell(&self.path, range, true),
            ReadAt::NotYet => self.shared.tell(&self.path, range, false),
            _ => {}
        }
        answer
    }

    /// Whether every byte is present.
    pub fn is_complete(&self) -> bool {
        self.map.lock().present.covers(0..self.size)
    }

    /// How many bytes are present.
    pub fn bytes_present(&self) -> u64 {
        self.map.lock().present.bytes()
    }

    pub(super) fn bad(&self) -> Option<ReadAt> {
        if let Some(why) = self.shared.failure.get() {
            return Some(ReadAt::Failed(why.clone()));
        }
        self.replaced
            .load(Ordering::Acquire)
            .then_some(ReadAt::Replaced)
    }

    pub(super) fn clamp(&self, range: Range<u64>) -> Range<u64> {
        let start = range.start.min(self.size);
        start..range.end.min(self.size).max(start)
    }

    /// A future for the moment when `range` is present, or when it never will be.
    pub(super) fn wait(&self, range: Range<u64>) -> Wait {
        let range = self.clamp(range);
        let wait = {
            let mut map = self.map.lock();
            // Looked at under the lock that `wake_all` takes after it set either flag: no wake-up is lost.
            if self.bad().is_some() || map.present.covers(range.clone()) {
                return Wait::over();
            }
            map.waiters.add(range.clone())
        };
        self.shared.tell(&self.path, range, false);
        wait
    }

    /// Says that `range` was appended.
    pub(super) fn advance(&self, range: Range<u64>) {
        self.shared.grow(range.end.saturating_sub(range.start));
        let mut woken = Woken::default();
        {
            let mut map = self.map.lock();
            let Map {
                present, waiters, ..
            } = &mut *map;
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

    /// Where the bytes are, for messages.
    pub(super) fn shown(&self) -> PathBuf {
        match &self.body {
            Body::Appended(disk) => disk.base.shown(&self.path),
            Body::Sparse(disk) => disk.parts.data().shown(&self.path),
            Body::Memory => PathBuf::from(&*self.path),
        }
    }
}

impl Appended {
    pub(super) fn open(&self, path: &str) -> io::Result<Arc<File>> {
        if let Some(file) = self.handle.lock().upgrade() {
            return Ok(file);
        }
        let file = Arc::new(os::beneath::open_read(self.base.dir(), Path::new(path))?);
        let mut handle = self.handle.lock();
        if let Some(other) = handle.upgrade() {
            return Ok(other);
        }
        *handle = Arc::downgrade(&file);
        Ok(file)
    }
}
