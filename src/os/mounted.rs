//! A mount that this process has made, known by its number in the kernel's table.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::disk;
use super::mountinfo::{Device, FSTYPE, Table};
use super::unmount::{self, Way};

/// A mount that this process has made. It knows its number in the kernel's table and touches no other one, a successor
/// at the same mountpoint included. Dropped while still mounted it is detached, so that no error path leaves a dead mount.
#[derive(Debug)]
pub struct Mounted {
    mountpoint: PathBuf,
    id: u64,
    device: Device,
    /// The kernel gives its numbers to the next mount at once.
    gone: AtomicBool,
}

impl Mounted {
    /// The mount that is on top at `mountpoint` now, if it is of our type.
    pub(super) fn find(mountpoint: &Path) -> io::Result<Mounted> {
        let table = Table::read()?;
        match table.at(mountpoint).filter(|mount| mount.fstype == FSTYPE) {
            Some(mount) => Ok(Mounted {
                mountpoint: mountpoint.to_path_buf(),
                id: mount.id,
                device: mount.device,
                gone: AtomicBool::new(false),
            }),
            None => Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the new mount is not in /proc/self/mountinfo",
            )),
        }
    }

    /// Where it is, absolute, symlinks resolved.
    pub fn mountpoint(&self) -> &Path {
        &self.mountpoint
    }

    /// Whether it is still in the table of mounts; false after a lazy unmount, even while it is in use.
    #[cfg(test)]
    pub fn is_mounted(&self) -> bool {
        Table::read().is_ok_and(|table| self.is_in(&table))
    }

    /// Records that the kernel has dropped it: whatever has its number from now on is another one.
    pub fn mark_gone(&self) {
        self.gone.store(true, Ordering::Release);
    }

    fn is_in(&self, table: &Table) -> bool {
        let of = |id| table.by_id(id);
        !self.gone.load(Ordering::Acquire)
            && of(self.id).is_some_and(|mount| mount.device == self.device)
    }

    /// Unmounts it. It is no error if somebody else has done so before.
    ///
    /// # Errors
    ///
    /// [`unmount::Error::Busy`], also when another mount lies on top of it; the others of that type.
    pub fn unmount(&self, way: Way) -> Result<(), unmount::Error> {
        let table = Table::read().map_err(|source| unmount::Error::Failed {
            mountpoint: self.mountpoint.clone(),
            source,
        })?;
        if !self.is_in(&table) {
            return Ok(());
        }
        if table
            .at(&self.mountpoint)
            .is_none_or(|top| top.id != self.id)
        {
            return Err(unmount::Error::Busy {
                mountpoint: self.mountpoint.clone(),
            });
        }
        unmount::unmount(&self.mountpoint, way)
    }

    /// Ends the connection: every request, waiting or to come, fails with "Transport endpoint is not connected".
    ///
    /// # Errors
    ///
    /// `/sys/fs/fuse/connections` is not mounted and this is no root, or the mount has been detached already. Closing
    /// `/dev/fuse`, as the end of the process does, has the same effect.
    pub fn abort(&self) -> io::Result<()> {
        match unmount::abort(self.device) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let table = Table::read()?;
                match table.at(&self.mountpoint) {
                    Some(top) if top.id == self.id => unmount::force(&self.mountpoint),
                    _ => Err(error),
                }
            }
            other => other,
        }
    }

    /// Sets how far the kernel reads ahead here, in KiB; see [`disk::set_read_ahead`].
    ///
    /// # Errors
    ///
    /// Not root, or no sysfs.
    pub fn set_read_ahead(&self, kib: u32) -> io::Result<()> {
        disk::set_read_ahead(self.device, kib)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = self.unmount(Way::Lazy);
    }
}

#[cfg(test)]
mod tests {
    use super::super::mount::{MountOptions, mount};
    use super::super::testing::{TestMount, needs_fuse};
    use super::*;

    #[test]
    fn a_successor_at_the_same_place_is_left_alone() {
        // fusermount3 does not mount twice on one place.
        needs_fuse();
        let first = TestMount::new();
        let options = MountOptions {
            mountpoint: first.path().to_path_buf(),
            allow_other: true,
        };
        let (_fd, second) = mount(&options).unwrap();
        assert!(matches!(
            first.mounted().unmount(Way::Normal),
            Err(unmount::Error::Busy { .. })
        ));
        assert!(second.is_mounted());
        drop(second);
        assert!(first.mounted().is_mounted());
        first.mounted().unmount(Way::Normal).unwrap();
        assert!(!first.mounted().is_mounted());
        first.mounted().unmount(Way::Normal).unwrap();
    }

    /// As when umount(8) has taken it away, and the next daemon has mounted, before the first one looks.
    #[test]
    fn what_has_gone_is_not_mistaken_for_one_with_its_numbers() {
        needs_fuse();
        let mount = TestMount::new();
        let earlier = Mounted::find(mount.path()).unwrap();
        earlier.mark_gone();
        assert!(!earlier.is_mounted());
        earlier.unmount(Way::Lazy).unwrap();
        drop(earlier);
        assert!(mount.mounted().is_mounted());
    }
}
