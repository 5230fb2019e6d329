//! Files below a directory that is held open, reached without following any link on the way: whoever may write to the
//! directory cannot have files made, cut or removed elsewhere.

use std::ffi::OsString;
use std::fs::{DirBuilder, DirEntry, File, Metadata, OpenOptions, ReadDir};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::fs::{open_in, target, through};
use super::{blocking, own};

/// How many links one leads through, each to the next.
const MAX_LINKS: u32 = 8;

/// Opens a directory, to be listed. A link in its place is followed only if this user or root made it: another user's could
/// lead anywhere.
///
/// # Errors
///
/// Those of open(2): ENOTDIR for what is no directory, ELOOP for a link of another user.
pub fn top(path: &Path) -> io::Result<File> {
    top_through(path, 0, MAX_LINKS)
}

/// The same, only to reach what is below.
///
/// # Errors
///
/// As [`top`].
pub fn top_path(path: &Path) -> io::Result<File> {
    top_through(path, libc::O_PATH, MAX_LINKS)
}

fn top_through(path: &Path, flags: libc::c_int, links: u32) -> io::Result<File> {
    blocking::may_wait();
    let open = |flags| {
        let flags = flags | libc::O_NOFOLLOW;
        OpenOptions::new().read(true).custom_flags(flags).open(path)
    };
    match open(flags | libc::O_DIRECTORY) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOTDIR | libc::ELOOP)) => {
            // Held, so that what is looked at is what is followed.
            let link = open(libc::O_PATH)?;
            let meta = link.metadata()?;
            if !meta.is_symlink() {
                return Err(error);
            }
            if links == 0 || !own::trusts(meta.uid()) {
                return Err(io::Error::from_raw_os_error(libc::ELOOP));
            }
            let to = path.parent().unwrap_or(Path::new("")).join(target(&link)?);
            top_through(&to, flags, links - 1)
        }
        other => other,
    }
}

/// Opens the plain file `name` below `base` for reading and writing.
///
/// # Errors
///
/// Those of openat2(2): ELOOP for a link. `InvalidData`: it is no plain file.
pub fn open(base: &File, name: &Path) -> io::Result<File> {
    plain(open_in(base, name, OFlags::RDWR, 0)?)
}

/// Opens the plain file `name` below `base` for reading only.
///
/// # Errors
///
/// As [`open`].
pub fn open_read(base: &File, name: &Path) -> io::Result<File> {
    plain(open_in(base, name, OFlags::RDONLY, 0)?)
}

/// What is known of `name` below `base`, whatever it is; of a link itself, in the last component. The empty name is `base`.
///
/// # Errors
///
/// Those of openat2(2): ELOOP for a link on the way.
pub fn metadata(base: &File, name: &Path) -> io::Result<Metadata> {
    match name.as_os_str().is_empty() {
        true => base.metadata(),
        false => open_in(base, name, OFlags::PATH, 0)?.metadata(),
    }
}

/// Makes the file `name` below `base`, which must not be there, for reading and writing. Its parents must be there.
///
/// # Errors
///
/// Those of openat2(2).
pub fn create(base: &File, name: &Path, mode: u32) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
    plain(open_in(base, name, flags, mode)?)
}

/// Makes the directory `name` below `base` and its missing parents; no error if it is there.
///
/// # Errors
///
/// Those of openat2(2) and mkdir(2): ELOOP or ENOTDIR for a link on the way.
pub fn make_dirs(base: &File, name: &Path, mode: u32) -> io::Result<()> {
    let mut at = base.try_clone()?;
    for part in name.components() {
        let part = Path::new(part.as_os_str());
        at = match open_dir(&at, part) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match DirBuilder::new().mode(mode).create(path_in(&at, part)) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                        return Err(error);
                    }
                    _ => open_dir(&at, part)?,
                }
            }
            other => other?,
        };
    }
    Ok(())
}

/// Removes the file `name` below `base`; a link itself, not what it leads to.
///
/// # Errors
///
/// Those of openat2(2) and unlink(2).
pub fn remove(base: &File, name: &Path) -> io::Result<()> {
    std::fs::remove_file(spot(base, name)?.path())
}

/// A name in an open directory, wherever that directory is renamed to.
#[derive(Debug)]
pub struct Spot {
    dir: File,
    name: OsString,
}

impl Spot {
    /// For calls that do not follow a link in its last component; good as long as this lives.
    pub fn path(&self) -> PathBuf {
        through(&self.dir).join(&self.name)
    }
}

