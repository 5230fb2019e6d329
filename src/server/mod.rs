//! `serve` and `demo`: a directory of models offered over TensorFlow Hub's
//! hosting protocol, compressed and uncompressed, with a plain page for people.
//!
//! A request goes this way, one file a step:
//!
//! ```text
//! hosting -> catalogue -> archives -> (survey -> pack) -> body
//!        |-> page
//!        `-> bucket (survey, checksums) -> body
//! ```
//!
//! [`Catalogue`] knows which handles DIR holds; nothing else turns the text of
//! a request into a path. [`Archives`] makes sure that what is sent has a known
//! length and known hashes: a ready-made archive is read once for them, a
//! directory is packed once into an unlinked file. The uncompressed form is a
//! bucket on the same server: see `bucket`. [`Server`] is the router on a
//! listener.

mod archive;
mod archives;
mod body;
mod bucket;
mod catalogue;
mod confine;
pub mod demo;
mod digest;
mod error;
mod gzip;
mod hosting;
mod listen;
mod origin;
mod pack;
mod page;
mod range;
mod spool;
mod survey;
mod transfer;

pub use archives::{Archives, DEFAULT_SPOOL_LIMIT};
pub use bucket::{Bucket, DEFAULT_BUCKET};
pub use catalogue::{Catalogue, Form, Found, Listing, PassedOver, Suffix};
pub use error::Error;
pub use listen::{Options, Server};

/// Work that waits for the disk, off the async threads; `name` is what it is about.
async fn blocking<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| {
        Err(Error::Lost {
            name: name.to_owned(),
            why: e.to_string(),
        })
    })
}

#[cfg(test)]
mod testing;
