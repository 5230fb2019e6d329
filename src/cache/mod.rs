//! The disk: layout, fillings, sealing, locks shared with tensorflow_hub.
//!
//! A [`Cache`] is one cache directory, in the layout that tensorflow_hub uses (drawn in `layout.rs`). A model in it is in
//! one of two states:
//!
//! - [`Sealed`]: complete and never written again. It got its name by one rename of a finished, synced directory.
//! - [`Filling`]: files that are being written by one filler and may be read at the same time (`fill/`): a [`Lead`] has the
//!   model's lock, a [`Partial`] takes it only to seal.
//!
//! `Cache::begin` and `Cache::stream` decide which. A lead that is dropped leaves nothing behind. `kill -9` at any instruction
//! leaves the old state, or a staging directory that the next `begin` of the same model, or the next `Cache::open`, takes away.
//!
//! Where a complete model may be is a list of layers (`layers.rs`): our directory, one that is only read, kagglehub's. Folders:
//! `admin -> fill, space -> partial, sealed, lock -> layout -> dirs` is the order they are to have. It is not kept yet: fill and
//! space name each other, and `error` and `dirs` name what is above them (`cargo test --test architecture figures`).
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
pub use fill::{Demand, FillFile, Filling, Found, Lead, Need, Partial, ReadAt, Sealing, Writer};
pub use lock::Holder;
pub use presence::Presence;
pub use root::{Begin, Cache, Streaming};
pub use sealed::{Attr, Child, FileTree, ListedFile, Manifest, Sealed, State};
pub use space::{Stays, Turn};
pub use spec::{FileSpec, Options};
