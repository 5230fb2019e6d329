//! `serve` and `demo`: a directory of models offered over TensorFlow Hub's
//! hosting protocol, compressed and uncompressed, with a plain page for people.
//!
//! A request goes this way, one file a step:
//!
//! ```text
//! hosting -> index -> archives -> (survey -> pack) -> body
//!        |-> page
//!        `-> bucket (survey, checksums) -> body
//! ```
//!
//! [`ModelIndex`] knows which handles DIR holds; nothing else turns the text of
//! a request into a path. [`archives::Archives`] makes sure that what is sent has a known
//! length and known hashes: a ready-made archive is read once for them, a
//! directory is packed once into an unlinked file. The uncompressed form is a
//! bucket on the same server: see `bucket`. [`Server`] is the router on a
//! listener.

mod archive;
mod archives;
mod blocking;
mod body;
mod bucket;
mod confine;
pub mod demo;
mod digest;
mod error;
mod gzip;
mod hosting;
mod index;
mod listen;
mod origin;
mod pack;
mod page;
mod range;
mod spool;
mod survey;
mod transfer;

use blocking::blocking;

pub use bucket::{Bucket, DEFAULT_BUCKET};
pub use error::Error;
pub use index::ModelIndex;
pub use listen::{Options, Server};

#[cfg(test)]
mod testing;
