//! Why a copy cannot be found, or a model not be uploaded.

use crate::bucket;

/// What went wrong with the shared cache.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The bucket, or the way there.
    #[error(transparent)]
    Bucket(#[from] bucket::Error),
    /// The bucket takes longer than a miss may cost.
    #[error(
        "{at} has not answered within {seconds} s; check the bucket, or leave out --shared-cache"
    )]
    NoAnswer {
        /// The shared cache.
        at: String,
        /// The limit, in seconds.
        seconds: f32,
    },
    /// Somebody else has the lock now, or has written the object.
    #[error("{object}: another host has taken over the upload; nothing needs to be done")]
    Overtaken {
        /// The key of the lock or the object.
        object: String,
    },
    /// This host gives no random bytes to tell its lock from others.
    #[error("no lock can be taken: {0}")]
    NoUid(String),
    /// The copy on this host.
    #[error(
        "{file} of the copy on this host is damaged: {why}; nothing wrong was left in the bucket"
    )]
    Damaged {
        /// The path in the model.
        file: String,
        /// What is wrong with it.
        why: String,
    },
}

impl Error {
    /// The bucket refuses.
    pub fn is_denied(&self) -> bool {
        matches!(self, Error::Bucket(error) if error.is_denied())
    }

    /// There is no such bucket.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Error::Bucket(error) if error.is_not_found())
    }

    /// The bucket has not answered in time.
    pub(super) fn is_timeout(&self) -> bool {
        match self {
            Error::Bucket(error) => error.is_timeout(),
            Error::NoAnswer { .. } => true,
            Error::Overtaken { .. } | Error::NoUid(_) | Error::Damaged { .. } => false,
        }
    }
}
