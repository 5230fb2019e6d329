//! A directory by one descriptor: whatever it is renamed to, and whatever is put in its place, this is the directory.
//!
//! Names are relative paths. No link is followed below the directory, and no name leads out of it (openat2(2) with
//! `RESOLVE_BENEATH` and `RESOLVE_NO_SYMLINKS`). Calls that take a name's last component itself (rename, unlink, stat) act
//! on a link and not on what it leads to.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, linkat, mkdirat, renameat_with, unlinkat};
use rustix::io::Errno;

use super::dir::{Dir, Entry};
use super::fs::open_in;
use super::{beneath, dir, own};

/// An open directory.
#[derive(Debug)]
pub struct DirHandle(File);

impl DirHandle {
    /// Opens the directory `path`. A link in its place is followed only if this user or root made it: another user's could
    /// lead anywhere.
    ///
    /// # Errors
    ///
    /// Those of open(2): ENOTDIR for what is no directory, ELOOP for a link of another user.
    pub fn open(path: &Path) -> io::Result<DirHandle> {
        beneath::top(path).map(DirHandle)
    }

    /// Opens the directory `path` as [`Self::open`] does, also where it may be entered and not read: it cannot be synced.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn reach(path: &Path) -> io::Result<DirHandle> {
        beneath::top_path(path).map(DirHandle)
    }

    /// Opens a directory below this one.
    ///
    /// # Errors
    ///
    /// Those of openat2(2): ELOOP or ENOTDIR for a link.
    pub fn open_dir(&self, name: &Path) -> io::Result<DirHandle> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        open_in(self, itself(name), flags, 0).map(DirHandle)
    }

    /// Another descriptor of the same directory.
    ///
    /// # Errors
    ///
    /// No descriptor is left.
    pub fn try_clone(&self) -> io::Result<DirHandle> {
        self.0.try_clone().map(DirHandle)
    }

    /// Opens a plain file for reading.
    ///
    /// # Errors
    ///
    /// Those of openat2(2): ELOOP for a link. `InvalidData`: it is no plain file.
    pub fn open_file(&self, name: &Path) -> io::Result<File> {
        beneath::open_read(&self.0, name)
    }

    /// Opens a plain file for reading and writing.
    ///
    /// # Errors
    ///
    /// As [`Self::open_file`].
    pub fn edit_file(&self, name: &Path) -> io::Result<File> {
        beneath::open(&self.0, name)
    }

    /// Creates a file, which must not be there, for reading and writing. Its parents must be there.
    ///
    /// # Errors
    ///
    /// Those of openat2(2).
    pub fn create_file(&self, name: &Path, mode: u32) -> io::Result<File> {
        beneath::create(&self.0, name, mode)
    }

    /// Opens a plain file for reading and writing, and creates it where it is missing.
    ///
    /// # Errors
    ///
    /// As [`Self::open_file`].
    pub fn open_or_create_file(&self, name: &Path, mode: u32) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE;
        let file = open_in(self, name, flags, mode)?;
        match file.metadata()?.is_file() {
            true => Ok(file),
            false => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Makes a directory and its missing parents; no error if it is there.
    ///
    /// # Errors
    ///
    /// Those of openat2(2) and mkdir(2): ELOOP or ENOTDIR for a link on the way.
    pub fn make_dirs(&self, name: &Path, mode: u32) -> io::Result<()> {
        beneath::make_dirs(&self.0, name, mode)
    }

    /// Makes one directory.
    ///
    /// # Errors
    ///
    /// Those of mkdir(2): `AlreadyExists`.
    pub fn make_dir(&self, name: &Path, mode: u32) -> io::Result<()> {
        let (parent, last) = self.parent(name)?;
        Ok(mkdirat(parent.fd(), last, Mode::from_raw_mode(mode))?)
    }

    /// Renames `name` to `to_name` in the directory `to`, and replaces a file or an empty directory that has that name.
    ///
    /// # Errors
    ///
    /// Those of rename(2).
    pub fn rename(&self, name: &Path, to: &DirHandle, to_name: &Path) -> io::Result<()> {
        self.rename_with(name, to, to_name, RenameFlags::empty())
    }

    /// Renames `name` to `to_name` in the directory `to`, which must not have that name yet.
    ///
    /// # Errors
    ///
    /// Those of renameat2(2): `AlreadyExists`; EINVAL where the file system cannot do it.
    pub fn rename_new(&self, name: &Path, to: &DirHandle, to_name: &Path) -> io::Result<()> {
        self.rename_with(name, to, to_name, RenameFlags::NOREPLACE)
    }

    fn rename_with(
        &self,
        name: &Path,
        to: &DirHandle,
        to_name: &Path,
        flags: RenameFlags,
    ) -> io::Result<()> {
        let ((from, name), (to, to_name)) = (self.parent(name)?, to.parent(to_name)?);
        Ok(renameat_with(from.fd(), name, to.fd(), to_name, flags)?)
    }

    /// Gives the file `name` the second name `to_name` in the directory `to`.
    ///
    /// # Errors
    ///
    /// Those of link(2): `AlreadyExists`.
    pub fn link(&self, name: &Path, to: &DirHandle, to_name: &Path) -> io::Result<()> {
        let ((from, name), (to, to_name)) = (self.parent(name)?, to.parent(to_name)?);
        Ok(linkat(from.fd(), name, to.fd(), to_name, AtFlags::empty())?)
    }

    /// Removes a file or a link.
    ///
    /// # Errors
    ///
    /// Those of unlink(2): `IsADirectory`.
    pub fn remove_file(&self, name: &Path) -> io::Result<()> {
        let (parent, last) = self.parent(name)?;
        Ok(unlinkat(parent.fd(), last, AtFlags::empty())?)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    ///
    /// Those of rmdir(2).
    pub fn remove_dir(&self, name: &Path) -> io::Result<()> {
        let (parent, last) = self.parent(name)?;
        Ok(unlinkat(parent.fd(), last, AtFlags::REMOVEDIR)?)
    }

    /// What has this name.
    ///
    /// # Errors
    ///
    /// Those of openat2(2) for its parents, and of stat(2).
    pub fn stat(&self, name: &Path) -> io::Result<Entry> {
        let (parent, last) = self.parent(name)?;
        Ok(dir::entry(parent.fd(), last)?)
    }

    /// The names in this directory.
    ///
    /// # Errors
    ///
    /// EACCES: it may not be read.
    pub fn list(&self) -> io::Result<Dir> {
        // Opened anew, as a listing moves its descriptor's offset.
        Dir::of(self.open_dir(Path::new("."))?.0)
    }

    /// Writes out the names in this directory.
    ///
    /// # Errors
    ///
    /// The disk failed. EBADF after [`Self::reach`].
    pub fn sync(&self) -> io::Result<()> {
        self.0.sync_all()
    }

    /// Writes out everything of its file system.
    ///
    /// # Errors
    ///
    /// EIO or ENOSPC: something written since the directory was opened did not reach the disk. EBADF after [`Self::reach`].
    pub fn sync_file_system(&self) -> io::Result<()> {
        super::fs::syncfs(&self.0)
    }

    /// Whether it has been removed: nothing can be made in it any more.
    ///
    /// # Errors
    ///
    /// The disk failed.
    pub fn is_removed(&self) -> io::Result<bool> {
        Ok(self.0.metadata()?.nlink() == 0)
    }

    /// Whose it is.
    ///
    /// # Errors
    ///
    /// The disk failed.
    pub fn owner(&self) -> io::Result<u32> {
        Ok(self.0.metadata()?.uid())
    }

    /// Whether it is this user's or root's; anybody else could put anything into it, at any moment.
    ///
    /// # Errors
    ///
    /// The disk failed.
    pub fn is_trusted(&self) -> io::Result<bool> {
        Ok(own::trusts(self.owner()?))
    }

    /// Whether both are the same directory.
    ///
    /// # Errors
    ///
    /// The disk failed.
    pub fn is_same(&self, other: &DirHandle) -> io::Result<bool> {
        let (one, other) = (self.0.metadata()?, other.0.metadata()?);
        Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
    }

    /// Where it is now, for messages; empty if that cannot be told.
    pub fn shown(&self) -> PathBuf {
        std::fs::read_link(super::fs::through(&self.0)).unwrap_or_default()
    }

    /// The open directory that holds the last component of `name`, and that component.
    fn parent<'a>(&'a self, name: &'a Path) -> rustix::io::Result<(Parent<'a>, &'a Path)> {
        let (Some(parent), Some(last)) = (name.parent(), name.file_name()) else {
            return Err(Errno::INVAL);
        };
        let parent = match parent.as_os_str().is_empty() {
            true => Parent::Itself(self.as_fd()),
            false => Parent::Below(
                beneath::open_dir(&self.0, parent)
                    .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?,
            ),
        };
        Ok((parent, Path::new(last)))
    }
}

