//! The disk under a path: its space, its type, the readahead of a mount.
#![allow(unsafe_code)] // statvfs(3) and statfs(2) have no counterpart in std.

use std::io;
use std::mem::MaybeUninit;
use std::path::Path;

use super::mountinfo::Device;
use super::{c_path, check};

/// What a file system says of its size, in bytes and in inodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// The whole file system.
    pub total: u64,
    /// Unused, including what is reserved for root.
    pub free: u64,
    /// Unused and open to an ordinary user: what a cache may count on.
    pub available: u64,
    /// Inodes in all; 0 where the file system has no fixed number.
    pub inodes: u64,
    /// Inodes unused.
    pub inodes_free: u64,
    /// Fragment size, in which the figures above are counted.
    pub block: u64,
}

/// The space of the file system that holds `path`.
///
/// # Errors
///
/// Those of statvfs(3): the path does not exist, or lies in a dead mount (ENOTCONN).
pub fn space(path: &Path) -> io::Result<Space> {
    let path = c_path(path)?;
    let mut out = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: `path` is NUL-terminated and `out` is large enough for the one struct that the call writes.
    check(unsafe { libc::statvfs(path.as_ptr(), out.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so it has written the struct.
    let out = unsafe { out.assume_init() };
    let block = out.f_frsize;
    Ok(Space {
        total: out.f_blocks.saturating_mul(block),
        free: out.f_bfree.saturating_mul(block),
        available: out.f_bavail.saturating_mul(block),
        inodes: out.f_files,
        inodes_free: out.f_ffree,
        block,
    })
}

/// The file systems that are treated differently from a plain local disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FsType {
    /// Stacked itself: FUSE passthrough onto it takes a stack depth of 2.
    Overlay,
    /// Lives in memory: a cache there is counted against the host's memory.
    Tmpfs,
    /// Over the network: locks and renames are slow, and may mean less.
    Nfs,
    /// Another FUSE file system.
    Fuse,
    /// Everything else, by its magic number of statfs(2).
    Other(u64),
}

/// The type of the file system that holds `path`.
///
/// # Errors
///
/// Those of statfs(2).
pub fn fs_type(path: &Path) -> io::Result<FsType> {
    let path = c_path(path)?;
    let mut out = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: `path` is NUL-terminated and `out` is large enough for the one struct that the call writes.
    check(unsafe { libc::statfs(path.as_ptr(), out.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so it has written the struct.
    let magic = unsafe { out.assume_init() }.f_type;
    Ok(match magic {
        libc::OVERLAYFS_SUPER_MAGIC => FsType::Overlay,
        libc::TMPFS_MAGIC => FsType::Tmpfs,
        libc::NFS_SUPER_MAGIC => FsType::Nfs,
        libc::FUSE_SUPER_MAGIC => FsType::Fuse,
        other => FsType::Other(other as u64),
    })
}

/// Sets how far the kernel reads ahead in the mount with this device number, in KiB.
///
/// FUSE starts with at most 128 KiB, and the protocol has no way to ask for more; sysfs has, for root.
///
/// # Errors
///
/// Not root, or sysfs is not mounted or read-only (containers). The mount works as well without it, only slower.
pub fn set_read_ahead(device: Device, kib: u32) -> io::Result<()> {
    std::fs::write(
        format!("/sys/class/bdi/{device}/read_ahead_kb"),
        kib.to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_is_consistent() {
        let space = space(Path::new("/")).unwrap();
        assert!(
            space.total >= space.free && space.free >= space.available && space.total > 0,
            "{space:?}"
        );
        let error = super::space(Path::new("/no/such/path")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn types_are_told_apart() {
        assert_eq!(fs_type(Path::new("/proc")).unwrap(), FsType::Other(0x9fa0));
        if let Ok(table) = super::super::mountinfo::Table::read()
            && let Some(mount) = table
                .of_type("tmpfs")
                .find(|m| table.at(&m.mountpoint) == Some(m))
        {
            assert_eq!(fs_type(&mount.mountpoint).unwrap(), FsType::Tmpfs);
        }
    }
}
