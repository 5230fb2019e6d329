//! Unmounting, and ending a connection whose server hangs.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::mount::UnmountFlags;

use super::fusermount::{self, Failure};
use super::mountinfo::Device;
use super::own;

/// How hard to unmount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Only if nobody uses it.
    Normal,
    /// Take it out of the tree at once; who uses it goes on until done.
    Lazy,
}

/// Why something is still mounted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// In use: an open file, a working directory, or another mount on top.
    #[error("{} is busy", mountpoint.display())]
    Busy {
        /// What should have been unmounted.
        mountpoint: PathBuf,
    },
    /// Nothing is mounted there.
    #[error("nothing is mounted on {}", mountpoint.display())]
    NotMounted {
        /// What should have been unmounted.
        mountpoint: PathBuf,
    },
    /// Somebody else's mount.
    #[error("not allowed to unmount {}: it was mounted by another user; run this as that user or as root", mountpoint.display())]
    NotPermitted {
        /// What should have been unmounted.
        mountpoint: PathBuf,
    },
    /// fusermount3 is not there.
    #[error("cannot unmount {} as an ordinary user without the program fusermount3: `apt-get install fuse3`", mountpoint.display())]
    NoHelper {
        /// What should have been unmounted.
        mountpoint: PathBuf,
    },
    /// fusermount3 said no.
    #[error("cannot unmount {}: {said}", mountpoint.display())]
    Refused {
        /// What should have been unmounted.
        mountpoint: PathBuf,
        /// Its words.
        said: String,
    },
    /// Anything else that went wrong.
    #[error("cannot unmount {}: {source}", mountpoint.display())]
    Failed {
        /// What should have been unmounted.
        mountpoint: PathBuf,
        /// From the kernel.
        source: io::Error,
    },
}

/// Unmounts what is on top at `mountpoint` (absolute, as in mountinfo), alive or dead: umount2(2) as root, fusermount3
/// as anybody else. It never asks the file system. Whose it is must be known before: see [`super::mountinfo`].
///
/// # Errors
///
/// See [`Error`]; it is still mounted then.
pub fn unmount(mountpoint: &Path, way: Way) -> Result<(), Error> {
    if own::uid() == 0 {
        as_root(mountpoint, way)
    } else {
        as_user(mountpoint, way)
    }
}

fn as_root(mountpoint: &Path, way: Way) -> Result<(), Error> {
    let at = || mountpoint.to_path_buf();
    let flags = match way {
        Way::Normal => UnmountFlags::NOFOLLOW,
        Way::Lazy => UnmountFlags::NOFOLLOW | UnmountFlags::DETACH,
    };
    rustix::mount::unmount(mountpoint, flags).map_err(|errno| match errno {
        Errno::BUSY => Error::Busy { mountpoint: at() },
        Errno::INVAL | Errno::NOENT => Error::NotMounted { mountpoint: at() },
        Errno::PERM => Error::NotPermitted { mountpoint: at() },
        _ => Error::Failed {
            mountpoint: at(),
            source: errno.into(),
        },
    })
}

fn as_user(mountpoint: &Path, way: Way) -> Result<(), Error> {
    let at = || mountpoint.to_path_buf();
    fusermount::unmount(mountpoint, way == Way::Lazy).map_err(|failure| match failure {
        Failure::Missing => Error::NoHelper { mountpoint: at() },
        Failure::Refused(said) => understand(mountpoint, said),
        Failure::Io(source) => Error::Failed {
            mountpoint: at(),
            source,
        },
    })
}

/// fusermount3 has one exit code for everything; its words are fixed (it sets no locale).
fn understand(mountpoint: &Path, said: String) -> Error {
    let mountpoint = mountpoint.to_path_buf();
    if said.contains("Device or resource busy") {
        Error::Busy { mountpoint }
    } else if said.contains("not found in") || said.contains("Invalid argument") {
        // "entry for ... not found in /etc/mtab" is also what it says of a mount that belongs to another user.
        match super::mountinfo::Table::read().is_ok_and(|table| table.at(&mountpoint).is_some()) {
            true => Error::NotPermitted { mountpoint },
            false => Error::NotMounted { mountpoint },
        }
    } else if said.contains("Operation not permitted") {
        Error::NotPermitted { mountpoint }
    } else {
        Error::Refused { mountpoint, said }
    }
}

