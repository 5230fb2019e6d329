//! `gs://` and `s3://`: what lies in buckets, how any part of it is read, and how it is written under conditions.
//!
//! - `client` is one bucket: its URLs, and whether it is asked anonymously or with credentials. object_store finds and
//!   renews credentials and signs for Amazon; requests are this room's, over `fetch`'s client and retry policy.
//! - `list` reads listings. They tell generations and checksums, and an odd key among ten thousand is left out instead of
//!   failing them all, which object_store's listings do.
//! - `get` reads objects in parts, always of the content that was listed.
//! - `put` writes objects on the condition that nobody else has.
//!
//! No thread blocks here, except to read a file of credentials, which is done aside. Locks are held over table look-ups only.

mod buckets;
mod client;
mod error;
mod get;
mod list;
mod object;
mod options;
mod put;
#[cfg(test)]
mod tests;

pub use buckets::{Buckets, ObjectTree};
pub use error::{Error, ErrorKind};
pub use get::{NamedObject, Object};
pub use object::ObjectInfo;
pub use options::BucketOptions;
pub use put::LocalBytes;
pub(crate) use put::{BucketWriter, Evidence, Precondition, PutOutcome};
