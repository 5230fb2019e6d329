//! The directory that a mount will cover: made if missing, mended if a dead mount lies on it, refused if it would lead
//! the daemon into its own mount.
//!
//! A path is compared with mountinfo as text before anything is asked of it: a dead mount answers every call with
//! "Transport endpoint is not connected", and a stuck one never.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::os::mountinfo::{FSTYPE, Table};
use crate::os::path::resolve;
use crate::os::probe::{Liveness, probe};
use crate::os::unmount::{self, Way, unmount};

/// How long a mount that is found in the way may take to show that it is alive: statfs and the root are answered from
/// memory by every tfhub-fs, so this only covers a host that is very busy.
const PATIENCE: Duration = Duration::from_secs(3);

/// Dead mounts may lie on one another, one for each restart that did not mend. More than this is something else.
const MAX_STACK: usize = 32;

/// Why a directory cannot be mounted on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A live mount of ours.
    #[error("{0} is already a tfhub-fs mount; `tfhub-fs unmount {0}` ends it", mountpoint.display())]
    AlreadyMounted {
        /// Resolved.
        mountpoint: PathBuf,
    },
    /// A mount of ours that does not answer.
    #[error(
        "{0} is a tfhub-fs mount that does not answer (its process may be stopped); `tfhub-fs unmount --lazy {0}` removes it",
        mountpoint.display()
    )]
    Silent {
        /// Resolved.
        mountpoint: PathBuf,
    },
    /// The mountpoint is a path in a mount of ours.
    #[error("{} lies inside the tfhub-fs mount {}; choose a directory outside of it", mountpoint.display(), outer.display())]
    InsideMount {
        /// Resolved.
        mountpoint: PathBuf,
        /// The mount around it.
        outer: PathBuf,
    },
    /// The mountpoint lies in the cache.
    #[error("the mountpoint {} lies inside the cache directory {}; choose one outside of it", mountpoint.display(), cache.display())]
    InsideCache {
        /// Resolved.
        mountpoint: PathBuf,
        /// Resolved.
        cache: PathBuf,
    },
    /// The mount would cover its own cache, and the daemon would wait for itself.
    #[error(
        "the cache directory {} lies under the mountpoint {}, which would hide it; choose another --cache-dir",
        cache.display(), mountpoint.display()
    )]
    CacheCovered {
        /// Resolved.
        mountpoint: PathBuf,
        /// Resolved.
        cache: PathBuf,
    },
    /// The cache lies in a mount of ours.
    #[error("the cache directory {} lies inside the tfhub-fs mount {}; choose another --cache-dir", cache.display(), outer.display())]
    CacheInMount {
        /// Resolved.
        cache: PathBuf,
        /// The mount around it.
        outer: PathBuf,
    },
    /// Something is in it, which the mount would hide.
    #[error("cannot mount on {}: it is not empty, and a mount would hide what is in it; choose an empty or a new directory", mountpoint.display())]
    NotEmpty {
        /// Resolved.
        mountpoint: PathBuf,
    },
    /// It is a file.
    #[error("cannot mount on {}: it is not a directory", mountpoint.display())]
    NotADirectory {
        /// Resolved.
        mountpoint: PathBuf,
    },
    /// It could not be made or looked at.
    #[error("cannot use {} as a mountpoint: {doing}: {source}", mountpoint.display())]
    Io {
        /// As asked for, or resolved.
        mountpoint: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// From the kernel.
        source: io::Error,
    },
    /// A dead mount could not be taken away.
    #[error("a dead tfhub-fs mount is in the way: {0}")]
    Mend(#[from] unmount::Error),
}

/// A directory that can be mounted on. Dropped, it removes what [`Mountpoint::prepare`] had to make, where that is empty and
/// no longer mounted on: so it must outlive the mount.
#[derive(Debug)]
pub struct Mountpoint {
    path: PathBuf,
    /// Outermost first.
    made: Vec<PathBuf>,
}

