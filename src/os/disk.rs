//! The disk under a path: its space, its type, the readahead of a mount.

use std::io;
use std::path::Path;

use super::mountinfo::Device;

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
    let out = rustix::fs::statvfs(path)?;
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
    /// Over the network: other hosts may hold locks on it.
    Nfs,
    /// Everything else.
    Other,
}

/// The type of the file system that holds `path`.
///
/// # Errors
///
/// Those of statfs(2).
pub fn fs_type(path: &Path) -> io::Result<FsType> {
    Ok(match rustix::fs::statfs(path)?.f_type {
        libc::OVERLAYFS_SUPER_MAGIC => FsType::Overlay,
        libc::NFS_SUPER_MAGIC => FsType::Nfs,
        _ => FsType::Other,
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
        assert_eq!(fs_type(Path::new("/proc")).unwrap(), FsType::Other);
        if let Ok(table) = super::super::mountinfo::Table::read()
            && let Some(mount) = table
                .of_type("overlay")
                .find(|m| table.at(&m.mountpoint) == Some(m))
        {
            assert_eq!(fs_type(&mount.mountpoint).unwrap(), FsType::Overlay);
        }
    }
}
