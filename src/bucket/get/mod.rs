//! Objects as they are read: what is told of one, and parts of its content.

mod info;
mod object;

pub(super) use info::info;
pub use object::{NamedObject, Object, ObjectStream};
