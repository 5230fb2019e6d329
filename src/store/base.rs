//! The directory under which a filling's files lie, wherever that directory has been renamed to.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::layout::DIR_MODE;
use crate::os;

/// A directory held open. Sealing renames it; names below it are reached through its descriptor, so that they open before,
/// during and after the rename.
#[derive(Debug)]
pub(super) struct Base {
    dir: File,
    named: PathBuf,
}

impl Base {
    pub(super) fn open(path: &Path) -> io::Result<Base> {
        let dir = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW)
            .open(path)?;
        Ok(Base {
            dir,
            named: path.to_path_buf(),
        })
    }

    /// A path for the kernel (openat(2) without `unsafe`): only this process can use it, and `/proc` must be mounted.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.dir.as_raw_fd()))
    }

    /// A path for people: where the file was when the filling began.
    pub(super) fn shown(&self, name: &str) -> PathBuf {
        self.named.join(name)
    }

    /// Makes a directory and its missing parents; no error if it is there.
    pub(super) fn make_dir(&self, name: &str) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(DIR_MODE)
            .create(self.path(name))
    }

    /// The open directory, for `os::beneath`.
    pub(super) fn dir(&self) -> &File {
        &self.dir
    }

    pub(super) fn named(&self) -> &Path {
        &self.named
    }

    /// Writes out the whole file system of this directory, and reports what failed since the directory was opened.
    pub(super) fn sync_all(&self) -> io::Result<()> {
        os::fs::syncfs(&self.dir)
    }
}
