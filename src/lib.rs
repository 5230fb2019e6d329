//! tfhub-fs mounts TensorFlow Hub and Kaggle models as a read-only file system.
//!
//! The data's way, each arrow one public function and each noun one type:
//!
//! ```text
//! mount path -> handle -> plan -> filling -> sealed -> bytes -> kernel
//! ```

pub mod archive;
pub mod bucket;
pub mod cache;
pub mod checksum;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod fetch;
pub mod fuse;
pub mod handle;
pub mod hubdir;
pub mod models;
/// The scripted origin of the tests, for those of the library.
#[cfg(test)]
#[path = "../tests/origin/mod.rs"]
mod origin;
pub mod os;
pub mod server;
pub mod shared_cache;
pub mod source;
pub mod status;
pub mod vfs;
