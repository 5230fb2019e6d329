//! tfhub-fs mounts TensorFlow Hub and Kaggle models as a read-only file system.
//!
//! The data's way, each arrow one public function and each noun one type:
//!
//! ```text
//! mount path -> handle -> plan -> filling -> sealed -> bytes -> kernel
//! ```

mod archive;
mod bucket;
mod cache;
mod checksum;
mod cli;
mod config;
mod daemon;
mod fetch;
mod fuse;
mod handle;
mod hubdir;
mod models;
/// The scripted origin of the tests, for those of the library.
#[cfg(test)]
#[path = "../tests/origin/mod.rs"]
mod origin;
mod os;
mod savedmodel;
mod server;
mod shared_cache;
mod source;
mod status;
mod vfs;

pub use cli::run;

/// For the fuzz targets.
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::archive::{Limits, Name, Sink, unpack};
}

/// For the benchmarks: opens a cache, and each call of what it returns chooses again what would be evicted, and tells how many.
#[doc(hidden)]
pub fn eviction_order(
    dir: std::path::PathBuf,
) -> Result<impl Fn() -> usize, impl std::error::Error> {
    let options = cache::Options {
        dir: Some(dir),
        limit: Some(config::CacheSize::Bytes(u64::MAX)),
        evict_foreign: true,
        ..cache::Options::default()
    };
    cache::Cache::with(&options).map(|cache| move || cache.next_to_leave().len())
}
