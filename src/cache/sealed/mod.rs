//! Complete models: what is known of one, what is at its name, and how it gets there.
//!
//! A [`Sealed`] model got its name by one rename of a finished, synced directory, and is never written again. Its [`Manifest`] is
//! written before and stays when it is evicted. [`entry`] compares the two, because others can write to the directory too.

pub(in crate::cache) mod entry;
pub(in crate::cache) mod file_tree;
pub(in crate::cache) mod index;
pub(in crate::cache) mod kagglehub;
pub(in crate::cache) mod manifest;
mod model;
pub(in crate::cache) mod publish;

pub use file_tree::FileTree;
pub use index::{Attr, Child};
pub use manifest::{ListedFile, Manifest, State};
pub use model::Sealed;
