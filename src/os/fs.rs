//! Durability and careful opens that std lacks.
#![allow(unsafe_code)] // syncfs(2) and openat2(2) have no counterpart in std.

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
    let file = match open_by_rule(&base, name, flags | libc::O_CLOEXEC, 0) {
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

/// Opens `name` below the open directory `base`, following no link; `flags` are those of open(2). Without openat2(2)
/// only the last component is looked at.
pub(super) fn open_in(base: &File, name: &Path, flags: libc::c_int, mode: u32) -> io::Result<File> {
    let flags = flags | libc::O_CLOEXEC | libc::O_NOFOLLOW;
    // O_PATH allows no other flags than these.
    let flags = match flags & libc::O_PATH {
        0 => flags | libc::O_NONBLOCK,
        _ => flags,
    };
    match open_by_rule(base, name, flags, mode) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
            let path = Path::new("/proc/self/fd")
                .join(base.as_raw_fd().to_string())
                .join(name.strip_prefix("/").unwrap_or(name));
            OpenOptions::new()
                .read(true)
                .write(flags & libc::O_RDWR != 0)
                .create_new(flags & libc::O_CREAT != 0)
                .mode(mode)
                .custom_flags(flags & !(libc::O_CREAT | libc::O_EXCL))
                .open(path)
        }
        other => other,
    }
}

fn open_by_rule(base: &File, name: &Path, flags: libc::c_int, mode: u32) -> io::Result<File> {
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
}
