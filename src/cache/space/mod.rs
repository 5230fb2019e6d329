//! How much everything in a cache may take, and what leaves when that is too much.
//!
//! A [`room::Room`] counts the bytes of fillings and asks a [`budget::Budget`] what they may take. Complete models are in the
//! [`ledger::Ledger`], parts that nobody has open in [`idle::IdleParts`]; what leaves is chosen from both (`leaving`), renamed
//! into the trash, and deleted by a thread of its own (`sweeper`). What is chosen counts no more from that moment on.
//!
//! One at a time chooses, under the room's lock; the tables of the ledger and of idle parts are locked after it, for memory
//! only. Whoever asks for space may wait for the disk: no FUSE callback does.

pub(in crate::cache) mod budget;
pub(in crate::cache) mod evict;
pub(in crate::cache) mod idle;
mod leaving;
pub(in crate::cache) mod ledger;
pub(in crate::cache) mod reservation;
pub(in crate::cache) mod room;
mod shortage;
pub(in crate::cache) mod staging;
mod sweeper;
pub(in crate::cache) mod turns;

pub use evict::Stays;
pub use turns::Turn;
