//! A file of a range filling on disk: made when its first byte comes, with holes where none has come yet.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::os;

use super::super::layout::{DIR_MODE, FILE_MODE};
use super::parts::Parts;
use super::plan::{Inode, inode};

/// The file's name and bytes on disk. Which of them mean something is for others to know.
#[derive(Debug)]
pub(in crate::cache) struct Sparse {
    pub(in crate::cache) parts: Arc<Parts>,
    name: Box<str>,
    size: u64,
    /// Where its bits begin in the map.
    pub(in crate::cache) bits: u64,
    /// Kept by whoever holds it.
    handle: Mutex<Weak<File>>,
    /// The file that we made or found; another of this name is not ours.
    inode: Mutex<Option<Inode>>,
    /// Changes when the file was lost: bytes written to it before are nowhere.
    generation: AtomicU64,
    /// One makes the file.
    making: Mutex<()>,
    /// One writes bits.
    pub(in crate::cache) saving: Mutex<()>,
}

impl Sparse {
    pub(in crate::cache) fn new(
        parts: Arc<Parts>,
        name: &str,
        size: u64,
        bits: u64,
        inode: Option<Inode>,
    ) -> Sparse {
        Sparse {
            parts,
            name: name.into(),
            size,
            bits,
            handle: Mutex::default(),
            inode: Mutex::new(inode),
            generation: AtomicU64::new(0),
            making: Mutex::default(),
            saving: Mutex::default(),
        }
    }

    /// Opens the file that we know; [`is_lost`] tells when it is not there any more.
    pub(in crate::cache) fn open(&self) -> io::Result<Arc<File>> {
        if let Some(file) = self.handle.lock().upgrade() {
            return Ok(file);
        }
        let known = *self.inode.lock();
        let Some(known) = known else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let file = os::beneath::open(self.parts.data().dir(), self.path())?;
        if inode(&file)? != known {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(self.hold(file, known))
    }

    /// The same, by a descriptor that cannot write.
    pub(in crate::cache) fn open_read(&self) -> io::Result<File> {
        let known = *self.inode.lock();
        let file = os::beneath::open_read(self.parts.data().dir(), self.path())?;
        match known == Some(inode(&file)?) {
            true => Ok(file),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Opens the file, making it if it has not been made yet. One that was made and is lost is not made anew.
    pub(in crate::cache) fn open_or_make(&self) -> io::Result<Arc<File>> {
        let _one = self.making.lock();
        if self.inode.lock().is_some() {
            return self.open();
        }
        let file = self.make()?;
        file.set_len(self.size)?;
        let known = inode(&file)?;
        *self.inode.lock() = Some(known);
        Ok(self.hold(file, known))
    }

    fn make(&self) -> io::Result<File> {
        let (base, path) = (self.parts.data(), self.path());
        let data = base.dir();
        let mut result = os::beneath::create(data, path, FILE_MODE);
        if let Err(error) = &result {
            match error.kind() {
                io::ErrorKind::NotFound => {
                    let parent = path.parent().unwrap_or(Path::new(""));
                    os::beneath::make_dirs(data, parent, DIR_MODE)?;
                }
                // Not ours, or we would know it.
                io::ErrorKind::AlreadyExists => os::beneath::remove(data, path)?,
                _ => return result,
            }
            result = os::beneath::create(data, path, FILE_MODE);
        }
        result
    }

    fn hold(&self, file: File, known: Inode) -> Arc<File> {
        let file = Arc::new(file);
        let inode = self.inode.lock();
        let mut slot = self.handle.lock();
        if let Some(other) = slot.upgrade() {
            return other;
        }
        if *inode == Some(known) {
            *slot = Arc::downgrade(&file);
        }
        file
    }

    /// To be compared before and after a write.
    pub(in crate::cache) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Forgets the file, so that the next write makes a new one.
    pub(in crate::cache) fn forget(&self) {
        let mut inode = self.inode.lock();
        self.generation.fetch_add(1, Ordering::AcqRel);
        *self.handle.lock() = Weak::new();
        *inode = None;
    }

    /// Removes the file. Whoever has it open reads on.
    pub(in crate::cache) fn remove(&self) -> io::Result<()> {
        os::beneath::remove(self.parts.data().dir(), self.path())
    }

    fn path(&self) -> &Path {
        Path::new(&*self.name)
    }
}

/// Whether an error of [`Sparse::open`] means that somebody took the file away, or put something else in its place.
pub(in crate::cache) fn is_lost(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | InvalidData | NotADirectory)
        || matches!(error.raw_os_error(), Some(libc::ELOOP | libc::EXDEV))
}
