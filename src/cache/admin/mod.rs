//! Administration of a cache, apart from filling and reading it: what it holds, which models stay, whether their bytes are
//! right, and what is cleared away.
//!
//! Each type takes a [`super::Cache`] and touches the disk: fit for a blocking thread, not for a FUSE callback. Model locks are
//! taken one at a time and never waited for; a model that somebody else is filling is passed over.

mod integrity;
mod inventory;
mod pins;
mod upkeep;

pub use integrity::{Integrity, Unready, Verified};
pub use inventory::{Inventory, Item, ModelStatus};
pub use pins::Pins;
pub use upkeep::Upkeep;
