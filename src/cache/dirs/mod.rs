//! Directories that are held open, and small files in them.
//!
//! Whoever may write to the cache directory can replace any name in it between two of our steps. So our own directories
//! ([`own::OwnDirs`]) and staging directories ([`base::Base`]) are opened once, without following a link, their owner is checked, and what
//! is in them is reached through their descriptors; a small file is read only if it is plain and short ([`plain`]).

pub(in crate::cache) mod base;
pub(in crate::cache) mod own;
pub(in crate::cache) mod plain;
