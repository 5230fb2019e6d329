//! What a source knows about a handle: one archive, or a list of files of which any part can be read.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

use super::{Archive, Error};
use crate::checksum::Hashes;

/// How a model's bytes are to be had.
#[derive(Debug, Clone)]
pub enum Plan {
    /// One archive with the whole model.
    Archive(Archive),
    /// Its files, each by itself.
    Files(Arc<Folder>),
}

impl Plan {
    pub(super) fn of_files(folder: Folder) -> Plan {
        Plan::Files(Arc::new(folder))
    }

    /// Where the bytes come from, for people; without secrets.
    pub fn shown(&self) -> String {
        match self {
            Plan::Archive(archive) => archive.shown(),
            Plan::Files(folder) => folder.shown.clone(),
        }
    }
}

/// A model as a list of files.
#[derive(Debug, Clone)]
pub struct Folder {
    /// Where it is, for people; without secrets.
    pub shown: String,
    /// The files. Names are plain relative paths, none twice, none below another; sorted.
    pub files: Vec<RemoteFile>,
    /// Directories that are told of and may be empty. Parents of files need not be here.
    pub dirs: Vec<String>,
}

/// One file of a folder, as it was when it was listed.
#[derive(Debug, Clone)]
pub struct RemoteFile {
    /// The path in the model.
    pub name: String,
    /// In bytes, exact.
    pub size: u64,
    /// As the origin has it.
    pub mtime: SystemTime,
    /// Checksums of the whole file, as far as the listing gave them.
    pub hashes: Hashes,
    /// What tells this content from another of the same name: a generation, an ETag. Bytes kept on disk are used again
    /// only for the same name, size and version. Empty if the origin tells nothing.
    pub version: String,
    /// Reads it.
    pub from: Arc<dyn Ranged>,
}

/// Bytes in order; ends early with an error only.
pub type Bytestream = BoxStream<'static, Result<Bytes, Error>>;

/// Reads parts of one remote file, always of the content that was listed.
pub trait Ranged: Send + Sync + fmt::Debug {
    /// Exactly the bytes of `range`, which lies within the file, in order. Broken connections, retries, expired signatures
    /// are handled within; nothing is sent before the first poll, dropping it ends the transfer. A file that has changed
    /// since is [`Error::Changed`], never a mix.
    fn read(&self, range: Range<u64>) -> Bytestream;

    /// Where it is, for messages; without secrets.
    fn shown(&self) -> String;

    /// Checksums of the whole file where the listing gave none and the file's own answer may. Asks only if it has not
    /// been read yet.
    fn hashes(&self) -> BoxFuture<'_, Result<Hashes, Error>> {
        async { Ok(Hashes::default()) }.boxed()
    }
}
