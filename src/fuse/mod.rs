//! The kernel's side: fuser's trait as a thin skin over `vfs`.
//!
//! Each callback asks the tree and either answers at once or hands its reply to the table of [`waiters`]; no callback
//! waits. Which errno an error becomes is said in one table ([`errno`]), and the one log line about it is written
//! where the reply leaves ([`error_reply`]). How a file's bytes reach its reader (by the kernel itself, through the page
//! cache, or directly) is decided per inode in [`io_mode`].

mod dir_handles;
mod errno;
mod error_reply;
mod fs;
mod io_mode;
mod notify;
mod reply;
mod session;
mod statfs;
mod waiters;

pub use session::{Error, Options, Serving, mount};