/// Finds the name `name` below `base`, whether anything has it or not.
///
/// # Errors
///
/// Those of openat2(2) for its parent.
pub fn spot(base: &File, name: &Path) -> io::Result<Spot> {
    let (Some(parent), Some(last)) = (name.parent(), name.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let dir = match parent.as_os_str().is_empty() {
        true => base.try_clone()?,
        false => open_dir(base, parent)?,
    };
    let name = last.to_owned();
    Ok(Spot { dir, name })
}

/// Opens the directory `name` below `base`, and lists it.
///
/// # Errors
///
/// Those of openat2(2): ELOOP or ENOTDIR for a link.
pub fn list(base: &File, name: &Path) -> io::Result<Listing> {
    let name = if name.as_os_str().is_empty() {
        Path::new(".")
    } else {
        name
    };
    let dir = open_in(base, name, OFlags::RDONLY | OFlags::DIRECTORY, 0)?;
    let entries = std::fs::read_dir(path_in(&dir, Path::new("")))?;
    Ok(Listing { entries, _dir: dir })
}

/// The entries of a directory. Their paths are good as long as this lives.
#[derive(Debug)]
pub struct Listing {
    entries: ReadDir,
    _dir: File,
}

impl Iterator for Listing {
    type Item = io::Result<DirEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        self.entries.next()
    }
}

/// Opens the directory `name` below `base`, only to reach what is below it.
///
/// # Errors
///
/// Those of openat2(2): ELOOP or ENOTDIR for a link.
pub fn open_dir(base: &File, name: &Path) -> io::Result<File> {
    open_in(base, name, OFlags::PATH | OFlags::DIRECTORY, 0)
}

/// Opens `name` below `base`, a plain file or a directory, for reading.
///
/// # Errors
///
/// Those of openat2(2): ELOOP for a link.
pub fn open_any(base: &File, name: &Path) -> io::Result<File> {
    let name = match name.as_os_str().is_empty() {
        true => Path::new("."),
        false => name,
    };
    let file = open_in(base, name, OFlags::RDONLY, 0)?;
    let meta = file.metadata()?;
    match meta.is_file() || meta.is_dir() {
        true => Ok(file),
        false => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// A path of one component in an open directory, for the kernel alone.
fn path_in(dir: &File, name: &Path) -> PathBuf {
    through(dir).join(name)
}

fn plain(file: File) -> io::Result<File> {
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn files_are_made_and_removed_below_and_nowhere_else() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(outside.path().join("kept"), "x").unwrap();
        let base = File::open(dir.path()).unwrap();
        make_dirs(&base, Path::new("a/b"), 0o755).unwrap();
        make_dirs(&base, Path::new("a/b/c"), 0o755).unwrap();
        let name = Path::new("a/b/c/f");
        create(&base, name, 0o644).unwrap();
        assert!(create(&base, name, 0o644).is_err());
        assert!(open(&base, name).is_ok() && open_read(&base, name).is_ok());
        remove(&base, name).unwrap();
        assert!(!dir.path().join(name).exists());

        let names = |name: &str| list(&base, Path::new(name)).map(|entries| entries.count());
        assert_eq!(names("").unwrap(), 1);
        assert_eq!(names("a/b").unwrap(), 1);
        symlink(outside.path(), dir.path().join("link")).unwrap();
        assert!(names("link").is_err());
        assert!(metadata(&base, Path::new("link")).unwrap().is_symlink());
        for name in ["link/kept", "../kept", "/etc/passwd"] {
            assert!(metadata(&base, Path::new(name)).is_err(), "{name}");
            assert!(open(&base, Path::new(name)).is_err(), "{name}");
            assert!(create(&base, Path::new(name), 0o644).is_err(), "{name}");
        }
        assert!(remove(&base, Path::new("link/kept")).is_err());
        assert!(make_dirs(&base, Path::new("link/new"), 0o755).is_err());
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
        remove(&base, Path::new("link")).unwrap();
        assert!(outside.path().join("kept").exists());
    }

    #[test]
    fn only_links_of_this_user_and_root_are_followed() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("dir")).unwrap();
        std::fs::write(at("file"), "x").unwrap();
        symlink(outside.path(), at("link")).unwrap();
        symlink("link", at("second")).unwrap();
        symlink("loop", at("loop")).unwrap();
        symlink("nothing", at("dangling")).unwrap();
        let is_outside = |name: &str| {
            let found = top(&at(name)).unwrap().metadata().unwrap();
            found.ino() == std::fs::metadata(outside.path()).unwrap().ino()
        };
        assert!(top(&at("dir")).is_ok() && top_path(&at("dir")).is_ok());
        assert!(is_outside("link") && is_outside("second"));
        for name in ["file", "loop", "dangling", "nothing"] {
            assert!(top(&at(name)).is_err(), "{name}");
        }
        super::super::testing::needs_root();
        std::os::unix::fs::lchown(at("link"), Some(65534), None).unwrap();
        for name in ["link", "second"] {
            let error = top(&at(name)).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ELOOP), "{name}");
        }
    }

    #[test]
    fn a_spot_stays_where_it_is() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::create_dir(dir.path().join("a")).unwrap();
        let base = File::open(dir.path()).unwrap();
        let found = spot(&base, Path::new("a/f")).unwrap();
        std::fs::rename(dir.path().join("a"), dir.path().join("b")).unwrap();
        symlink(outside.path(), dir.path().join("a")).unwrap();
        std::fs::write(found.path(), "x").unwrap();
        assert!(dir.path().join("b/f").exists());
        assert!(spot(&base, Path::new("a/f")).is_err());
        assert!(open_read(&base, Path::new("a/f")).is_err());
        assert!(open_read(&base, Path::new("b/f")).is_ok());
    }
}
