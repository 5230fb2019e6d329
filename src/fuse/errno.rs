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
        models::Error::Lost { .. } | models::Error::Unsealed { .. } => Errno::EIO,
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn every_reason_a_model_cannot_be_had_for() {
        for (error, errno) in models::testing::errors() {
            let text = error.to_string();
            let error = tree::Error::Model(error);
            assert_eq!(super::errno(&error).code(), errno, "{text}");
        }
    }

    #[test]
    fn what_the_disk_says_of_a_complete_file() {
        let disk = |code| tree::Error::Disk {
            path: "saved_model.pb".into(),
            cause: Arc::new(io::Error::from_raw_os_error(code)),
        };
        for (code, errno) in [
            (libc::EMFILE, libc::EMFILE),
            (libc::ENFILE, libc::ENFILE),
            (libc::EACCES, libc::EACCES),
            (libc::ENOENT, libc::EIO),
            (libc::EIO, libc::EIO),
            (libc::EINTR, libc::EIO),
        ] {
            assert_eq!(super::errno(&disk(code)).code(), errno);
        }
        let short = tree::Error::Disk {
            path: "saved_model.pb".into(),
            cause: Arc::new(io::ErrorKind::UnexpectedEof.into()),
        };
        assert_eq!(super::errno(&short).code(), libc::EIO);
    }

    #[test]
    fn the_rest() {
        let path = String::from("a");
        for (error, errno) in [
            (tree::Error::NoEntry { forever: true }, libc::ENOENT),
            (tree::Error::NameTooLong, libc::ENAMETOOLONG),
            (tree::Error::IsDirectory, libc::EISDIR),
            (tree::Error::NotDirectory, libc::ENOTDIR),
            (tree::Error::ReadOnly, libc::EROFS),
            (tree::Error::Stale, libc::ESTALE),
            (tree::Error::NoAttribute, libc::ENODATA),
            (tree::Error::Replaced { path }, libc::EIO),
            (tree::Error::Interrupted, libc::EINTR),
        ] {
            assert_eq!(super::errno(&error).code(), errno, "{error}");
        }
    }
}
