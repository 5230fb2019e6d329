//! A directory that is held open, with what is in it: no name is looked up a second time on the way down.
#![allow(unsafe_code)] // std lists a directory by its path only, and stats no name in an open one.

use std::ffi::{CStr, OsStr, OsString};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{beneath, check, fs};

/// An open directory and its entries.
#[derive(Debug)]
pub struct Dir {
    stream: NonNull<libc::DIR>,
    fd: RawFd,
}

/// A name in a directory, without `.` and `..`. What it stands for was looked at without following a link.
#[derive(Debug)]
pub struct Entry {
    /// The last component.
    pub name: OsString,
    /// What it stands for.
    pub kind: Kind,
    /// In bytes.
    pub size: u64,
    /// What it takes of the disk, in bytes.
    pub allocated: u64,
    /// When it was last written.
    pub mtime: SystemTime,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Dir,
    /// A plain file.
    File,
    /// A link, a FIFO, a device.
    Other,
}

impl Dir {
    /// Opens the directory `path`; see [`beneath::top`].
    ///
    /// # Errors
    ///
    /// As [`beneath::top`].
    pub fn top(path: &Path) -> io::Result<Dir> {
        Dir::of(beneath::top(path)?)
    }

    /// Opens the directory `name` below this one, following no link.
    ///
    /// # Errors
    ///
    /// Those of openat2(2): ELOOP or ENOTDIR for a link.
    pub fn below(&self, name: &Path) -> io::Result<Dir> {
        let flags = libc::O_RDONLY | libc::O_DIRECTORY;
        Dir::of(fs::open_in(self, name, flags, 0)?)
    }

    fn of(dir: File) -> io::Result<Dir> {
        let fd = dir.as_raw_fd();
        // SAFETY: the descriptor is open.
        let stream = unsafe { libc::fdopendir(fd) };
        let stream = NonNull::new(stream).ok_or_else(io::Error::last_os_error)?;
        let _ = dir.into_raw_fd(); // the stream's from now on
        Ok(Dir { stream, fd })
    }

    /// When the directory itself was last changed.
    ///
    /// # Errors
    ///
    /// The disk failed.
    pub fn mtime(&self) -> io::Result<SystemTime> {
        Ok(stat(self.fd, c"", libc::AT_EMPTY_PATH)?.mtime)
    }
}

impl Iterator for Dir {
    type Item = io::Result<Entry>;

    /// The next entry. One that vanishes in this moment is passed over.
    fn next(&mut self) -> Option<io::Result<Entry>> {
        loop {
            // SAFETY: errno is this thread's own, and nothing else tells an error of readdir(3) from the end.
            unsafe { *libc::__errno_location() = 0 };
            // SAFETY: the stream is open, and no other thread uses it: this is a `&mut`.
            let entry = unsafe { libc::readdir64(self.stream.as_ptr()) };
            if entry.is_null() {
                let error = io::Error::last_os_error();
                return (error.raw_os_error() != Some(0)).then_some(Err(error));
            }
            // SAFETY: the entry is the kernel's until the next call of readdir(3), and its name is NUL-terminated.
            let name = unsafe { CStr::from_ptr(&raw const (*entry).d_name as *const libc::c_char) };
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            match stat(self.fd, name, libc::AT_SYMLINK_NOFOLLOW) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                entry => return Some(entry),
            }
        }
    }
}

impl AsRawFd for Dir {
    fn as_raw_fd(&self) -> RawFd {
        self.fd
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // SAFETY: the stream is open, and not used after this.
        unsafe { libc::closedir(self.stream.as_ptr()) };
    }
}

