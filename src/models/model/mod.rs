//! One model, as a state machine.
//!
//! ```text
//! Unknown -> Looking (disk) -> Sealed | Away (its names are known if it was here before)
//! Away -> Looking -> Asking (origin) -> Known | Refused (for 10 s) | back, with the error told to those who wait
//! Known -> Looking -> Starting -> Waiting (another process fills it) | Filling | Sealed
//! Waiting -> Filling | Sealed | back (held too long)
//! Filling -> Sealed | Complete (kept, and not sealed) | Refused | back
//! Complete -> back (what was given back cannot be had again)
//! Sealed -> Away (damaged, or evicted by anybody)
//! ```
//!
//! "Back" is `Away`, and `Known` for an object of a bucket. Only `Known` and `Refused` answer from memory, for a while; every
//! other failure is told once to those who wait, and the next open tries again.
//!
//! - `transition` is pure: state and event in, state and effects out. Everything it reads is in [`state::State`].
//! - [`driver::Model`] changes the state under one lock, wakes those who have an answer, and then has the effects done, in their
//!   order and without the lock: a reader who is failed and opens again at once finds the new state.
//! - Every piece of work has a [`event::Job`], reports its end as an event with it, well or badly and also for the second time
//!   (bytes of a complete object are given back, and fetched again), and is ignored when the state has gone on.
//! - A range fill ends with the model's last user, an archive fill does not: only the latter's task holds the model.
//! - No lock is held over work, and nothing that is not `async` touches a disk.

mod driver;
mod effects;
mod event;
mod payload;
mod state;
#[cfg(test)]
mod tests;
mod transition;

pub use driver::{Content, Model};
pub(in crate::models) use event::{Event, FillKind, Job};
pub(in crate::models) use payload::{Copy, Fill, Filler, Real};
pub(in crate::models) use transition::VERDICT;
