//! Models whose bytes are arriving, for those who fill them and those who read them.
//!
//! A [`Filling`] has one filler: a [`Lead`] appends the files of an archive in a staging directory, a [`Partial`] writes
//! anywhere in the files of a model read by ranges. Readers look at a file's map and never wait: what is not there yet is a
//! [`Need`], which becomes a future. The map of a file says what is present only after the disk has it, and forgets it before
//! the disk does.
//!
//! Locks are held for memory only. Fillers may take as long as the disk needs.

mod appending;
mod blocks;
mod demand;
pub(in crate::cache) mod fillfile;
pub(in crate::cache) mod filling;
pub(in crate::cache) mod giveback;
pub(in crate::cache) mod lead;
pub(in crate::cache) mod partial;
pub(in crate::cache) mod ranged;
mod rangefile;
mod reading;
pub(in crate::cache) mod segments;
pub(in crate::cache) mod shared;
mod site;
pub(in crate::cache) mod waiting;
mod writer;

pub use demand::Demand;
pub use fillfile::{FillFile, ReadAt};
pub use filling::{Filling, Found};
pub use lead::Lead;
pub use partial::{Partial, Sealing};
pub use waiting::Need;
pub use writer::Writer;
