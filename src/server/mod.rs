//! `serve` and `demo`: a directory of models offered over TensorFlow Hub's
//! hosting protocol, compressed form, with a plain page for people.
//!
//! A request goes this way, one file a step:
//!
//! ```text
//! hosting -> catalogue -> archives -> (survey -> pack) -> body -> shaping
//!        `-> page
//! ```
//!
//! [`Catalogue`] knows which handles DIR holds; nothing else turns the text of
//! a request into a path. [`Archives`] makes sure that what is sent has a known
//! length and known hashes: a ready-made archive is read once for them, a
//! directory is packed once into an unlinked file. [`router`] is the whole
//! origin without a socket, so that a test can put a layer of faults around it;
//! [`Server`] is the router on a listener.

mod archive;
mod archives;
mod body;
mod catalogue;
mod confine;
pub mod demo;
mod digest;
mod error;
mod gzip;
mod hosting;
mod listen;
mod pack;
mod page;
mod range;
mod shaping;
mod simulation;
mod spool;
mod survey;
mod transfer;

pub use archives::{Archives, DEFAULT_SPOOL_LIMIT};
pub use catalogue::{Catalogue, Form, Found, Listing, PassedOver, Suffix};
pub use error::Error;
pub use hosting::{router, router_with};
pub use listen::{Options, Server};
pub use simulation::{Simulation, SimulationError};

#[cfg(test)]
mod testing;
