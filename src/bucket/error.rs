//! What can go wrong with a bucket. A message names the object or folder, the reason, and what to do.

use std::sync::Arc;

use crate::fetch;

/// A bucket or an object that cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A request failed.
    #[error("{object}: {cause}; {advice}")]
    Request {
        /// URL of the object or folder.
        object: String,
        /// What happened on the way.
        cause: Arc<fetch::Error>,
        /// What to do.
        advice: String,
    },
    /// There is no such bucket, or nothing below this name in it.
    #[error("{object} is not there: {why}; {advice}")]
    Absent {
        /// URL of the object or folder.
        object: String,
        /// What was not found.
        why: String,
        /// What to do.
        advice: String,
    },
    /// There are no credentials that can be used.
    #[error("{object} may not be used: {why}; {advice}")]
    Denied {
        /// URL of the object or folder.
        object: String,
        /// What is wrong with them, or what the bucket said.
        why: String,
        /// What to do.
        advice: String,
    },
    /// An answer that cannot be read, a listing without end, a part that is not the one asked for.
    #[error("{object} cannot be used: {why}; {advice}")]
    Failed {
        /// URL of the object or folder.
        object: String,
        /// What is wrong.
        why: String,
        /// What to do.
        advice: String,
    },
    /// An object is not the one that was listed.
    #[error("{object} has changed while it was read: {why}")]
    Changed {
        /// URL of the object.
        object: String,
        /// What is different.
        why: String,
    },
}

impl Error {
    /// An answer that makes no sense. `why` may quote what was sent, so it is cut and escaped.
    pub(super) fn unreadable(object: &str, why: &str) -> Error {
        let why: String = why.chars().take(200).flat_map(char::escape_debug).collect();
        Error::Failed {
            object: object.to_owned(),
            why: format!("the bucket's answer cannot be read: {why}"),
            advice: String::from("the fault is on the bucket's side"),
        }
    }

    /// A refusal, of somebody whose credentials cannot be used either.
    pub(super) fn with_useless_credentials(self, why_useless: &str) -> Error {
        let also = |advice| format!("the credentials cannot be used: {why_useless}; {advice}");
        match self {
            Error::Request {
                object,
                cause,
                advice,
            } => Error::Denied {
                object,
                why: cause.to_string(),
                advice: also(advice),
            },
            Error::Denied {
                object,
                why,
                advice,
            } => Error::Denied {
                object,
                why,
                advice: also(advice),
            },
            other => other,
        }
    }

    /// There is no such bucket, folder or object.
    pub fn is_not_found(&self) -> bool {
        match self {
            Error::Request { cause, .. } => cause.is_not_found(),
            Error::Absent { .. } => true,
            _ => false,
        }
    }

    /// The bucket refuses.
    pub fn is_denied(&self) -> bool {
        match self {
            Error::Request { cause, .. } => cause.is_denied(),
            Error::Denied { .. } => true,
            _ => false,
        }
    }

    /// The bucket has not answered in time.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Error::Request { cause, .. } if cause.is_timeout())
    }

    /// The object is not the one that was listed.
    pub fn is_changed(&self) -> bool {
        matches!(self, Error::Changed { .. })
    }
}
