//! Life in the background: readiness, signals, stale mounts, unmount order.
//!
//! The life of a mount, in the order in which `mount` lives it:
//!
//! 1. [`background::start`]: without `--foreground` the program starts itself again and waits for the word `ready`.
//! 2. [`mountpoint::Mountpoint::prepare`]: the directory is made, a dead mount on it is mended, a wrong place refused.
//! 3. [`crate::os::mount::mount`] and a FUSE session.
//! 4. [`background::Readiness::ready`]: whoever waits for the mount (a shell, systemd) is told.
//! 5. [`stop::Stop::next`], then [`stop::shut_down`]: unmounted, or detached and served for a while.
//! 6. The [`mountpoint::Mountpoint`] is dropped last, and removes the directory if it had made it.

pub mod background;
pub mod mountpoint;
pub mod notify;
pub mod stop;

#[cfg(test)]
mod unit;
