//! The handle list of `--catalog FILE`: read at the start, and again when it changes; models that it marks are fetched or pinned.
//!
//! A file is replaced by rename or written over; either is seen by its inode, size and times, which are looked at every
//! second. A list that cannot be read, or has a bad line, changes nothing: the list that was read before stays in force.

pub mod prefetch;
mod read;
pub mod watch;

pub use read::{Error, read};
