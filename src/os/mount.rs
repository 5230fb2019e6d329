//! Mounting: `/dev/fuse` and mount(2) as root, fusermount3 as anybody else.
//!
//! fuser's own mounting is not used: it shows no subtype as root, and it can unmount twice and take a successor's mount
//! with it. [`mount`] gives the descriptor for `fuser::Session::from_fd`, and a [`Mounted`] that unmounts this mount only.
//! The kernel has queued its INIT request by then; until the session answers it, whoever enters the mount waits.

use std::ffi::CString;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use rustix::io::Errno;
use rustix::mount::MountFlags;

use super::fusermount::{self, Failure};
pub use super::mounted::Mounted;
use super::mountinfo::FSTYPE;
use super::own;
use super::unmount::{self, Way};

/// What stands in the first column of df(1) and mount(8).
const SOURCE: &str = "tfhub-fs";

/// How to mount. Every mount is read-only, without setuid programs and devices, and the kernel checks permissions.
/// Read-only is more than a courtesy: on a writable mount each passthrough read updates an access time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountOptions {
    /// An existing directory, absolute, symlinks resolved (see [`super::path::resolve`]).
    pub mountpoint: PathBuf,
    /// Whether users other than the one who mounts may read.
    pub allow_other: bool,
}

/// Why a mount could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// FUSE is missing from this kernel or container.
    #[error(
        "cannot open /dev/fuse to mount on {}: {source}; load the module with `modprobe fuse`, or start the container with `--device /dev/fuse`",
        mountpoint.display()
    )]
    NoDevice {
        /// Where it should have been mounted.
        mountpoint: PathBuf,
        /// From open(2).
        source: io::Error,
    },
    /// Root without the privilege to mount.
    #[error(
        "the kernel does not let root mount on {}: in a container this takes `--cap-add SYS_ADMIN` (and, with AppArmor, `--security-opt apparmor=unconfined`)",
        mountpoint.display()
    )]
    NotPermitted {
        /// Where it should have been mounted.
        mountpoint: PathBuf,
    },
    /// fusermount3 is not there.
    #[error(
        "cannot mount on {} as an ordinary user without the program fusermount3: `apt-get install fuse3`, or mount as root",
        mountpoint.display()
    )]
    NoHelper {
        /// Where it should have been mounted.
        mountpoint: PathBuf,
    },
    /// `allow_other` from an ordinary user, and the administrator has not allowed it.
    #[error(
        "cannot let other users read {}: an ordinary user may do so only if /etc/fuse.conf has the line `user_allow_other`; add it, or leave out --allow-other",
        mountpoint.display()
    )]
    OthersNotAllowed {
        /// Where it should have been mounted.
        mountpoint: PathBuf,
    },
    /// fusermount3 said no.
    #[error("cannot mount on {}: {said}", mountpoint.display())]
    Refused {
        /// Where it should have been mounted.
        mountpoint: PathBuf,
        /// Its words.
        said: String,
    },
    /// Anything else that went wrong.
    #[error("cannot mount on {}: {source}", mountpoint.display())]
    Failed {
        /// Where it should have been mounted.
        mountpoint: PathBuf,
        /// From the kernel.
        source: io::Error,
    },
}

/// Mounts an empty connection on `options.mountpoint`.
///
/// # Errors
///
/// See [`Error`]; nothing is mounted then.
pub fn mount(options: &MountOptions) -> Result<(OwnedFd, Mounted), Error> {
    let fd = if own::uid() == 0 {
        mount_as_root(options)?
    } else {
        mount_as_user(options)?
    };
    match Mounted::find(&options.mountpoint) {
        Ok(mounted) => Ok((fd, mounted)),
        Err(source) => {
            let _ = unmount::unmount(&options.mountpoint, Way::Lazy);
            Err(Error::Failed {
                mountpoint: options.mountpoint.clone(),
                source,
            })
        }
    }
}

fn mount_as_root(options: &MountOptions) -> Result<OwnedFd, Error> {
    let mountpoint = || options.mountpoint.clone();
    let failed = |source| Error::Failed {
        mountpoint: mountpoint(),
        source,
    };
    let device = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_CLOEXEC)
        .open("/dev/fuse")
        .map_err(|source| Error::NoDevice {
            mountpoint: mountpoint(),
            source,
        })?;
    let data = format!(
        "fd={},rootmode=40000,user_id={},group_id={},default_permissions{}",
        device.as_raw_fd(),
        own::uid(),
        own::gid(),
        if options.allow_other {
            ",allow_other"
        } else {
            ""
        },
    );
    let data = CString::new(data).map_err(|error| failed(error.into()))?;
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    match rustix::mount::mount(SOURCE, &options.mountpoint, FSTYPE, flags, &*data) {
        Ok(()) => Ok(device.into()),
        Err(Errno::PERM) => Err(Error::NotPermitted {
            mountpoint: mountpoint(),
        }),
        Err(errno) => Err(failed(errno.into())),
    }
}

fn mount_as_user(options: &MountOptions) -> Result<OwnedFd, Error> {
    let mountpoint = || options.mountpoint.clone();
    let mut list = format!("ro,nosuid,nodev,default_permissions,fsname={SOURCE},subtype=tfhub-fs");
    if options.allow_other {
        list.push_str(",allow_other");
    }
    fusermount::mount(&options.mountpoint, &list).map_err(|failure| match failure {
        Failure::Missing => Error::NoHelper {
            mountpoint: mountpoint(),
        },
        // Its words, libfuse 3.0 to 3.17: "option allow_other only allowed if 'user_allow_other' is set in /etc/fuse.conf".
        Failure::Refused(said) if said.contains("user_allow_other") => Error::OthersNotAllowed {
            mountpoint: mountpoint(),
        },
        Failure::Refused(said) => Error::Refused {
            mountpoint: mountpoint(),
            said,
        },
        Failure::Io(source) => Error::Failed {
            mountpoint: mountpoint(),
            source,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::mountinfo::Table;
    use super::super::testing::{TestMount, needs_fuse};
    use super::*;

    #[test]
    fn a_mount_shows_its_type_and_is_read_only() {
        needs_fuse();
        let mount = TestMount::new();
        let table = Table::read().unwrap();
        let row = table.at(mount.path()).unwrap();
        assert_eq!((row.fstype.as_str(), row.source.as_str()), (FSTYPE, SOURCE));
        for option in ["ro", "nosuid", "nodev"] {
            assert!(
                row.options.split(',').any(|word| word == option),
                "{}",
                row.options
            );
        }
        assert!(row.super_options.contains("default_permissions"));
        assert!(row.super_options.contains("allow_other"));
        assert_eq!(std::fs::read(mount.path().join("file")).unwrap(), b"hello");
        mount.mounted().set_read_ahead(1024).unwrap();
    }

    #[test]
    fn a_mount_on_nothing_is_a_named_failure() {
        needs_fuse();
        let options = MountOptions {
            mountpoint: "/no/such/place".into(),
            allow_other: false,
        };
        let error = mount(&options).unwrap_err();
        assert!(
            matches!(error, Error::Failed { .. } | Error::Refused { .. })
                && error.to_string().contains("/no/such/place"),
            "{error}"
        );
    }
}
