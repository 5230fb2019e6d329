//! What can go wrong between a directory and its archive.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::confine::Stray;

/// Why something cannot be served. The text is for the operator's log: it names
/// paths of this machine, which a remote client is not told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The directory to serve cannot be read.
    #[error("cannot serve {}: {source}; give a directory that holds <publisher>/<model>/<version>", .dir.display())]
    Dir {
        /// What was given.
        dir: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The listening socket cannot be had.
    #[error(
        "cannot listen on {addr}: {source}; another address can be given, port 0 takes any free one"
    )]
    Listen {
        /// What was asked for.
        addr: SocketAddr,
        /// Why it failed.
        source: io::Error,
    },
    /// The accept loop ended.
    #[error("the server on {addr} stopped: {source}")]
    Serve {
        /// Where it listened.
        addr: SocketAddr,
        /// Why it ended.
        source: io::Error,
    },
    /// No bucket can be called so.
    #[error(
        "{name:?} cannot be a bucket's name: 3 to 63 of a-z, 0-9, '-', '_' and '.', a letter or digit first and last"
    )]
    BucketName {
        /// What was given.
        name: String,
    },
    /// A handle and an object's path would be the same URL.
    #[error(
        "{model} cannot be served beside the bucket {bucket}, whose paths hide it; give the bucket another name with --bucket, or rename the publisher"
    )]
    Shadowed {
        /// `<publisher>/<model...>`.
        model: String,
        /// The bucket.
        bucket: String,
    },
    /// A file of a model has a name that no object can have.
    #[error("cannot offer {} as an object: its name is not UTF-8, too long or holds control characters; rename it", .path.display())]
    Unnameable {
        /// The file.
        path: PathBuf,
    },
    /// A file or directory of a model cannot be read.
    #[error("cannot read {}: {source}", .path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// An entry of a model must not be offered.
    #[error("cannot offer {}: {stray}; replace it by a file or directory", .path.display())]
    Stray {
        /// The entry.
        path: PathBuf,
        /// What is wrong with it.
        stray: Stray,
    },
    /// A part of a model is not there.
    #[error("{} lacks {missing}; is it still being copied? Copy a model beside its place and rename it in", .path.display())]
    Incomplete {
        /// The model's directory.
        path: PathBuf,
        /// What is not there.
        missing: String,
    },
    /// A model changed while it was read.
    #[error("{} changed while it was read; copy a model beside its place and rename it in", .path.display())]
    Changed {
        /// The model's directory or archive.
        path: PathBuf,
    },
    /// The spool file cannot be written.
    #[error("cannot pack into a spool file in {}: {source}; set TMPDIR to a directory with more room", .dir.display())]
    Spool {
        /// The directory of spool files.
        dir: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A thread that did the work is gone.
    #[error("the work on {name} was given up: {why}")]
    Lost {
        /// The model.
        name: String,
        /// What the runtime said.
        why: String,
    },
}

impl Error {
    pub(super) fn read(path: &Path, source: io::Error) -> Error {
        match source.raw_os_error() {
            // What was a file or a directory when it was checked is a link now, or in another place.
            Some(libc::ELOOP | libc::EXDEV | libc::ENOTDIR) => Error::changed(path),
            _ => Error::Read {
                path: path.to_owned(),
                source,
            },
        }
    }

    pub(super) fn changed(path: &Path) -> Error {
        Error::Changed {
            path: path.to_owned(),
        }
    }

    /// True if the file or directory has gone since it was indexed.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self, Error::Read { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}
