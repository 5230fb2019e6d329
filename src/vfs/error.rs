//! Why a request of the kernel fails.

use std::io;
use std::sync::Arc;

use crate::models;

/// Why a request cannot be answered with what it asks for. `fuse` maps each to one errno.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// There is no such name here, and `forever` when there never will be.
    #[error("no such name")]
    NoEntry {
        /// Whether the kernel may remember this without end.
        forever: bool,
    },
    /// The name is longer than a file name may be.
    #[error("the name is over 255 bytes")]
    NameTooLong,
    /// A directory was used as a file.
    #[error("this is a directory")]
    IsDirectory,
    /// A file was used as a directory.
    #[error("this is not a directory")]
    NotDirectory,
    /// Something was to be changed.
    #[error("tfhub-fs is read-only")]
    ReadOnly,
    /// A node or file handle that is not known.
    #[error("a stale file handle")]
    Stale,
    /// The attribute is not set here.
    #[error("no such attribute")]
    NoAttribute,
    /// The archive holds this file twice, and bytes of the earlier copy had been read.
    #[error(
        "bytes of {path} that were read already have been replaced: its archive holds it twice, or the process that fetched it failed and another archive is fetched now; open it again"
    )]
    Replaced {
        /// The file's path in the model.
        path: String,
    },
    /// The model, or this part of it, cannot be had.
    #[error(transparent)]
    Model(#[from] models::Error),
    /// The cache's disk failed under a sealed or filling file.
    #[error("cannot read {path} in the cache: {cause}")]
    Disk {
        /// The file's path in the model.
        path: String,
        /// What the disk said.
        cause: Arc<io::Error>,
    },
    /// The waiting process was interrupted.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// A name that is not here now.
    pub(super) fn absent() -> Error {
        Error::NoEntry { forever: false }
    }

    /// The cache's disk failed under the file at `path` of a model.
    pub(super) fn disk(path: &str, cause: io::Error) -> Error {
        Error::Disk {
            path: path.to_owned(),
            cause: Arc::new(cause),
        }
    }
}
