//! `serve` and `demo`: a directory of models offered over TensorFlow Hub's
//! hosting protocol, compressed and uncompressed, with a plain page for people.
//!
//! A request goes this way, one file a step:
//!
//! ```text
//! hosting -> catalogue -> archives -> (survey -> pack) -> body -> shaping
//!        |-> page
//!        `-> bucket (survey, checksums) -> body -> shaping
//! ```
//!
//! [`Catalogue`] knows which handles DIR holds; nothing else turns the text of
//! a request into a path. [`Archives`] makes sure that what is sent has a known
//! length and known hashes: a ready-made archive is read once for them, a
//! directory is packed once into an unlinked file. The uncompressed form is a
//! bucket on the same server: see `bucket`. [`router`] is the whole
//! origin without a socket, so that a test can put a layer of faults around it;
//! [`Server`] is the router on a listener.

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
mod shaping;
mod simulation;
mod spool;
mod survey;
mod transfer;

pub use archives::{Archives, DEFAULT_SPOOL_LIMIT};
pub use bucket::{Bucket, DEFAULT_BUCKET};
pub use catalogue::{Catalogue, Form, Found, Listing, PassedOver, Suffix};
pub use error::Error;
pub use hosting::{router, router_with};
pub use listen::{Options, Server};
pub use simulation::{Simulation, SimulationError};

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

/// A bucket that may be written, and nothing else, for tests of other rooms.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) fn testing_bucket(name: &str, dir: &std::path::Path) -> axum::Router {
    let models = dir.join(".no-models");
    std::fs::create_dir_all(&models).unwrap();
    let catalogue = std::sync::Arc::new(Catalogue::open(&models).unwrap());
    let main = Bucket::new(DEFAULT_BUCKET, catalogue.clone()).unwrap();
    let bucket = Bucket::writable(name, dir, catalogue).unwrap();
    let simulation = Simulation::default();
    router_with(main, vec![bucket], Archives::default(), simulation)
}
