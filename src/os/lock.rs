//! A kernel lock on a file that vanishes with its holder: flock(2), through std.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::blocking;

/// An exclusive lock, held until it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct Locked(File);

impl Locked {
    /// Locks `file`, without waiting. `None` if another open file description holds the lock, also one of this process.
    ///
    /// # Errors
    ///
    /// The file system has no locks.
    pub fn try_lock(file: File) -> io::Result<Option<Locked>> {
        blocking::may_wait();
        match file.try_lock() {
            Ok(()) => Ok(Some(Locked(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Opens (creating it with `mode` where missing) and locks `path`, without waiting. `None` if somebody holds it.
    ///
    /// The lock is on the file that `path` names now: one that was unlinked or replaced between open and lock is let go.
    /// A link is not followed: whoever may write to the directory could have files made, or cut, anywhere.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, is no plain file, or the file system has no locks.
    pub fn open(path: &Path, mode: u32) -> io::Result<Option<Locked>> {
        blocking::may_wait();
        loop {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(mode)
                .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
                .open(path)?;
            if !file.metadata()?.is_file() {
                return Err(io::Error::other("it is not a plain file"));
            }
            let Some(locked) = Locked::try_lock(file)? else {
                return Ok(None);
            };
            if locked.holds(path)? {
                return Ok(Some(locked));
            }
        }
    }

    /// The locked file.
    pub fn file(&self) -> &File {
        &self.0
    }

    fn holds(&self, path: &Path) -> io::Result<bool> {
        let held = self.0.metadata()?;
        match std::fs::symlink_metadata(path) {
            Ok(named) => Ok((named.dev(), named.ino()) == (held.dev(), held.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time_and_drop_lets_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = Locked::open(&path, 0o600).unwrap().unwrap();
        assert!(Locked::open(&path, 0o600).unwrap().is_none());
        drop(first);
        assert!(Locked::open(&path, 0o600).unwrap().is_some());
    }

    #[test]
    fn a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, outside) = (dir.path().join("lock"), dir.path().join("outside"));
        std::os::unix::fs::symlink(&outside, &path).unwrap();
        assert!(Locked::open(&path, 0o600).is_err());
        assert!(!outside.exists());
        std::fs::write(&outside, "kept").unwrap();
        assert!(Locked::open(&path, 0o600).is_err());
    }

    #[test]
    fn an_unlinked_lock_file_does_not_lock_its_successor() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let old = Locked::open(&path, 0o600).unwrap().unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(!old.holds(&path).unwrap());
        let new = Locked::open(&path, 0o600).unwrap().unwrap();
        assert!(new.holds(&path).unwrap() && !old.holds(&path).unwrap());
    }
}