impl Mountpoint {
    /// Makes `asked` fit to be mounted on, for a mount whose cache is `cache`. A directory that is not empty is refused:
    /// a slip of the hand must not hide `/etc` from the whole host.
    ///
    /// # Errors
    ///
    /// See [`Error`]; nothing has been changed then, but for a dead mount that has been taken away.
    pub fn prepare(asked: &Path, cache: &Path) -> Result<Mountpoint, Error> {
        let failed = |doing, path: &Path| {
            let mountpoint = path.to_path_buf();
            move |source| Error::Io {
                mountpoint,
                doing,
                source,
            }
        };
        let table = Table::read().map_err(failed("reading /proc/self/mountinfo", asked))?;
        let path = resolve(asked, &table).map_err(failed("finding out where it lies", asked))?;
        let cache =
            resolve(cache, &table).map_err(failed("finding out where its cache lies", asked))?;
        keep_apart(&path, &cache)?;
        if let Some(outer) = table.holding(&cache).filter(|mount| mount.fstype == FSTYPE)
            && outer.mountpoint != path
        {
            return Err(Error::CacheInMount {
                cache,
                outer: outer.mountpoint.clone(),
            });
        }
        clear(&path, &table)?;
        let mut out = Mountpoint {
            made: Vec::new(),
            path,
        };
        out.make().map_err(failed("creating it", &out.path))?;
        let path = &out.path;
        if !std::fs::metadata(path)
            .map_err(failed("looking at it", path))?
            .is_dir()
        {
            return Err(Error::NotADirectory {
                mountpoint: path.clone(),
            });
        }
        if std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(Error::NotEmpty {
                mountpoint: path.clone(),
            });
        }
        Ok(out)
    }

    /// Absolute, symlinks resolved: the form for [`crate::os::mount::MountOptions`].
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Creates what is missing of the path, and remembers it.
    fn make(&mut self) -> io::Result<()> {
        let mut missing = Vec::new();
        for dir in self.path.ancestors() {
            match std::fs::symlink_metadata(dir) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    missing.push(dir.to_path_buf())
                }
                // What is there, whatever it is, is judged later.
                _ => break,
            }
        }
        while let Some(dir) = missing.pop() {
            match std::fs::create_dir(&dir) {
                Ok(()) => self.made.push(dir),
                // Another mount has made the same parent at the same time.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Drop for Mountpoint {
    fn drop(&mut self) {
        for dir in self.made.iter().rev() {
            // rmdir refuses what is not empty or still mounted on; then it is somebody's and stays.
            if std::fs::remove_dir(dir).is_err() {
                return;
            }
        }
    }
}

/// Neither may lie in the other.
fn keep_apart(mountpoint: &Path, cache: &Path) -> Result<(), Error> {
    let (mountpoint, cache) = (mountpoint.to_path_buf(), cache.to_path_buf());
    if cache.starts_with(&mountpoint) {
        Err(Error::CacheCovered { mountpoint, cache })
    } else if mountpoint.starts_with(&cache) {
        Err(Error::InsideCache { mountpoint, cache })
    } else {
        Ok(())
    }
}

/// Takes dead mounts of ours away from `path`; a live one is an error.
fn clear(path: &Path, table: &Table) -> Result<(), Error> {
    let mountpoint = || path.to_path_buf();
    let mut table = table.clone();
    for _ in 0..MAX_STACK {
        let Some(mount) = table.holding(path).filter(|mount| mount.fstype == FSTYPE) else {
            return Ok(());
        };
        match probe(&mount.mountpoint, PATIENCE) {
            Liveness::Answers if mount.mountpoint != path => {
                return Err(Error::InsideMount {
                    mountpoint: mountpoint(),
                    outer: mount.mountpoint.clone(),
                });
            }
            Liveness::Answers => {
                return Err(Error::AlreadyMounted {
                    mountpoint: mountpoint(),
                });
            }
            Liveness::Silent => {
                return Err(Error::Silent {
                    mountpoint: mount.mountpoint.clone(),
                });
            }
            Liveness::Dead => {
                tracing::warn!(
                    "taking away a dead tfhub-fs mount from {}",
                    mount.mountpoint.display()
                );
                unmount(&mount.mountpoint, Way::Lazy)?;
            }
        }
        table = Table::read().map_err(|source| Error::Io {
            mountpoint: mountpoint(),
            doing: "reading /proc/self/mountinfo",
            source,
        })?;
    }
    Err(Error::AlreadyMounted {
        mountpoint: mountpoint(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::mount::{MountOptions, mount};
    use crate::os::testing::{TestMount, needs_fuse};

    fn base() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap();
        (dir, path)
    }

    const CACHE: &str = "/var/cache/tfhub-fs";

    #[test]
    fn what_was_made_is_removed_and_what_was_there_stays() {
        let (_dir, base) = base();
        let asked = base.join("a/b/../c");
        // `..` below what does not exist yet is folded as text.
        let mountpoint = Mountpoint::prepare(&asked, Path::new(CACHE)).unwrap();
        assert_eq!(mountpoint.path(), base.join("a/c"));
        assert!(base.join("a/c").is_dir());
        drop(mountpoint);
        assert!(!base.join("a").exists());

        std::fs::create_dir(base.join("a")).unwrap();
        drop(Mountpoint::prepare(&base.join("a"), Path::new(CACHE)).unwrap());
        assert!(base.join("a").is_dir());

        let mountpoint = Mountpoint::prepare(&base.join("a/x/y"), Path::new(CACHE)).unwrap();
        std::fs::write(base.join("a/x/kept"), "").unwrap();
        drop(mountpoint);
        assert!(base.join("a/x/kept").exists() && !base.join("a/x/y").exists());
    }

    #[test]
    fn a_file_is_refused() {
        let (_dir, base) = base();
        std::fs::write(base.join("file"), "").unwrap();
        let error = Mountpoint::prepare(&base.join("file"), Path::new(CACHE)).unwrap_err();
        assert!(matches!(error, Error::NotADirectory { .. }), "{error}");
        let error = Mountpoint::prepare(&base.join("file/sub"), Path::new(CACHE)).unwrap_err();
        assert!(error.to_string().contains("file/sub"), "{error}");
    }

    #[test]
    fn mountpoint_and_cache_are_kept_apart_through_links_too() {
        let (_dir, base) = base();
        std::fs::create_dir(base.join("cache")).unwrap();
        std::os::unix::fs::symlink("cache", base.join("link")).unwrap();
        let kind = |asked: &str, cache: &str| {
            Mountpoint::prepare(&base.join(asked), &base.join(cache)).unwrap_err()
        };
        assert!(matches!(
            kind("cache/mnt", "cache"),
            Error::InsideCache { .. }
        ));
        assert!(matches!(
            kind("link/mnt", "cache"),
            Error::InsideCache { .. }
        ));
        assert!(matches!(kind("cache", "link"), Error::CacheCovered { .. }));
        assert!(matches!(kind(".", "cache"), Error::CacheCovered { .. }));
        assert!(
            !base.join("cache/mnt").exists(),
            "nothing is made before it is allowed"
        );
        Mountpoint::prepare(&base.join("cache2"), &base.join("cache")).unwrap();
    }

    #[test]
    fn a_live_mount_is_refused_and_nothing_may_lie_in_it() {
        needs_fuse();
        let live = TestMount::new();
        let kind = |asked: &Path, cache: &Path| Mountpoint::prepare(asked, cache).unwrap_err();
        assert!(matches!(
            kind(live.path(), Path::new(CACHE)),
            Error::AlreadyMounted { .. }
        ));
        assert!(matches!(
            kind(&live.path().join("sub"), Path::new(CACHE)),
            Error::InsideMount { .. }
        ));
        let (_dir, base) = base();
        assert!(matches!(
            kind(&base, &live.path().join("cache")),
            Error::CacheInMount { .. }
        ));
        assert!(live.mounted().is_mounted());
    }

    #[test]
    fn dead_mounts_are_mended_however_many() {
        needs_fuse();
        let (_dir, base) = base();
        let options = MountOptions {
            mountpoint: base.clone(),
            allow_other: false,
        };
        let mut dead = Vec::new();
        for _ in 0..3 {
            let (fd, mounted) = mount(&options).unwrap();
            drop(fd);
            dead.push(mounted);
        }
        assert!(std::fs::read_dir(&base).is_err());
        let mountpoint = Mountpoint::prepare(&base, Path::new(CACHE)).unwrap();
        assert_eq!(mountpoint.path(), base);
        assert!(dead.iter().all(|mounted| !mounted.is_mounted()));
        assert!(std::fs::read_dir(&base).is_ok());
    }
}
