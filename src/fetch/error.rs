//! Errors of requests and transfers.
//!
//! URLs in messages are [redacted](super::redacted). The model's name and what to do about a refusal are added by
//! `source`, which knows them.

use std::fmt;
use std::time::Duration;

use super::refusal::Refusal;

/// A request or transfer that failed, after all retries.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The origin answered with a status that gives no body.
    #[error("{url} answered {status}{refusal}{tries}")]
    Status {
        /// What was asked, redacted.
        url: String,
        /// HTTP status code.
        status: u16,
        /// What the body said about it.
        refusal: Refusal,
        /// Attempts made and time they took.
        tries: Tries,
    },
    /// No byte came for the whole timeout.
    #[error("{url} has sent nothing for {} s{tries}; a slower origin needs a longer --timeout", .waited.as_secs_f32().round())]
    Stalled {
        /// What was asked, redacted.
        url: String,
        /// How long nothing came.
        waited: Duration,
        /// Attempts made and time they took.
        tries: Tries,
    },
    /// The origin asks to retry later than `--timeout` allows.
    #[error("{url} answered {status} and asks to come back in {} s, which is beyond --timeout{tries}", .after.as_secs())]
    RetryAfter {
        /// What was asked, redacted.
        url: String,
        /// HTTP status code, 429 or 5xx.
        status: u16,
        /// What `Retry-After` said.
        after: Duration,
        /// Attempts made and time they took.
        tries: Tries,
    },
    /// No connection, a reset, a broken stream, a TLS failure.
    #[error("{url} cannot be read: {why}{tries}")]
    Transport {
        /// What was asked, redacted.
        url: String,
        /// The chain of causes.
        why: String,
        /// Attempts made and time they took.
        tries: Tries,
    },
    /// More redirects than [`MAX_HOPS`](super::MAX_HOPS).
    #[error(
        "{url} leads to more than {} redirects, the last to {last}",
        super::MAX_HOPS
    )]
    TooManyRedirects {
        /// Where it began, redacted.
        url: String,
        /// Where it stopped, redacted.
        last: String,
    },
    /// A redirect to a URL already asked on the way.
    #[error("{url} leads in a circle: {again} redirects to itself, directly or through others")]
    Loop {
        /// Where it began, redacted.
        url: String,
        /// The URL that came up twice, redacted.
        again: String,
    },
    /// A redirect from an encrypted connection to a plain one.
    #[error("refusing the redirect of {from} from HTTPS to plain HTTP ({to})")]
    Downgrade {
        /// Who sent us, redacted.
        from: String,
        /// Where to, redacted.
        to: String,
    },
    /// Plain HTTP to a host that is not allowed.
    #[error(
        "refusing plain HTTP to {host} ({url}): anyone on the way can change a model; use https:// or pass --allow-http {host}"
    )]
    PlainHttp {
        /// What was to be asked, redacted.
        url: String,
        /// The host that would have to be allowed.
        host: String,
    },
    /// The network may not be used.
    #[error("{url} was not requested: --offline is set")]
    Offline {
        /// What was to be asked, redacted.
        url: String,
    },
    /// A redirect without a usable target.
    #[error("{from} redirects to {location:?}, which cannot be followed: it {why}")]
    BadLocation {
        /// Who sent us, redacted.
        from: String,
        /// The header, redacted; empty if it was missing.
        location: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The URL to begin with is not valid.
    #[error("{url} cannot be requested: it {why}")]
    BadUrl {
        /// The text, redacted.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The object was replaced while it was being read.
    #[error("{url} changed while it was being read ({why}); the next open reads the new one")]
    Changed {
        /// What was read, redacted.
        url: String,
        /// What differs.
        why: String,
    },
    /// The answer is not the range that was requested.
    #[error("{url} cannot be read in parts: {why}")]
    WrongPart {
        /// What was read, redacted.
        url: String,
        /// What came instead.
        why: String,
    },
    /// An answer that should be small is too long.
    #[error("the answer of {url} is longer than {max} bytes")]
    TooLong {
        /// What was asked, redacted.
        url: String,
        /// The most that is read, in bytes.
        max: usize,
    },
    /// The bytes are not the ones the origin announced.
    #[error("{url} is damaged: its {what} is {found}, but {announced} was announced")]
    Integrity {
        /// What was read, redacted.
        url: String,
        /// `length`, `CRC-32C` or `MD5`.
        what: &'static str,
        /// What the origin said.
        announced: String,
        /// What came.
        found: String,
    },
    /// HTTPS was requested, but no CA certificates were found.
    #[error(
        "{url} needs HTTPS, but no CA certificates were found ({why}); install ca-certificates or set SSL_CERT_FILE"
    )]
    NoCertificates {
        /// What was to be asked, redacted.
        url: String,
        /// Why there are none.
        why: String,
    },
    /// The HTTP client could not be set up.
    #[error(
        "the HTTP client cannot be set up: {why}; check the proxy variables in the environment and SSL_CERT_FILE"
    )]
    Setup {
        /// The chain of causes.
        why: String,
    },
}

impl Error {
    /// HTTP status the origin gave, if it came to that.
    pub fn status(&self) -> Option<u16> {
        match self {
            Error::Status { status, .. } | Error::RetryAfter { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// What was asked when it failed, redacted.
    pub fn url(&self) -> Option<&str> {
        match self {
            Error::Status { url, .. }
            | Error::Stalled { url, .. }
            | Error::RetryAfter { url, .. }
            | Error::Transport { url, .. }
            | Error::TooManyRedirects { last: url, .. }
            | Error::Loop { again: url, .. }
            | Error::Downgrade { from: url, .. }
            | Error::PlainHttp { url, .. }
            | Error::Offline { url }
            | Error::BadLocation { from: url, .. }
            | Error::BadUrl { url, .. }
            | Error::Changed { url, .. }
            | Error::WrongPart { url, .. }
            | Error::TooLong { url, .. }
            | Error::Integrity { url, .. }
            | Error::NoCertificates { url, .. } => Some(url),
            Error::Setup { .. } => None,
        }
    }

    /// There is no such thing: 404 or 410.
    pub fn is_not_found(&self) -> bool {
        matches!(
            self,
            Error::Status {
                status: 404 | 410,
                ..
            }
        )
    }

    /// The origin refuses: 401, 403 or 407.
    pub fn is_denied(&self) -> bool {
        matches!(
            self,
            Error::Status {
                status: 401 | 403 | 407,
                ..
            }
        )
    }

    /// The timeout has passed. Everything that is none of the three is an I/O error.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Error::Stalled { .. } | Error::RetryAfter { .. })
    }
}

/// How often something was tried, and for how long; shown only if it was more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tries {
    /// Requests made without progress.
    pub attempts: u32,
    /// From the last progress to giving up.
    pub elapsed: Duration,
}

impl fmt::Display for Tries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.attempts {
            0 | 1 => Ok(()),
            attempts => write!(
                f,
                " ({attempts} attempts in {:.1} s)",
                self.elapsed.as_secs_f32()
            ),
        }
    }
}

/// The chain of causes of a reqwest error, without the URL, whose secrets it would print.
pub(super) fn chain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(next) = cause {
        let words = next.to_string();
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        cause = next.source();
    }
    text
}
