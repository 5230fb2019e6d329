//! Files below a directory that is held open, reached without following any link on the way: whoever may write to the
//! directory cannot have files made, cut or removed elsewhere.

use std::fs::{DirBuilder, DirEntry, File, ReadDir};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::fs::open_in;

/// Opens the plain file `name` below `base` for reading and writing.
///
/// # Errors
///
/// Those of openat2(2): ELOOP for a link. `InvalidData`: it is no plain file.
pub fn open(base: &File, name: &Path) -> io::Result<File> {
    plain(open_in(base, name, libc::O_RDWR, 0)?)
}

/// Opens the plain file `name` below `base` for reading only.
///
/// # Errors
///
/// As [`open`].
pub fn open_read(base: &File, name: &Path) -> io::Result<File> {
    plain(open_in(base, name, libc::O_RDONLY, 0)?)
}

/// Makes the file `name` below `base`, which must not be there, for reading and writing. Its parents must be there.
///
/// # Errors
///
/// Those of openat2(2).
pub fn create(base: &File, name: &Path, mode: u32) -> io::Result<File> {
    let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;
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
    let (Some(parent), Some(last)) = (name.parent(), name.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    if parent.as_os_str().is_empty() {
        return std::fs::remove_file(path_in(base, Path::new(last)));
    }
    std::fs::remove_file(path_in(&open_dir(base, parent)?, Path::new(last)))
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
    let dir = open_in(base, name, libc::O_RDONLY | libc::O_DIRECTORY, 0)?;
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

fn open_dir(base: &File, name: &Path) -> io::Result<File> {
    open_in(base, name, libc::O_PATH | libc::O_DIRECTORY, 0)
}

/// A path of one component in an open directory, for the kernel alone; `/proc` must be mounted.
fn path_in(dir: &File, name: &Path) -> PathBuf {
    Path::new("/proc/self/fd")
        .join(dir.as_raw_fd().to_string())
        .join(name)
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
        for name in ["link/kept", "../kept", "/etc/passwd"] {
            assert!(open(&base, Path::new(name)).is_err(), "{name}");
            assert!(create(&base, Path::new(name), 0o644).is_err(), "{name}");
        }
        assert!(remove(&base, Path::new("link/kept")).is_err());
        assert!(make_dirs(&base, Path::new("link/new"), 0o755).is_err());
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
        remove(&base, Path::new("link")).unwrap();
        assert!(outside.path().join("kept").exists());
    }
}
