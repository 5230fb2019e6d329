//! What serves models: the rooms below are assembled from checked settings, and a mount lives and ends.
//!
//! A mount goes through these steps, in this order:
//!
//! 1. [`background::start`]: without `--foreground` the program starts itself again and waits for the word `ready`.
//! 2. [`mountpoint::Mountpoint::prepare`]: the directory is made, a dead mount on it is mended, a wrong place refused.
//! 3. [`assemble::Assembly::models`], then the FUSE session.
//! 4. [`background::Readiness::ready`]: whoever waits for the mount (a shell, systemd) is told.
//! 5. [`signals::StopSignals::next`], then [`shutdown::shut_down`]: unmounted, or detached and served for a while.
//! 6. The [`mountpoint::Mountpoint`] is dropped last, and removes the directory if it made it.
//!
//! Nothing here reads arguments or writes to a terminal; failures are an [`Error`].

pub mod assemble;
pub mod background;
mod error;
pub mod handle_list;
pub mod mount;
pub mod mountpoint;
mod network;
pub mod newest;
pub mod notify;
pub mod runtime;
pub mod shutdown;
pub mod signals;
#[cfg(test)]
mod unit;

pub use error::Error;
