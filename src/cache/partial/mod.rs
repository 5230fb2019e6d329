//! What lies on disk of a model read by ranges, from one run to the next.
//!
//! [`parts::Parts`] is its directory, which one process has open at a time; the plan says what it consists of, and a map beside
//! each file which of its blocks are there. Nothing of it counts that the map does not say. All of it touches the disk.

pub(in crate::cache) mod bitmap;
pub(in crate::cache) mod parts;
pub(in crate::cache) mod plan;
pub(in crate::cache) mod sparse;
