//! What a cache is to be like, and what a model of files is said to consist of.

use std::path::PathBuf;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::checksum::Hashes;
use crate::config::CacheSize;

/// Where models are kept, and how much of them.
#[derive(Clone, Debug)]
pub struct Options {
    /// The cache directory; `None`: there is none, and models stream through memory.
    pub dir: Option<PathBuf>,
    /// Where what is missing is kept when that directory is not ours to write.
    pub private: Option<PathBuf>,
    /// kagglehub's cache, where models may be already; it is only read.
    pub kagglehub: Option<PathBuf>,
    /// How much the cache may take. 0 is as no directory, but models that are complete there are used.
    pub limit: Option<CacheSize>,
    /// What is to stay free of the disk when something is added.
    pub min_free: CacheSize,
    /// Whether models that others put there may leave to make room.
    pub evict_foreign: bool,
    /// How many bytes are kept in memory in all, for models that are not kept on disk.
    pub memory: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            dir: None,
            private: None,
            kagglehub: None,
            limit: None,
            min_free: CacheSize::Bytes(0),
            evict_foreign: false,
            memory: 128 << 20,
        }
    }
}

/// One file of a model that is read by ranges.
#[derive(Clone, Debug)]
pub struct FileSpec {
    /// The path in the model.
    pub path: String,
    /// In bytes, exact.
    pub size: u64,
    /// As the origin has it.
    pub mtime: SystemTime,
    /// What tells this content from another of the same name; empty if the origin tells nothing.
    pub version: String,
    /// Checksums of the whole file, as far as they are known.
    pub hashes: Hashes,
}

/// A file's spec as it is kept beside its bytes, which are used again only if it is equal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Planned {
    pub(super) name: String,
    pub(super) size: u64,
    version: String,
    crc32c: Option<u32>,
    md5: Option<[u8; 16]>,
}

impl Planned {
    pub(super) fn of(spec: &FileSpec) -> Planned {
        Planned {
            name: spec.path.clone(),
            size: spec.size,
            version: spec.version.clone(),
            crc32c: spec.hashes.crc32c,
            md5: spec.hashes.md5,
        }
    }

    /// Whether there is anything that tells this content from another of the same name and size.
    pub(super) fn is_told_apart(&self) -> bool {
        !self.version.is_empty() || self.crc32c.is_some() || self.md5.is_some()
    }
}
