//! Writes objects, always under a condition, so that of two writers one succeeds.
//!
//! A request whose answer was lost is retried, and then its own first attempt makes the condition fail: the object is compared
//! with what was sent before it counts as another writer's ([`BucketWriter::put`]).
//!
//! These are requests of our own and not object_store's (0.14), which
//! - completes a multipart upload without a condition, and over whatever is there (`CompleteMultipartMode` is not public);
//! - deletes without a condition, so that a lock that another host has taken over would go;
//! - tells Amazon SHA-256 or CRC-64/NVME checksums (`aws::Checksum`) and Google none. CRC-32C is what manifests have and what
//!   both compute: with another one, every object of an interrupted upload has to be read again to learn whether it is right;
//! - answers a completion whose first answer was lost with an error, where the object is there.

mod amazon;
mod compare;
mod google;
#[cfg(test)]
mod tests;
mod unfinished;
mod writer;

pub(crate) use compare::Evidence;
pub use writer::LocalBytes;
pub(crate) use writer::{BucketWriter, Precondition, PutOutcome};
