//! Durability, renames and careful opens that std lacks.
#![allow(unsafe_code)] // syncfs(2), renameat2(2), openat2(2) and posix_fadvise(2) have no counterpart in std.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{c_path, check};

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

/// Renames `from` to `to`, and fails with `AlreadyExists` where `to` exists, an empty directory included (which rename(2)
/// would replace).
///
/// # Errors
///
/// Those of renameat2(2). EINVAL: the file system has no `RENAME_NOREPLACE` (NFS).
pub fn rename_noreplace(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (c_path(from)?, c_path(to)?);
    // SAFETY: both paths are NUL-terminated and live through the call.
    check(unsafe {
        libc::renameat2(
            libc::AT_FDCWD,
            from.as_ptr(),
            libc::AT_FDCWD,
            to.as_ptr(),
            libc::RENAME_NOREPLACE,
        )
    })
    .map(drop)
}

/// Opens the plain file `name` below `dir` for reading, following no link on the way from there: not even in place of a
/// directory, which `O_NOFOLLOW` does not look at.
///
/// A kernel, or a container, without openat2(2) looks at the last component only.
///
/// # Errors
///
/// Those of openat2(2): ELOOP for a link. `InvalidData`: it is no plain file. Never waits for a FIFO's other end.
pub fn open_beneath(dir: &Path, name: &Path) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let base = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
        .open(dir)?;
    let file = match open_by_rule(&base, name, flags | libc::O_CLOEXEC) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
            let path = dir.join(name);
            OpenOptions::new().read(true).custom_flags(flags).open(path)
        }
        other => other,
    }?;
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(file)
}

fn open_by_rule(base: &File, name: &Path, flags: libc::c_int) -> io::Result<File> {
    let name = c_path(name)?;
    // SAFETY: all zeros is a valid `open_how`, which must be so before its fields are set.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = u64::from(flags.cast_unsigned());
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

/// What posix_fadvise(2) can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Start reading this range into the page cache.
    WillNeed,
    /// These (clean) pages will not be read again soon.
    DontNeed,
    /// Read ahead twice as far as usual.
    Sequential,
    /// Do not read ahead.
    Random,
}

/// Tells the kernel how `len` bytes from `offset` will be used (0: to the end of the file). Only a hint.
///
/// # Errors
///
/// The file is a pipe, or a figure exceeds what a file may hold.
pub fn advise(file: &impl AsFd, offset: u64, len: u64, advice: Advice) -> io::Result<()> {
    let too_far = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let offset = i64::try_from(offset).map_err(too_far)?;
    let len = i64::try_from(len).map_err(too_far)?;
    let advice = match advice {
        Advice::WillNeed => libc::POSIX_FADV_WILLNEED,
        Advice::DontNeed => libc::POSIX_FADV_DONTNEED,
        Advice::Sequential => libc::POSIX_FADV_SEQUENTIAL,
        Advice::Random => libc::POSIX_FADV_RANDOM,
    };
    // SAFETY: the descriptor is open for as long as the borrow lasts; the call touches no memory of ours.
    match unsafe { libc::posix_fadvise(file.as_fd().as_raw_fd(), offset, len, advice) } {
        0 => Ok(()),
        // Unlike its neighbours this call returns the error number instead of setting errno.
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rename_never_replaces() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        std::fs::create_dir(&a).unwrap();
        std::fs::create_dir(&b).unwrap();
        let error = rename_noreplace(&a, &b).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        std::fs::remove_dir(&b).unwrap();
        rename_noreplace(&a, &b).unwrap();
        assert!(b.is_dir() && !a.exists());
    }

    #[test]
    fn syncing_and_advising_accept_a_file_and_refuse_nonsense() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(10_000).unwrap();
        syncfs(&file).unwrap();
        sync_dir(&std::env::temp_dir()).unwrap();
        for advice in [
            Advice::WillNeed,
            Advice::DontNeed,
            Advice::Sequential,
            Advice::Random,
        ] {
            advise(&file, 0, 0, advice).unwrap();
        }
        assert!(advise(&file, u64::MAX, 0, Advice::Random).is_err());
        let (pipe, _write) = io::pipe().unwrap();
        assert_eq!(
            advise(&pipe, 0, 0, Advice::Random)
                .unwrap_err()
                .raw_os_error(),
            Some(libc::ESPIPE)
        );
    }
}
