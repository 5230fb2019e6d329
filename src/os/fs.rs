//! Durability and careful opens that std lacks.
#![allow(unsafe_code)] // dup3(2) onto a descriptor that others use.

use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::{Errno, ReadWriteFlags};

use super::blocking;

const FDS: &str = "/proc/self/fd";

/// How long a lease is waited for, in all a tenth of a second: ours are given back in microseconds, and a file's owner who
/// keeps one is not to hold up others.
const PAUSE: Duration = Duration::from_millis(1);
const TRIES: u32 = 100;

/// What tells one content of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    /// Cannot be set by hand, so it also tells of a rewrite with the old size and time.
    changed: (i64, i64),
}

impl Stamp {
    /// Of a file as it was when it was looked at.
    pub fn of(meta: &Metadata) -> Stamp {
        Stamp {
            file: (meta.dev(), meta.ino()),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

/// Writes out everything of the file system that holds `file`: one call for a whole tree of new files.
///
/// # Errors
///
/// EIO or ENOSPC: something written since the file was opened did not reach the disk.
pub fn syncfs(file: &impl AsFd) -> io::Result<()> {
    blocking::may_wait();
    Ok(rustix::fs::syncfs(file)?)
}

/// Fills `buffer` from `offset` with bytes that are in memory already. Never waits for a disk.
///
/// # Errors
///
/// `WouldBlock`: not all of them are. `Unsupported` of file systems that cannot tell, as network file systems.
pub fn read_cached(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    let wanted = buffer.len();
    let into = &mut [IoSliceMut::new(buffer)];
    let read = rustix::io::preadv2(file, into, offset, ReadWriteFlags::NOWAIT)?;
    match read == wanted {
        true => Ok(()),
        false => Err(io::ErrorKind::WouldBlock.into()),
    }
}

/// Makes the names in a directory durable.
///
/// # Errors
///
/// The directory cannot be opened, or the disk failed.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    blocking::may_wait();
    File::open(dir)?.sync_all()
}

/// A path that leads through a descriptor of this process, as people know it; any other as it is.
pub fn shown(path: &Path) -> PathBuf {
    let known = || {
        let mut parts = path.strip_prefix(FDS).ok()?.components();
        let dir = std::fs::read_link(Path::new(FDS).join(parts.next()?)).ok()?;
        Some(dir.join(parts.as_path()))
    };
    known().unwrap_or_else(|| path.to_path_buf())
}

/// The path of an open directory, for the kernel alone: good as long as `dir` is open; `/proc` must be mounted.
pub fn through(dir: &impl AsRawFd) -> PathBuf {
    Path::new(FDS).join(dir.as_raw_fd().to_string())
}

/// Makes the descriptor of `old` refer to what `new` refers to, at once for every thread.
///
/// # Errors
///
/// Those of dup3(2).
pub fn turn(old: &File, new: &File) -> io::Result<()> {
    // SAFETY: both descriptors are open for as long as the borrows last, and `old` stays the owner of its number.
    match unsafe { libc::dup3(new.as_raw_fd(), old.as_raw_fd(), libc::O_CLOEXEC) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Where a link leads that is open itself (`O_PATH` and `O_NOFOLLOW`).
pub(super) fn target(link: &File) -> io::Result<PathBuf> {
    let target = rustix::fs::readlinkat(link, "", Vec::new())?;
    Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
}

/// Opens `name` below the open directory `base`, following no link on the way from there, not even in place of a directory,
/// which `O_NOFOLLOW` does not look at. Never waits for a FIFO's other end.
pub(super) fn open_in(base: impl AsFd, name: &Path, flags: OFlags, mode: u32) -> io::Result<File> {
    blocking::may_wait();
    let base = base.as_fd();
    let mut flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    // O_PATH allows no other flags than these.
    if !flags.contains(OFlags::PATH) {
        flags |= OFlags::NONBLOCK;
    }
    let mode = Mode::from_raw_mode(mode);
    let rule = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let file = patiently(|| match openat2(base, name, flags, mode, rule) {
        Err(Errno::NOSYS | Errno::PERM) => open_by_steps(base, name, flags, mode),
        other => other,
    })?;
    Ok(File::from(file))
}

/// An open that does not wait fails as long as somebody has a write lease on the file, who is told to give it back. Looking for
/// those who use a file ([`super::lease`]) is such a moment.
fn patiently(open: impl Fn() -> rustix::io::Result<OwnedFd>) -> rustix::io::Result<OwnedFd> {
    for _ in 0..TRIES {
        match open() {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => std::thread::sleep(PAUSE),
            other => return other,
        }
    }
    open()
}

/// What openat2(2) does, for a kernel or a container without it: one component after another.
fn open_by_steps(
    base: BorrowedFd<'_>,
    name: &Path,
    flags: OFlags,
    mode: Mode,
) -> rustix::io::Result<OwnedFd> {
    let mut at: Option<OwnedFd> = None;
    let mut parts = name.components().peekable();
    while let Some(part) = parts.next() {
        if !matches!(part, Component::Normal(_) | Component::CurDir) {
            return Err(Errno::XDEV);
        }
        let parent = at.as_ref().map_or(base, AsFd::as_fd);
        if parts.peek().is_none() {
            return openat(parent, part.as_os_str(), flags, mode);
        }
        let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        at = Some(openat(parent, part.as_os_str(), step, Mode::empty())?);
    }
    Err(Errno::NOENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syncing_accepts_files_and_directories() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(10_000).unwrap();
        syncfs(&file).unwrap();
        sync_dir(&std::env::temp_dir()).unwrap();
        assert!(sync_dir(Path::new("/no/such/directory")).is_err());
    }

    #[test]
    fn without_openat2_no_link_is_followed_either() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(outside.path().join("f"), "x").unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/b/f"), "y").unwrap();
        std::os::unix::fs::symlink(outside.path(), dir.path().join("link")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("f"), dir.path().join("a/f")).unwrap();
        let base = File::open(dir.path()).unwrap();
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW;
        let open = |name: &str| open_by_steps(base.as_fd(), Path::new(name), flags, Mode::empty());
        assert!(open("a/b/f").is_ok() && open(".").is_ok());
        for name in [
            "link/f",
            "a/f",
            "link",
            "../x",
            "/etc/passwd",
            "a/../link",
            "a/g",
            "",
        ] {
            assert!(open(name).is_err(), "{name}");
        }
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let create = |name: &str| open_by_steps(base.as_fd(), Path::new(name), flags, Mode::RUSR);
        assert!(create("a/new").is_ok());
        assert!(create("link/new").is_err());
    }

    #[test]
    fn a_descriptor_can_be_turned_to_another_directory() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(two.path().join("f"), "x").unwrap();
        let (old, new) = (
            File::open(one.path()).unwrap(),
            File::open(two.path()).unwrap(),
        );
        let path = through(&old).join("f");
        assert!(!path.exists());
        turn(&old, &new).unwrap();
        drop(new);
        assert!(path.exists());
        let two = two.path().canonicalize().unwrap();
        assert_eq!(shown(&path), two.join("f"));
        assert_eq!(shown(&two), two);
    }
}