/// Ends the FUSE connection with this device number: every request fails from now on, and who waits in the kernel wakes
/// up. Open to root and to the user who mounted; works after a lazy unmount too.
///
/// # Errors
///
/// `NotFound`: the connection has ended, or `/sys/fs/fuse/connections` is not mounted (systemd mounts it; containers often
/// lack it): see [`force`].
pub fn abort(device: Device) -> io::Result<()> {
    // The kernel names a connection by its whole device number; without a major number that is the minor one.
    std::fs::write(
        format!("/sys/fs/fuse/connections/{}/abort", device.minor),
        "1",
    )
}

/// Ends the FUSE connection of what is mounted on `mountpoint` without the help of sysfs, and unmounts it if nobody uses
/// it. Only for root.
///
/// # Errors
///
/// Those of umount2(2); a busy mount is none, as its connection has been ended.
pub fn force(mountpoint: &Path) -> io::Result<()> {
    match rustix::mount::unmount(mountpoint, UnmountFlags::NOFOLLOW | UnmountFlags::FORCE) {
        Err(errno) if errno != Errno::BUSY => Err(errno.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::probe::{Liveness, probe};
    use super::super::testing::{TestMount, needs_fuse};
    use super::*;
    use std::time::Duration;

    #[test]
    fn busy_is_told_and_lazy_serves_what_is_open() {
        needs_fuse();
        let mount = TestMount::new();
        let file = std::fs::File::open(mount.path().join("file")).unwrap();
        assert!(matches!(
            unmount(mount.path(), Way::Normal),
            Err(Error::Busy { .. })
        ));
        unmount(mount.path(), Way::Lazy).unwrap();
        assert!(!mount.mounted().is_mounted());
        assert_eq!(io::read_to_string(file).unwrap(), "hello");
        assert!(matches!(
            unmount(mount.path(), Way::Normal),
            Err(Error::NotMounted { .. })
        ));
    }

    #[test]
    fn an_aborted_mount_is_dead_and_can_be_unmounted() {
        needs_fuse();
        let mount = TestMount::new();
        assert_eq!(
            probe(mount.path(), Duration::from_secs(10)),
            Liveness::Answers
        );
        let open = std::fs::File::open(mount.path().join("file")).unwrap();
        mount.mounted().abort().unwrap();
        assert!(super::super::probe::is_disconnected(
            &io::read_to_string(&open).unwrap_err()
        ));
        assert_eq!(probe(mount.path(), Duration::from_secs(10)), Liveness::Dead);
        unmount(mount.path(), Way::Lazy).unwrap();
        assert!(!mount.mounted().is_mounted());
    }

    #[test]
    fn a_mount_that_nobody_serves_yet_is_silent() {
        needs_fuse();
        let dir = tempfile::tempdir().unwrap();
        let mountpoint = dir.path().canonicalize().unwrap();
        let options = super::super::mount::MountOptions {
            mountpoint,
            allow_other: false,
        };
        let (fd, mounted) = super::super::mount::mount(&options).unwrap();
        assert_eq!(
            probe(mounted.mountpoint(), Duration::from_millis(200)),
            Liveness::Silent
        );
        // The server dies: the probing thread wakes, and the mount is dead.
        drop(fd);
        assert_eq!(
            probe(mounted.mountpoint(), Duration::from_secs(10)),
            Liveness::Dead
        );
    }

    #[test]
    fn the_helpers_words_are_understood() {
        let here = Path::new("/not/a/mountpoint");
        let kind = |said: &str| understand(here, said.to_owned());
        assert!(matches!(
            kind("fusermount3: failed to unmount /m: Device or resource busy"),
            Error::Busy { .. }
        ));
        assert!(matches!(
            kind("fusermount3: entry for /m not found in /etc/mtab"),
            Error::NotMounted { .. }
        ));
        assert!(matches!(
            understand(Path::new("/"), "entry for / not found in x".into()),
            Error::NotPermitted { .. }
        ));
        assert!(matches!(kind("what?"), Error::Refused { .. }));
    }
}
