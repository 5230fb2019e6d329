//! What TensorFlow reads: the names in a SavedModel, whether one is whole, and what is read next.
//!
//! Nothing here knows where a model is: whoever asks brings the names, and a way to open a file ([`Files`]). No byte is
//! trusted, and what does not parse says nothing.

mod graph;
mod index;
mod names;
mod next;
mod whole;

#[cfg(test)]
pub(crate) use graph::tests as graphs;
#[cfg(test)]
pub(crate) use index::tests as indices;
pub use names::{GRAPHS, INDEX, parse_shard, shard_name};
pub use next::{Part, next};
pub use whole::{Files, Flaw, flaw, variables_flaw};
