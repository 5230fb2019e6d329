//! Why a model cannot be had, for the person who wants it: the model, what was asked, what was answered, what to do.

use crate::fetch;
use crate::handle::{Handle, Kind};

/// Where Kaggle's pages about models are.
pub(super) const KAGGLE: &str = "https://www.kaggle.com/models/";

/// A model that cannot be had. The four cases are what a reader can be told (ENOENT, EACCES, ETIMEDOUT, EIO); the
/// message says the rest, on one line and without secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Its origin does not know it.
    #[error("{model} is unknown: {why}; {advice}")]
    Unknown {
        /// The handle.
        model: String,
        /// URL and answer.
        why: String,
        /// What to do.
        advice: String,
    },
    /// Its origin refuses it.
    #[error("{model} may not be read: {why}; {advice}")]
    Denied {
        /// The handle.
        model: String,
        /// URL and answer.
        why: String,
        /// What to do.
        advice: String,
    },
    /// Its origin takes longer than `--timeout`.
    #[error("{model} did not come in time: {why}; {advice}")]
    Late {
        /// The handle.
        model: String,
        /// URL and answer.
        why: String,
        /// What to do.
        advice: String,
    },
    /// Its origin, or the way there, is broken.
    #[error("{model} cannot be fetched: {why}; {advice}")]
    Failed {
        /// The handle.
        model: String,
        /// URL and answer.
        why: String,
        /// What to do.
        advice: String,
    },
    /// It is not any more what it was when it was listed. Asking anew gives what it is now.
    #[error(
        "{model} has changed while it was read: {why}; open it again to read what is there now"
    )]
    Changed {
        /// The handle.
        model: String,
        /// URL and what is different.
        why: String,
    },
}

impl Error {
    /// What a failed request or download of `handle` means.
    pub fn explain(handle: &Handle, why: &fetch::Error) -> Error {
        let advice = match why.is_not_found() {
            true => unknown_advice(handle, why.url().unwrap_or_default()),
            false => advice(why, || page_about(handle, why)),
        };
        Error::of_request(handle.url(), why, advice)
    }

    /// What a failed request about `model` means, which Kaggle has a page about.
    pub(super) fn of_kaggle(model: String, page: &str, why: &fetch::Error) -> Error {
        let advice = match why.is_not_found() {
            true => kaggle_advice(page),
            false => advice(why, || page.to_owned()),
        };
        Error::of_request(model, why, advice)
    }

    /// The case that `why` is.
    pub(super) fn of_request(model: String, why: &fetch::Error, advice: String) -> Error {
        let text = why.to_string();
        match why {
            fetch::Error::Offline { .. } => Error::offline(model),
            _ if why.is_not_found() => Error::Unknown {
                model,
                why: text,
                advice,
            },
            _ if why.is_denied() => Error::Denied {
                model,
                why: text,
                advice,
            },
            _ if why.is_timeout() => Error::Late {
                model,
                why: text,
                advice,
            },
            _ => Error::Failed {
                model,
                why: text,
                advice,
            },
        }
    }

    /// Nothing may be asked for a model that is not cached.
    pub(super) fn offline(model: String) -> Error {
        Error::Unknown {
            model,
            why: String::from("it is not in the cache, and --offline forbids to ask for it"),
            advice: String::from(
                "fetch it where there is a network (tfhub-fs prefetch), or bring it with tfhub-fs cache import",
            ),
        }
    }

    /// A page for people was given in place of an archive; `url` is redacted.
    pub(super) fn page(handle: &Handle, url: &str) -> Error {
        Error::Unknown {
            model: handle.url(),
            why: format!("{url} answered 200 with a web page, not with an archive"),
            advice: unknown_advice(handle, url),
        }
    }

    /// What is told of two failures, this one and then `other`: a refusal rather than absence, and either rather than trouble.
    pub(super) fn or(self, other: Error) -> Error {
        let verdict = self.is_denied() || self.is_not_found();
        if verdict && !other.is_denied() {
            self
        } else {
            other
        }
    }

    /// The origin says that there is no such model.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Error::Unknown { .. })
    }

    /// The origin refuses.
    pub fn is_denied(&self) -> bool {
        matches!(self, Error::Denied { .. })
    }

    /// The content is not what was listed.
    pub fn is_changed(&self) -> bool {
        matches!(self, Error::Changed { .. })
    }

    /// The timeout has passed.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Error::Late { .. })
    }
}

