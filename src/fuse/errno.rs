//! The one table from errors to errno (what each means to a reader: the manual's "What a reader sees").

use std::io;

use fuser::Errno;

use crate::{models, tree};

/// The errno a reader sees.
pub(super) fn errno(error: &tree::Error) -> Errno {
    match error {
        tree::Error::NoEntry { .. } => Errno::ENOENT,
        tree::Error::NameTooLong => Errno::ENAMETOOLONG,
        tree::Error::IsDirectory => Errno::EISDIR,
        tree::Error::NotDirectory => Errno::ENOTDIR,
        tree::Error::ReadOnly => Errno::EROFS,
        tree::Error::Stale => Errno::ESTALE,
        tree::Error::NoAttribute => Errno::ENODATA,
        tree::Error::Replaced { .. } => Errno::EIO,
        tree::Error::Model(error) => of_model(error),
        tree::Error::Disk { cause, .. } => of_disk(cause),
        tree::Error::Interrupted => Errno::EINTR,
    }
}

fn of_model(error: &models::Error) -> Errno {
    match error {
        models::Error::Source(error) if error.is_not_found() => Errno::ENOENT,
        models::Error::Source(error) if error.is_denied() => Errno::EACCES,
        models::Error::Source(error) if error.is_timeout() => Errno::ETIMEDOUT,
        models::Error::Source(_) => Errno::EIO,
        models::Error::Archive { .. } => Errno::EIO,
        models::Error::Store { .. } if error.is_no_space() => Errno::ENOSPC,
        models::Error::Store { .. } => Errno::EIO,
        models::Error::Stalled { .. } | models::Error::Held { .. } => Errno::ETIMEDOUT,
        models::Error::Lost { .. } => Errno::EIO,
    }
}

fn of_disk(cause: &io::Error) -> Errno {
    match cause.raw_os_error() {
        Some(code) if code == libc::EMFILE || code == libc::ENFILE || code == libc::EACCES => {
            Errno::from_i32(code)
        }
        _ => Errno::EIO,
    }
}
