//! What can go wrong with a bucket. A message names the object or folder, the reason, and what to do.

use crate::fetch;

/// A bucket or an object that cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{object}: {why}; {advice}")]
pub struct Error {
    /// What is wrong.
    pub kind: ErrorKind,
    /// URL of the object or folder.
    pub object: String,
    /// The answer, or what came of the request.
    pub why: String,
    /// What to do.
    pub advice: String,
}

/// The cases that make a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// There is no such bucket, folder or object.
    NotFound,
    /// The bucket refuses, or there are no credentials that can be used.
    Denied,
    /// The bucket has not answered in time.
    Timeout,
    /// Nothing may be asked.
    Offline,
    /// The object is not the one that was listed.
    Changed,
    /// Everything else: a broken connection, an answer that cannot be read, a listing without end.
    Failed,
}

impl Error {
    pub(super) fn new(
        kind: ErrorKind,
        object: &str,
        why: impl Into<String>,
        advice: &str,
    ) -> Error {
        Error {
            kind,
            object: object.to_owned(),
            why: why.into(),
            advice: advice.to_owned(),
        }
    }

    /// A request that failed.
    pub(super) fn of_request(object: &str, cause: &fetch::Error, advice: &str) -> Error {
        let kind = match cause {
            fetch::Error::Offline { .. } => ErrorKind::Offline,
            fetch::Error::Changed { .. } => ErrorKind::Changed,
            _ if cause.is_not_found() => ErrorKind::NotFound,
            _ if cause.is_denied() => ErrorKind::Denied,
            _ if cause.is_timeout() => ErrorKind::Timeout,
            _ => ErrorKind::Failed,
        };
        Error::new(kind, object, cause.to_string(), advice)
    }

    /// An object that is not the one that was listed.
    pub(super) fn changed(object: &str, why: impl Into<String>) -> Error {
        Error::new(ErrorKind::Changed, object, why, "read it again")
    }

    /// An answer that makes no sense. `why` may quote what was sent, so it is cut and escaped.
    pub(super) fn unreadable(object: &str, why: &str) -> Error {
        let why: String = why.chars().take(200).flat_map(char::escape_debug).collect();
        let why = format!("the bucket's answer cannot be read: {why}");
        let advice = "the fault is on the bucket's side";
        Error::new(ErrorKind::Failed, object, why, advice)
    }

    /// There is no such bucket, folder or object.
    pub fn is_not_found(&self) -> bool {
        self.kind == ErrorKind::NotFound
    }

    /// The bucket refuses.
    pub fn is_denied(&self) -> bool {
        self.kind == ErrorKind::Denied
    }

    /// The bucket has not answered in time.
    pub fn is_timeout(&self) -> bool {
        self.kind == ErrorKind::Timeout
    }
}
