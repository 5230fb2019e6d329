//! Where an answer leaves for the kernel: the one log line about an error, and the guard against panics.

use std::panic::{AssertUnwindSafe, catch_unwind};

use fuser::Errno;

use super::errno::errno;
use crate::os::blocking;
use crate::vfs::{Error, Tree};

/// Logs an error that somebody can mend, remembers it for `user.tfhub.error`, and gives its errno.
pub(super) fn report(tree: &Tree, operation: &str, path: &str, error: &Error) -> Errno {
    match error {
        Error::Model(cause) if cause.is_not_found() => {
            tracing::info!(operation, path, "{cause}");
            tree.record(path, error);
        }
        Error::Model(_) | Error::Disk { .. } | Error::Replaced { .. } => {
            tracing::warn!(operation, path, "{error}");
            tree.record(path, error);
        }
        // Ordinary answers: programs look for names that are not there all day.
        Error::NoEntry { .. }
        | Error::NoAttribute
        | Error::Interrupted
        | Error::NameTooLong
        | Error::IsDirectory
        | Error::NotDirectory
        | Error::ReadOnly
        | Error::Stale => tracing::debug!(operation, path, "{error}"),
    }
    errno(error)
}

/// Runs a callback; a panic in it is logged and the unanswered reply becomes EIO, but the mount lives on.
pub(super) fn guarded(operation: &str, callback: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(|| blocking::answering(callback))).is_err() {
        tracing::error!(
            operation,
            "a panic in a callback; this is a bug of tfhub-fs"
        );
    }
}
