//! The one table from errors to errno (what each means to a reader: the manual's "What a reader sees").

use std::io;

use fuser::Errno;

use crate::{models, vfs};

/// The errno a reader sees.
pub(super) fn errno(error: &vfs::Error) -> Errno {
    match error {
        vfs::Error::NoEntry { .. } => Errno::ENOENT,
        vfs::Error::NameTooLong => Errno::ENAMETOOLONG,
        vfs::Error::IsDirectory => Errno::EISDIR,
        vfs::Error::NotDirectory => Errno::ENOTDIR,
        vfs::Error::ReadOnly => Errno::EROFS,
        vfs::Error::Stale => Errno::ESTALE,
        vfs::Error::NoAttribute => Errno::ENODATA,
        vfs::Error::Replaced { .. } => Errno::EIO,
        vfs::Error::Model(error) => of_model(error),
        vfs::Error::Disk { cause, .. } => of_disk(cause),
        vfs::Error::Interrupted => Errno::EINTR,
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
        models::Error::Stalled { .. } | models::Error::Held { .. } | models::Error::Hung { .. } => {
            Errno::ETIMEDOUT
        }
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
            let error = vfs::Error::Model(error);
            assert_eq!(super::errno(&error).code(), errno, "{text}");
        }
    }

    #[test]
    fn what_the_disk_says_of_a_complete_file() {
        let disk = |code| vfs::Error::Disk {
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
        let short = vfs::Error::Disk {
            path: "saved_model.pb".into(),
            cause: Arc::new(io::ErrorKind::UnexpectedEof.into()),
        };
        assert_eq!(super::errno(&short).code(), libc::EIO);
    }

    #[test]
    fn the_rest() {
        let path = String::from("a");
        for (error, errno) in [
            (vfs::Error::NoEntry { forever: true }, libc::ENOENT),
            (vfs::Error::NameTooLong, libc::ENAMETOOLONG),
            (vfs::Error::IsDirectory, libc::EISDIR),
            (vfs::Error::NotDirectory, libc::ENOTDIR),
            (vfs::Error::ReadOnly, libc::EROFS),
            (vfs::Error::Stale, libc::ESTALE),
            (vfs::Error::NoAttribute, libc::ENODATA),
            (vfs::Error::Replaced { path }, libc::EIO),
            (vfs::Error::Interrupted, libc::EINTR),
        ] {
            assert_eq!(super::errno(&error).code(), errno, "{error}");
        }
    }
}
