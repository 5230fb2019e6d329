//! What can go wrong with the cache's disk, in words for whoever owns it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::os;

use super::space::turns::{Mebibytes, Shortage};

/// Why a filling ended without being sealed, as it is told to every reader of it.
pub type Failure = Arc<dyn std::error::Error + Send + Sync>;

/// An operation on the cache directory that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// ENOSPC or EDQUOT.
    #[error("cannot {what} {}: the disk of the cache is full, or a quota is used up; free space there, or choose another directory with --cache-dir", path.display())]
    NoSpace {
        /// What was tried, as a verb.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// EACCES or EPERM.
    #[error("cannot {what} {}: permission denied; let the user of this process write there, or choose another directory with --cache-dir", path.display())]
    Denied {
        /// What was tried, as a verb.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// EROFS.
    #[error("cannot {what} {}: its file system is mounted read-only; models that are complete can be read there, for others choose a writable directory with --cache-dir", path.display())]
    ReadOnly {
        /// What was tried, as a verb.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Any other failure of the disk.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A plain file (or a device, or a dangling link) has the name that a model's directory must have.
    #[error("cannot use the cache entry {}: it should be a directory and is not; remove it", path.display())]
    NotADirectory {
        /// The entry.
        path: PathBuf,
    },
    /// Somebody else decides where what we write there goes.
    #[error("cannot write below {}: it belongs to another user ({owner}), who decides where that leads; choose another directory with --cache-dir", path.display())]
    Anothers {
        /// The cache directory, or one of our own in it.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// A later tfhub-fs has been here, whose locks this one does not know.
    #[error("cannot use the cache directory {}: a later tfhub-fs keeps its state there (version {version}, this one knows up to {known}); use that tfhub-fs, or another directory with --cache-dir", path.display())]
    NewerLayout {
        /// The cache directory.
        path: PathBuf,
        /// The version found.
        version: u32,
        /// The version this program writes.
        known: u32,
    },
    /// A name that would leave the model's directory, is no relative path, or too long.
    #[error("cannot put {name:?} into a model: it is not a plain relative path, or too long")]
    BadName {
        /// The name as given.
        name: String,
    },
    /// One name is used for a file and for a directory.
    #[error("cannot put {name:?} into a model: {what} is a file and a directory at once")]
    DirAndFile {
        /// The name that was to be added.
        name: String,
        /// The name that it collides with: itself, or a parent.
        what: String,
    },
    /// A list of files has one name twice.
    #[error("cannot put {name:?} into a model: it is there already")]
    Twice {
        /// The name.
        name: String,
    },
    /// More bytes came for a file than were announced.
    #[error("cannot write {name:?}: more bytes came than the {size} announced")]
    TooLong {
        /// The file.
        name: String,
        /// Its announced size in bytes.
        size: u64,
    },
    /// A file was ended, or a model sealed, before all bytes of a file had come.
    #[error("{name:?} has only {got} of its {size} bytes")]
    TooShort {
        /// The file.
        name: String,
        /// Its announced size in bytes.
        size: u64,
        /// The bytes that are there.
        got: u64,
    },
    /// A model was to be sealed before its list of names was complete.
    #[error("cannot complete {}: not every name in it is known yet", path.display())]
    NamesOpen {
        /// The staging directory.
        path: PathBuf,
    },
    /// A model without any file: tensorflow_hub does not count it as cached either.
    #[error("cannot complete {}: there is no file in it", path.display())]
    Empty {
        /// The staging directory.
        path: PathBuf,
    },
    /// There is no cache directory that could keep it.
    #[error(
        "cannot keep a whole model: {why}; choose a directory with room with --cache-dir, or read models without keeping them with --load-format uncompressed"
    )]
    NoCache {
        /// What is wrong with the directory.
        why: String,
    },
    /// A file whose bytes are not the announced ones.
    #[error(
        "{name:?} is not what its origin announced: its {what} is {found}, announced was {announced}; nothing of the model was kept, the next open fetches it again"
    )]
    Mismatch {
        /// The file.
        name: String,
        /// The kind of checksum.
        what: &'static str,
        /// What it should be.
        announced: String,
        /// What it is.
        found: String,
    },
    /// A model is not what its manifest says.
    #[error(
        "{name:?} is missing, or is not what the model's manifest says; nothing of the model was kept"
    )]
    Unlike {
        /// The file.
        name: String,
    },
    /// Larger than any disk.
    #[error("cannot keep parts of {id}: its files are said to have {size} bytes")]
    TooLarge {
        /// The handle or object.
        id: String,
        /// The sum of all sizes.
        size: u64,
    },
    /// The limit of the cache is reached, and nothing may leave.
    #[error(
        "cannot keep {name:?} ({size} bytes): not enough space, {}; raise --cache-size or lower --min-free, or free space on the disk",
        if *fits { "and nothing can be evicted now (models that are open, mapped, pinned or put there by another program stay)" } else { "even after evicting every unpinned model" }
    )]
    Full {
        /// The file.
        name: String,
        /// Its size in bytes.
        size: u64,
        /// Whether it would fit if everything left that nobody has asked to stay.
        fits: bool,
    },
    /// The limit of the cache, or its disk, leaves no space for a whole model.
    #[error(
        "cannot keep the whole model: it takes {}, and the cache has space for {} even if every model leaves that is neither pinned nor in use; {}",
        Mebibytes(.0.needs), Mebibytes(.0.has), .0.remedy
    )]
    TooSmall(Shortage),
    /// The filling had failed before.
    #[error("the filling of this model has failed")]
    Failed(#[source] Failure),
    /// Whoever filled the model gave up without saying why.
    #[error("the filling of this model was abandoned")]
    Abandoned,
}

impl Error {
    /// Sorts the kernel's answer to `what` on `path` into the kinds that ask for different remedies.
    pub(super) fn io(what: &'static str, path: impl AsRef<Path>, source: io::Error) -> Error {
        use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let path = os::fs::shown(path.as_ref());
        match source.kind() {
            StorageFull | QuotaExceeded => Error::NoSpace { what, path, source },
            PermissionDenied => Error::Denied { what, path, source },
            ReadOnlyFilesystem => Error::ReadOnly { what, path, source },
            _ => Error::Io { what, path, source },
        }
    }
}

/// Names the operation and the path of an [`io::Result`].
pub(super) trait Context<T> {
    /// `what` is a verb: it follows "cannot".
    fn context(self, what: &'static str, path: impl AsRef<Path>) -> Result<T, Error>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, what: &'static str, path: impl AsRef<Path>) -> Result<T, Error> {
        self.map_err(|source| Error::io(what, path, source))
    }
}

/// Turns "there was nothing there" into `None`.
pub(super) fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errno_decides_the_remedy() {
        let of = |errno| Error::io("write", "/c/x", io::Error::from_raw_os_error(errno));
        assert!(matches!(of(libc::ENOSPC), Error::NoSpace { .. }));
        assert!(matches!(of(libc::EDQUOT), Error::NoSpace { .. }));
        assert!(matches!(of(libc::EACCES), Error::Denied { .. }));
        assert!(matches!(of(libc::EPERM), Error::Denied { .. }));
        assert!(matches!(of(libc::EROFS), Error::ReadOnly { .. }));
        assert!(matches!(of(libc::EIO), Error::Io { .. }));
        assert_eq!(
            of(libc::ENOSPC).to_string(),
            "cannot write /c/x: the disk of the cache is full, or a quota is used up; \
             free space there, or choose another directory with --cache-dir"
        );
    }
}
