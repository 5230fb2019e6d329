//! Whether a mount still answers. Only for mounts of other processes: asking our own would wait for ourselves.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::{disk, limit};

/// What came back from a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// It answered, or refused us: somebody serves it.
    Answers,
    /// "Transport endpoint is not connected": its process is gone, or the connection was aborted.
    Dead,
    /// Nothing within the limit: its process is stopped or stuck.
    Silent,
}

/// Asks the mount at `mountpoint`, for at most `limit`.
///
/// statvfs(3) first, because it always reaches the file system, while stat(2) may be answered from attributes that the kernel
/// remembers; stat as well, because the kernel answers statvfs itself for a user who has no access to the mount.
pub fn probe(mountpoint: &Path, limit: Duration) -> Liveness {
    let path = mountpoint.to_path_buf();
    let answer = limit::within(limit, move || {
        disk::space(&path)?;
        std::fs::symlink_metadata(&path)?;
        Ok(())
    });
    match answer {
        None => Liveness::Silent,
        Some(Err(error)) if is_disconnected(&error) => Liveness::Dead,
        Some(_) => Liveness::Answers,
    }
}

/// Whether an error is the kernel's word for "nobody serves this FUSE mount any more".
pub fn is_disconnected(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENOTCONN | libc::ECONNABORTED)
    )
}
