//! Why a model cannot be had, in the words of this room.

use std::sync::Arc;
use std::time::Duration;

use crate::{archive, cache, source};

/// Why a model, or a part of it, cannot be had now.
///
/// Cheap to clone, because one failed attempt answers every waiter.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The source does not know the model, refuses it, or could not give its bytes whole and in time.
    #[error(transparent)]
    Source(source::Error),
    /// The archive is refused.
    #[error("{handle}: the archive is refused: {cause}")]
    Archive {
        /// The model's handle.
        handle: String,
        /// What is wrong with it.
        cause: Arc<archive::Refusal>,
    },
    /// The cache's disk failed.
    #[error("{handle}: {cause}")]
    Store {
        /// The model's handle.
        handle: String,
        /// What the disk said.
        cause: cache::Failure,
    },
    /// A reader waited as long as `--timeout` and nothing moved.
    #[error("{handle}: nothing arrived for {}; its origin has stalled", human(.after))]
    Stalled {
        /// The model's handle.
        handle: String,
        /// How long nothing moved.
        after: Duration,
    },
    /// Another process holds the model's lock and makes no progress.
    #[error("{handle}: {who} holds its lock and has made no progress for {}; if that process is gone, remove the .lock file", human(.after))]
    Held {
        /// The model's handle.
        handle: String,
        /// Who holds the lock.
        who: String,
        /// How long nothing moved.
        after: Duration,
    },
    /// The cache's disk does not answer.
    #[error("{handle}: the disk of its cache has not answered for {}", human(.after))]
    Hung {
        /// The model's handle.
        handle: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// There is no place where all of it could stay.
    #[error(
        "{handle}: it can be streamed, but the cache has no room to keep all of it; give --cache-dir a directory that can be written, and a larger --cache-size, or read it through a mount"
    )]
    Unsealed {
        /// The model's handle.
        handle: String,
    },
    /// A worker of this program ended without a word.
    #[error("{handle}: the fetching task ended early; this is a bug of tfhub-fs")]
    Lost {
        /// The model's handle.
        handle: String,
    },
}

impl Error {
    /// A task that was to find out about `what` ended early.
    pub(super) fn lost(what: &impl std::fmt::Display) -> Error {
        Error::Lost {
            handle: what.to_string(),
        }
    }

    /// What the cache said of the model `handle`.
    pub(super) fn of_store(handle: &str, cause: cache::Error) -> Error {
        let cause = match cause {
            // Readers have been told already; this is what they were told.
            cache::Error::Failed(why) => return Error::of_failure(&why, handle),
            other => Arc::new(other),
        };
        Error::Store {
            handle: handle.to_owned(),
            cause,
        }
    }

    /// Whether bytes of a filling are missing, perhaps again.
    pub(super) fn is_incomplete(&self) -> bool {
        let Error::Store { cause, .. } = self else {
            return false;
        };
        matches!(cause.downcast_ref(), Some(cache::Error::TooShort { .. }))
    }

    /// Whether bytes are not the announced ones.
    pub(super) fn is_mismatch(&self) -> bool {
        let Error::Store { cause, .. } = self else {
            return false;
        };
        matches!(cause.downcast_ref(), Some(cache::Error::Mismatch { .. }))
    }

    /// Whether it concerns everybody who reads the model, and not only who waits for these bytes.
    pub(super) fn is_everybodys(&self) -> bool {
        match self {
            Error::Source(error) => error.is_changed(),
            _ => true,
        }
    }

    /// The error that a filling was failed with: one of ours, or the store's own.
    pub fn of_failure(why: &cache::Failure, handle: &str) -> Error {
        match why.downcast_ref::<Error>() {
            Some(error) => error.clone(),
            None => Error::Store {
                handle: handle.to_owned(),
                cause: why.clone(),
            },
        }
    }

    /// Whether the disk is full.
    pub fn is_no_space(&self) -> bool {
        let Error::Store { cause, .. } = self else {
            return false;
        };
        matches!(
            cause.downcast_ref(),
            Some(
                cache::Error::NoSpace { .. }
                    | cache::Error::Full { .. }
                    | cache::Error::TooSmall(_)
            )
        )
    }

    /// Whether the origin said that there is no such model.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Error::Source(e) if e.is_not_found())
    }

    /// Whether the origin refuses.
    pub fn is_denied(&self) -> bool {
        matches!(self, Error::Source(e) if e.is_denied())
    }

    /// Whether the content is not any more what it was.
    pub fn is_changed(&self) -> bool {
        matches!(self, Error::Source(e) if e.is_changed())
    }

    /// Whether the answer is a verdict worth remembering for a short time, and not a passing fault.
    pub fn is_verdict(&self) -> bool {
        matches!(self, Error::Source(e) if e.is_not_found() || e.is_denied())
    }
}

/// A span as people say it.
fn human(span: &Duration) -> String {
    format!("{:.0} s", span.as_secs_f64())
}
