//! The one promise: "this model is here".
//!
//! [`Models`] is asked for a [`Model`] by handle (`registry`), and everybody who asks gets the same one. A model is a state
//! machine (`model`, where it is drawn): whatever it does, it does once however many ask, in tasks that outlive who asked.
//!
//! - `archive_fill` and `range_task` with `stream` are the two ways to fill a model.
//! - `bucket` and `newest` remember what origins say of more than one model (`memo`).
//! - `shared_cache` leaves models in the shared cache, `house` looks after the cache, `export_import` exports and imports.
//!
//! What is not `async` answers from memory. Work on a disk runs in threads for that, and no lock is held over it.

mod archive_fill;
mod bucket;
mod disk;
mod error;
pub mod export_import;
mod house;
mod memo;
mod model;
mod newest;
mod object_prefetch;
mod objects;
mod patience;
mod progress;
mod range_task;
mod registry;
mod shared_cache;
mod step;
pub mod stream;
#[cfg(test)]
pub(crate) mod testing;

pub use bucket::{BucketNames, Seen};
pub use disk::Disk;
pub use error::Error;
pub use model::{Content, Model};
pub use newest::Latest;
pub use patience::Patience;
pub use progress::Progress;
pub use registry::{Models, Options};

use model::VERDICT;
use registry::Shared;
