//! Reads objects: their metadata, and parts of their content.

mod info;
mod object;

pub(super) use info::info;
pub use object::{NamedObject, Object};