/// What helps against anything but an unknown model; `page` is about it.
fn advice(why: &fetch::Error, page: impl FnOnce() -> String) -> String {
    use fetch::Error as Why;
    let text = match why {
        Why::Status { status: 407, .. } => {
            "the proxy wants credentials, which belong into HTTPS_PROXY"
        }
        Why::Status {
            status: 401 | 403, ..
        } => return denied_advice(why, &page()),
        Why::Status { status: 429, .. } => {
            "the host limits how often it may be asked; try again later"
        }
        Why::RetryAfter { .. } => "try again later, or give it more time with --timeout",
        Why::Status { .. } => {
            "the fault is on its side; try again later, or name another place with --mirror"
        }
        Why::Stalled { .. } => "try again, or name another place with --mirror",
        Why::Transport { .. } => {
            "check the network and the proxy variables (HTTPS_PROXY, NO_PROXY)"
        }
        Why::TooManyRedirects { .. }
        | Why::Loop { .. }
        | Why::BadLocation { .. }
        | Why::Downgrade { .. } => {
            "the fault is on the host's side; name another place with --mirror"
        }
        Why::Changed { .. } | Why::Integrity { .. } => {
            "nothing of it was kept; try again, and if that does not help, tell the host's owner"
        }
        Why::WrongPart { .. } => "the archive may do: use --load-format compressed",
        Why::TooLong { .. } => "the fault is on the host's side; tell its owner",
        Why::PlainHttp { .. }
        | Why::Offline { .. }
        | Why::NoCertificates { .. }
        | Why::Setup { .. }
        | Why::BadUrl { .. } => "nothing was asked",
    };
    text.to_owned()
}

/// What helps against a refusal. Kaggle answers 403 for what does not exist, too.
fn denied_advice(why: &fetch::Error, page: &str) -> String {
    const GIVE: &str = "KAGGLE_API_TOKEN or ~/.kaggle/kaggle.json";
    let text = why.to_string();
    match why.status() {
        _ if !page.starts_with(KAGGLE) => format!(
            "it may need an account or consent to its terms, which tfhub-fs does not give: see {page}"
        ),
        _ if text.contains("consent") => format!(
            "accept its terms at {page}, with the account whose credentials tfhub-fs finds in {GIVE}"
        ),
        Some(401) => format!(
            "Kaggle wants credentials, or does not take those that tfhub-fs found: see {GIVE}, and {page}"
        ),
        _ => format!(
            "it may need an account ({GIVE}) or consent to its terms, or not exist: see {page}"
        ),
    }
}

fn page_about(handle: &Handle, why: &fetch::Error) -> String {
    let page = kaggle_page(handle, why.url().unwrap_or_default());
    page.unwrap_or_else(|| handle.url())
}

fn kaggle_advice(page: &str) -> String {
    format!("its variations and versions are listed at {page}")
}

/// What helps to find a model that its origin does not know; `url` is where it was not found.
fn unknown_advice(handle: &Handle, url: &str) -> String {
    match (handle.kind(), kaggle_page(handle, url)) {
        (Kind::Kaggle, Some(page)) => kaggle_advice(&page),
        (_, Some(page)) => {
            format!(
                "TensorFlow Hub is part of Kaggle now, and not every model went along: look at {page}"
            )
        }
        (Kind::TensorflowCn, None) => {
            format!("try it as https://tfhub.dev/{}", handle.path())
        }
        (Kind::Archive, None) => String::from("check the URL"),
        (_, None) => format!("check name and version at {}", handle.url()),
    }
}

/// The page at Kaggle about this model, or else about its publisher.
fn kaggle_page(handle: &Handle, url: &str) -> Option<String> {
    let landed = url.split('?').next().unwrap_or_default();
    if landed
        .strip_prefix(KAGGLE)
        .is_some_and(|rest| !rest.is_empty())
    {
        return Some(landed.to_owned());
    }
    let mut path = handle.path().split('/');
    match handle.kind() {
        // models/OWNER/MODEL
        Kind::Kaggle => {
            let model: Vec<_> = path.skip(1).take(2).collect();
            Some(format!("{KAGGLE}{}", model.join("/")))
        }
        Kind::Hosted if handle.authority() == "tfhub.dev" => {
            Some(format!("{KAGGLE}{}", path.next()?))
        }
        _ => None,
    }
}