fn stat(dir: RawFd, name: &CStr, flags: libc::c_int) -> io::Result<Entry> {
    let mut out = MaybeUninit::<libc::stat64>::zeroed();
    // SAFETY: the name is NUL-terminated, and the answer goes into a struct of the right type.
    check(unsafe { libc::fstatat64(dir, name.as_ptr(), out.as_mut_ptr(), flags) })?;
    // SAFETY: the call succeeded, and all zeros are valid anyway.
    let out = unsafe { out.assume_init() };
    let kind = match out.st_mode & libc::S_IFMT {
        libc::S_IFDIR => Kind::Dir,
        libc::S_IFREG => Kind::File,
        _ => Kind::Other,
    };
    let since = Duration::from_secs(out.st_mtime.unsigned_abs());
    let second = match out.st_mtime < 0 {
        true => UNIX_EPOCH.checked_sub(since),
        false => UNIX_EPOCH.checked_add(since),
    };
    let nanos = Duration::from_nanos(u64::try_from(out.st_mtime_nsec).unwrap_or(0));
    Ok(Entry {
        name: OsStr::from_bytes(name.to_bytes()).to_owned(),
        kind,
        size: u64::try_from(out.st_size).unwrap_or(0),
        allocated: u64::try_from(out.st_blocks).unwrap_or(0) * 512,
        mtime: second
            .and_then(|at| at.checked_add(nanos))
            .unwrap_or(UNIX_EPOCH),
    })
}

/// The sum of `count` over all that is in the directory `path` and below it, and is no directory; what cannot be read counts
/// nothing, and no link is followed but as [`beneath::top`] does.
pub fn sum(path: &Path, count: impl Fn(&Entry) -> u64) -> u64 {
    let Ok(mut top) = Dir::top(path) else {
        return 0;
    };
    let mut bytes = 0u64;
    let mut left = Vec::new();
    let mut add = |dir: &mut Dir, parent: &Path, left: &mut Vec<PathBuf>| {
        for entry in dir.flatten() {
            match entry.kind {
                Kind::Dir => left.push(parent.join(entry.name)),
                Kind::File | Kind::Other => bytes = bytes.saturating_add(count(&entry)),
            }
        }
    };
    add(&mut top, Path::new(""), &mut left);
    while let Some(parent) = left.pop() {
        if let Ok(mut dir) = top.below(&parent) {
            add(&mut dir, &parent, &mut left);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn entries_are_as_std_has_them() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        std::fs::write(dir.path().join("file"), vec![1; 5000]).unwrap();
        symlink("file", dir.path().join("link")).unwrap();
        let odd = std::time::UNIX_EPOCH - Duration::from_millis(1500);
        let file = File::options().write(true).open(dir.path().join("file"));
        file.unwrap().set_modified(odd).unwrap();
        let mut found: Vec<Entry> = Dir::top(dir.path()).unwrap().map(Result::unwrap).collect();
        found.sort_by(|one, other| one.name.cmp(&other.name));
        let kinds: Vec<_> = found.iter().map(|entry| entry.kind).collect();
        assert_eq!(kinds, [Kind::File, Kind::Other, Kind::Dir]);
        for entry in &found {
            let meta = std::fs::symlink_metadata(dir.path().join(&entry.name)).unwrap();
            assert_eq!(entry.mtime, meta.modified().unwrap());
            assert_eq!(entry.size, meta.len());
        }
        let itself = std::fs::metadata(dir.path()).unwrap().modified().unwrap();
        assert_eq!(Dir::top(dir.path()).unwrap().mtime().unwrap(), itself);
    }

    #[test]
    fn no_link_is_counted_through() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(outside.path().join("large"), vec![1; 5000]).unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/b/c"), "12345").unwrap();
        symlink(outside.path(), dir.path().join("a/link")).unwrap();
        let files = |entry: &Entry| u64::from(entry.kind == Kind::File) * entry.size;
        assert_eq!(sum(dir.path(), files), 5);
        assert!(
            Dir::top(dir.path())
                .unwrap()
                .below(Path::new("a/link"))
                .is_err()
        );
        assert_eq!(sum(&dir.path().join("none"), files), 0);
    }
}
