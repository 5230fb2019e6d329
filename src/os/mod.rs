//! The operating system behind safe functions: the only room with `unsafe`.
//!
//! One topic a file. What lives here never knows what a model is; it knows mounts, processes and disks:
//!
//! - [`path`] and [`mountinfo`]: where a path lies, decided as text. Nothing here stats a path that may lie in a FUSE
//!   mount: a dead mount answers ENOTCONN even to `canonicalize`, and our own would wait for ourselves.
//! - [`mount`] and [`unmount`]: `/dev/fuse` with mount(2) as root, fusermount3 as anybody else; [`probe`] tells a dead mount.
//! - [`process`], [`signals`], [`users`]: who is alive, who has been interrupted, who uses a mount; all read from `/proc`.
//! - [`own`] and [`host`]: this process and this host; [`terminal`]: how wide it is.
//! - [`blocking`]: which threads may not wait for a disk.
//! - [`fs`], [`beneath`], [`dir`], [`sparse`], [`disk`], [`lock`], [`lease`]: what std lacks for a cache on a local disk.

pub mod beneath;
pub mod blocking;
pub mod dir;
pub mod disk;
pub mod fs;
mod fusermount;
pub mod host;
pub mod lease;
pub mod limit;
pub mod lock;
pub mod mount;
mod mounted;
pub mod mountinfo;
pub mod own;
pub mod path;
pub mod probe;
pub mod process;
pub mod signals;
pub mod sparse;
pub mod terminal;
pub mod unmount;
pub mod users;
pub mod xattr;

#[cfg(test)]
pub(crate) mod testing;
