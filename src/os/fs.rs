//! Durability and careful opens that std lacks.
#![allow(unsafe_code)] // syncfs(2), openat2(2), dup3(2) and readlinkat(2) have no counterpart in std.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::{c_path, check};

const FDS: &str = "/proc/self/fd";

/// How long a lease is waited for, in all a tenth of a second: ours are given back in microseconds, and a file's owner who
/// keeps one is not to hold up others.
const PAUSE: Duration = Duration::from_millis(1);
const TRIES: u32 = 100;

/// Writes out everything of the file system that holds `file`: one call for a whole tree of new files.
///
/// # Errors
///
/// EIO or ENOSPC: something written since the file was opened did not reach the disk.
pub fn syncfs(file: &impl AsFd) -> io::Result<()> {
    // SAFETY: the descriptor is open for as long as the borrow lasts; the call touches no memory of ours.
    check(unsafe { libc::syncfs(file.as_fd().as_raw_fd()) }).map(drop)
}

/// Makes the names in a directory durable.
///
/// # Errors
///
/// The directory cannot be opened, or the disk failed.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
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
    check(unsafe { libc::dup3(new.as_raw_fd(), old.as_raw_fd(), libc::O_CLOEXEC) }).map(drop)
}

/// Where a link leads that is open itself (`O_PATH` and `O_NOFOLLOW`).
pub(super) fn target(link: &File) -> io::Result<PathBuf> {
    let mut bytes = vec![0u8; libc::PATH_MAX.unsigned_abs() as usize];
    // SAFETY: the name is empty and NUL-terminated, and the buffer is as long as is said.
    let len = unsafe {
        let (fd, name) = (link.as_raw_fd(), c"".as_ptr());
        libc::readlinkat(fd, name, bytes.as_mut_ptr().cast(), bytes.len())
    };
    let Ok(len) = usize::try_from(len) else {
        return Err(io::Error::last_os_error());
    };
    bytes.truncate(len);
    Ok(PathBuf::from(OsString::from_vec(bytes)))
}

/// Opens `name` below the open directory `base`, following no link on the way from there, not even in place of a directory,
/// which `O_NOFOLLOW` does not look at; `flags` are those of open(2). Never waits for a FIFO's other end.
pub(super) fn open_in(
    base: &impl AsRawFd,
    name: &Path,
    flags: libc::c_int,
    mode: u32,
) -> io::Result<File> {
    let flags = flags | libc::O_CLOEXEC | libc::O_NOFOLLOW;
    // O_PATH allows no other flags than these.
    let flags = match flags & libc::O_PATH {
        0 => flags | libc::O_NONBLOCK,
        _ => flags,
    };
    patiently(|| match open_by_rule(base, name, flags, mode) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
            open_by_steps(base, name, flags, mode)
        }
        other => other,
    })
}

/// An open that does not wait fails as long as somebody has a write lease on the file, who is told to give it back. Looking for
/// those who use a file ([`super::lease`]) is such a moment.
fn patiently(open: impl Fn() -> io::Result<File>) -> io::Result<File> {
    for _ in 0..TRIES {
        match open() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(PAUSE),
            other => return other,
        }
    }
    open()
}

/// The same as [`open_by_rule`] for a kernel, or a container, without openat2(2): one component after another.
fn open_by_steps(
    base: &impl AsRawFd,
    name: &Path,
    flags: libc::c_int,
    mode: u32,
) -> io::Result<File> {
    let mut at = None;
    let mut parts = name.components().peekable();
    while let Some(part) = parts.next() {
        if !matches!(part, Component::Normal(_) | Component::CurDir) {
            return Err(io::Error::from_raw_os_error(libc::EXDEV));
        }
        let path = at
            .as_ref()
            .map_or_else(|| through(base), through)
            .join(part);
        let mut options = OpenOptions::new();
        options.read(true);
        if parts.peek().is_none() {
            return options
                .write(flags & libc::O_RDWR != 0)
                .create_new(flags & libc::O_CREAT != 0)
                .mode(mode)
                .custom_flags(flags & !(libc::O_CREAT | libc::O_EXCL))
                .open(path);
        }
        let step = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW;
        at = Some(options.custom_flags(step).open(path)?);
    }
    Err(io::ErrorKind::NotFound.into())
}

fn open_by_rule(
    base: &impl AsRawFd,
    name: &Path,
    flags: libc::c_int,
    mode: u32,
) -> io::Result<File> {
    let name = c_path(name)?;
    // SAFETY: all zeros is a valid `open_how`, which must be so before its fields are set.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = u64::from(flags.cast_unsigned());
    how.mode = u64::from(mode);
    how.resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_SYMLINKS;
    // SAFETY: the name is NUL-terminated, it, the descriptor and `how` live through the call, and the size is that of `how`.
    let opened = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            base.as_raw_fd(),
            name.as_ptr(),
            &raw const how,
            size_of::<libc::open_how>(),
        )
    };
    let number = i32::try_from(opened).map_err(io::Error::other)?;
    let number = check(number)?;
    // SAFETY: the kernel has just made this descriptor, and nobody else knows of it.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(number) }))
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
        let flags = libc::O_RDONLY | libc::O_NOFOLLOW;
        let open = |name: &str| open_by_steps(&base, Path::new(name), flags, 0);
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
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
        assert!(open_by_steps(&base, Path::new("a/new"), flags, 0o644).is_ok());
        assert!(open_by_steps(&base, Path::new("link/new"), flags, 0o644).is_err());
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