impl AsFd for DirHandle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

enum Parent<'a> {
    Itself(BorrowedFd<'a>),
    Below(File),
}

impl Parent<'_> {
    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Parent::Itself(fd) => *fd,
            Parent::Below(file) => file.as_fd(),
        }
    }
}

/// The empty name is the directory itself.
fn itself(name: &Path) -> &Path {
    match name.as_os_str().is_empty() {
        true => Path::new("."),
        false => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::dir::Kind;
    use std::os::unix::fs::symlink;

    #[test]
    fn names_are_made_renamed_and_removed_below_and_nowhere_else() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(outside.path().join("kept"), "x").unwrap();
        let (base, p) = (DirHandle::open(dir.path()).unwrap(), Path::new);
        base.make_dirs(p("a/b"), 0o755).unwrap();
        base.make_dir(p("a/c"), 0o755).unwrap();
        assert!(base.make_dir(p("a/c"), 0o755).is_err());
        base.create_file(p("a/b/f"), 0o644).unwrap();
        assert!(base.create_file(p("a/b/f"), 0o644).is_err());
        base.open_or_create_file(p("a/b/f"), 0o644).unwrap();
        base.open_or_create_file(p("a/b/g"), 0o644).unwrap();
        let below = base.open_dir(p("a/c")).unwrap();
        base.link(p("a/b/f"), &below, p("second")).unwrap();
        base.rename(p("a/b/f"), &below, p("first")).unwrap();
        let taken = base.rename_new(p("a/b/g"), &below, p("first")).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(below.list().unwrap().count(), 2);
        assert_eq!(below.list().unwrap().count(), 2, "as often as one likes");
        assert_eq!(base.stat(p("a/c/first")).unwrap().kind, Kind::File);

        symlink(outside.path(), dir.path().join("link")).unwrap();
        assert_eq!(base.stat(p("link")).unwrap().kind, Kind::Other);
        for name in ["link/kept", "../kept", "/etc/passwd"] {
            let name = p(name);
            assert!(base.open_file(name).is_err() && base.stat(name).is_err());
            assert!(base.remove_file(name).is_err() && base.make_dir(name, 0o755).is_err());
            assert!(base.rename(name, &below, p("x")).is_err());
            assert!(base.rename(p("a/b/g"), &base, name).is_err());
        }
        assert!(base.open_dir(p("link")).is_err());
        base.remove_file(p("link")).unwrap();
        assert!(outside.path().join("kept").exists());
        assert!(base.remove_dir(p("a")).is_err(), "it is not empty");
    }

    #[test]
    fn a_directory_is_known_wherever_it_goes() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().canonicalize().unwrap().join(name);
        std::fs::create_dir(at("one")).unwrap();
        let held = DirHandle::open(&at("one")).unwrap();
        std::fs::rename(at("one"), at("two")).unwrap();
        std::fs::create_dir(at("one")).unwrap();
        held.create_file(Path::new("f"), 0o644).unwrap();
        assert!(at("two/f").exists());
        assert_eq!(held.shown(), at("two"));
        assert!(!held.is_same(&DirHandle::open(&at("one")).unwrap()).unwrap());
        assert!(
            held.is_same(&DirHandle::reach(&at("two")).unwrap())
                .unwrap()
        );
        assert!(held.is_trusted().unwrap() && !held.is_removed().unwrap());
        held.sync().and_then(|()| held.sync_file_system()).unwrap();
        std::fs::remove_dir_all(at("two")).unwrap();
        assert!(held.is_removed().unwrap());
        assert!(held.create_file(Path::new("f"), 0o644).is_err());
    }
}
