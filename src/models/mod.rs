//! The one promise: "this model is here".
//!
//! [`Models`] is asked for a [`Model`] by handle (`registry`), and everybody who asks gets the same one. A model is a state
//! machine (`model`, where it is drawn): whatever it does, it does once however many ask, in tasks that outlive who asked.
//!
//! - `archive_fill` and `range_task` with `range_fill` are the two ways to fill a model.
//! - `bucket` and `newest` remember what origins say of more than one model (`query_cache`).
//! - `shared_cache` leaves models in the shared cache, `maintenance` looks after the cache, `export_import` exports and imports.
//!
//! What is not `async` answers from memory. Work on a disk runs in threads for that, and no lock is held over it.

mod archive_fill;
mod bucket;
mod disk;
mod error;
pub mod export_import;
mod maintenance;
mod model;
mod newest;
mod object_prefetch;
mod objects;
mod progress;
mod progress_timeout;
mod query_cache;
mod range_fill;
mod range_task;
mod registry;
mod shared_cache;
mod shared_task;
#[cfg(test)]
pub(crate) mod testing;

pub use bucket::{BucketNames, Seen};
pub use disk::Disk;
pub use error::Error;
pub use model::{Content, Model};
pub use newest::Latest;
pub use progress::Progress;
pub use progress_timeout::ProgressTimeout;
pub use registry::{Models, Options};

use model::VERDICT;
use registry::Shared;
