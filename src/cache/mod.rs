//! The disk: layout, fillings, sealing, locks shared with tensorflow_hub.
//!
//! A [`Cache`] is one cache directory, in the layout that tensorflow_hub uses (drawn in `layout.rs`). A model in it is in
//! one of two states:
//!
//! - [`Sealed`]: complete and never written again. It got its name by one rename of a finished, synced directory.
//! - [`Filling`]: files that are being written by one filler and may be read at the same time. Readers look at a map of the
//!   bytes present ([`Presence`]) and never wait here: what they may have to wait for is a [`Need`], which turns into a
//!   future. An archive's filler (a [`Lead`], from `Cache::begin`) holds the model's lock and appends to one file after
//!   another in a staging directory. A filler by ranges (a [`Partial`], from `Cache::stream`) writes anywhere, hears of every
//!   read ([`Demand`]), and takes the lock only to seal; what it writes stays in `parts` from one run to the next, or in
//!   memory where there is no cache, and gives way when there is no room (`room.rs`).
//!
//! `Cache::begin` decides which: `Sealed` if the entry is whole (`sealed/entry.rs`), `Lead` for the one caller who is to fill
//! it, `Busy` while somebody else does (`lock/`). `Lead::seal` ends a filling; a lead that is dropped instead leaves nothing
//! behind. `kill -9` at any instruction leaves the old state, or a staging directory that the next `begin` of the same model, or
//! the next `Cache::open`, takes away.
//!
//! Where a complete model may be is a list of layers (`layers.rs`): our directory, one that is only read, kagglehub's. What is
//! neither filling nor reading (listing, pins, verifying, upkeep) is in `admin/`, whose types take a cache. Folders name
//! each other in one direction: `admin -> sealed, lock -> layout -> dirs`.
//!
//! What a handle means, where bytes come from and how an archive is packed are unknown here.

mod admin;
mod adopt;
mod dirs;
mod error;
mod fill;
mod layers;
mod layout;
mod lock;
mod opening;
mod partial;
mod presence;
mod root;
mod sealed;
mod space;
mod spec;
mod trash;

#[cfg(test)]
mod tests;

pub use admin::{Integrity, Inventory, Item, ModelStatus, Pins, Unready, Upkeep, Verified};
pub use error::{Error, Failure};
pub use fill::{
    Demand, FillFile, Filling, Found, Lead, Need, Partial, Progress, ReadAt, Sealing, Wait, Writer,
};
pub use lock::Holder;
pub use presence::Presence;
pub use root::{Begin, Cache, Streaming};
pub use sealed::{Attr, Child, FileTree, ListedFile, Manifest, Sealed, State};
pub use space::{Remedy, Shortage, Stays, Turn};
pub use spec::{FileSpec, Options};
