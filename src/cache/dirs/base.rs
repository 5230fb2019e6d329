//! The directory under which a filling's files lie, wherever that directory has been renamed to.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::own::DIR_MODE;
use crate::os;

/// A directory held open. Sealing renames it; names below it are reached through its descriptor, so that they open before,
/// during and after the rename.
#[derive(Debug)]
pub(in crate::cache) struct Base {
    dir: File,
    named: PathBuf,
}

impl Base {
    /// Opens a directory that this process, or another of this user or of root, has made. Another user's is refused: its
    /// owner could put anything into it, at any moment.
    pub(in crate::cache) fn open(path: &Path) -> io::Result<Base> {
        let dir = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW)
            .open(path)?;
        if !os::own::trusts(dir.metadata()?.uid()) {
            return Err(io::Error::other("it belongs to another user"));
        }
        Ok(Base {
            dir,
            named: path.to_path_buf(),
        })
    }

    /// Opens a directory that is only read, whosever it is.
    pub(in crate::cache) fn look(path: &Path) -> io::Result<Base> {
        Ok(Base {
            dir: os::beneath::top(path)?,
            named: path.to_path_buf(),
        })
    }

    /// A path for the kernel (openat(2) without `unsafe`), of one component: links on a longer way would be followed. Only
    /// this process can use it, and `/proc` must be mounted.
    pub(in crate::cache) fn path(&self, name: &str) -> PathBuf {
        os::fs::through(&self.dir).join(name)
    }

    /// A path for people: where the file was when the filling began.
    pub(in crate::cache) fn shown(&self, name: &str) -> PathBuf {
        os::fs::shown(&self.named).join(name)
    }

    /// Makes a directory and its missing parents; no error if it is there.
    pub(in crate::cache) fn make_dir(&self, name: &str) -> io::Result<()> {
        os::beneath::make_dirs(&self.dir, Path::new(name), DIR_MODE)
    }

    /// The open directory, for `os::beneath`.
    pub(in crate::cache) fn dir(&self) -> &File {
        &self.dir
    }

    /// Whether it still has the name that it was opened by.
    pub(in crate::cache) fn is_there(&self) -> bool {
        let inode = |meta: Metadata| (meta.dev(), meta.ino());
        let named = std::fs::symlink_metadata(&self.named).map(inode);
        named.is_ok_and(|named| {
            self.dir
                .metadata()
                .map(inode)
                .is_ok_and(|ours| ours == named)
        })
    }

    pub(in crate::cache) fn named(&self) -> &Path {
        &self.named
    }

    /// Writes out the whole file system of this directory, and reports what failed since the directory was opened.
    pub(in crate::cache) fn sync_all(&self) -> io::Result<()> {
        os::fs::syncfs(&self.dir)
    }
}
