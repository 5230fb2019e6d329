//! Who may make a model's entry.
//!
//! One filler per model: a kernel lock among ourselves ([`Claim`]), then tensorflow_hub's lock file ([`Held`]). Nothing here
//! waits: who asks in vain is told the [`Holder`]. Lock order: the kernel lock of a model, then its lock file; never two models
//! at once.

mod claim;
pub(in crate::cache) mod foreign;
pub(in crate::cache) mod locks;
pub(in crate::cache) mod underway;

pub use claim::Holder;
pub(in crate::cache) use claim::{Claim, Held};
pub(in crate::cache) use locks::Locks;
