//! What the rooms above need to be tried with models of their own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{Error, Models, Options};
use crate::archive::{Limits, Refusal};
use crate::bucket::{BucketOptions, Buckets};
use crate::cache::{self, Cache};
use crate::config::{LoadFormat, Prefetch};
use crate::fetch::Client;
use crate::fetch::tests::options;
use crate::source::{self, Source, SourceOptions};

pub(crate) use crate::fetch::tests::origin;

/// Models from anywhere into the cache directory `cache`.
pub(crate) fn models(cache: &Path, timeout: Duration) -> Models {
    let limits = Limits::default();
    let client = Client::new(options(timeout)).unwrap();
    Models::new(
        Cache::open(cache).unwrap(),
        source(client),
        Options {
            timeout,
            limits,
            // Whether an archive fits is up to the disk that the tests run on.
            may_stream: false,
            prefetch: Prefetch::File,
            shared_cache: None,
        },
        tokio::runtime::Handle::current(),
    )
}

/// Every place that models come from.
fn source(client: Client) -> Source {
    let buckets = Buckets::new(client.clone(), client.clone(), BucketOptions::default());
    let format = LoadFormat::Auto;
    Source::new(client, SourceOptions { format, buckets })
}

/// One error of each kind, by the errno that a reader is to see.
pub(crate) fn errors() -> Vec<(Error, i32)> {
    let (model, why, advice) = ("model".to_owned(), "why".to_owned(), "do".to_owned());
    let (handle, after) = (model.clone(), Duration::from_secs(60));
    let told = [
        (
            source::Error::Unknown {
                model: model.clone(),
                why: why.clone(),
                advice: advice.clone(),
            },
            libc::ENOENT,
        ),
        (
            source::Error::Denied {
                model: model.clone(),
                why: why.clone(),
                advice: advice.clone(),
            },
            libc::EACCES,
        ),
        (
            source::Error::Late {
                model: model.clone(),
                why: why.clone(),
                advice: advice.clone(),
            },
            libc::ETIMEDOUT,
        ),
        (
            source::Error::Changed {
                model: model.clone(),
                why: why.clone(),
            },
            libc::EIO,
        ),
        (source::Error::Failed { model, why, advice }, libc::EIO),
    ];
    let full = cache::Error::NoSpace {
        what: "write",
        path: "/cache/x".into(),
        source: std::io::Error::from_raw_os_error(libc::ENOSPC),
    };
    let stored = |cause| Error::Store {
        handle: handle.clone(),
        cause: Arc::new(cause),
    };
    let refused = Error::Archive {
        handle: handle.clone(),
        cause: Arc::new(Refusal::Empty),
    };
    let held = Error::Held {
        handle: handle.clone(),
        who: "host.1.uid".to_owned(),
        after,
    };
    let told = told.map(|(error, errno)| (Error::Source(error), errno));
    let mut all = Vec::from(told);
    all.extend([
        (refused, libc::EIO),
        (stored(full), libc::ENOSPC),
        (stored(cache::Error::Abandoned), libc::EIO),
        (held, libc::ETIMEDOUT),
    ]);
    let stalled = Error::Stalled {
        handle: handle.clone(),
        after,
    };
    all.extend([
        (stalled, libc::ETIMEDOUT),
        (
            Error::Hung {
                handle: handle.clone(),
                after,
            },
            libc::ETIMEDOUT,
        ),
        (
            Error::Unsealed {
                handle: handle.clone(),
            },
            libc::EIO,
        ),
        (Error::Lost { handle }, libc::EIO),
    ]);
    all
}
