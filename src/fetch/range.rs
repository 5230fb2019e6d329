//! Parts of a body, as it was when it was probed.
//!
//! Every answer must be exactly what was asked for: 206, this range, of a whole of this length, with the same validators. An
//! origin that says anything else is refused at once.

use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use parking_lot::Mutex;
use reqwest::header::HeaderMap;

use super::client::Client;
use super::error::Error;
use super::probe::{EXPIRY_MARGIN, Resource, is_redirect};
use super::retry::RetryState;
use super::transfer::{Opened, Origin, Span, Transfer};

/// What a probe found, shared by everyone who reads parts of it: a signature is renewed once for all.
#[derive(Debug)]
pub struct SharedResource {
    now: Mutex<Resource>,
    renewing: tokio::sync::Mutex<()>,
}

impl SharedResource {
    /// To be shared.
    pub fn new(resource: Resource) -> Arc<SharedResource> {
        Arc::new(SharedResource {
            now: Mutex::new(resource),
            renewing: tokio::sync::Mutex::new(()),
        })
    }

    /// As it is known now.
    pub fn now(&self) -> Resource {
        self.now.lock().clone()
    }

    /// Follows the redirects from the start once more, unless another reader has done so since `old`.
    async fn renew(
        &self,
        client: &Client,
        old: &Resource,
        retry: &mut RetryState,
    ) -> Result<(), Error> {
        let _one = self.renewing.lock().await;
        if self.now.lock().address != old.address {
            return Ok(());
        }
        let now = client.follow(&old.start, retry).await?;
        self.now.lock().renew(now)
    }
}

/// A running transfer of one range.
pub struct RangeDownload(Transfer<SharedPart>);

impl RangeDownload {
    /// The next bytes, in order; `None` only after the whole range. An error is final. Waiting for the network is bounded by
    /// the timeout; time between calls does not count.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        self.0.chunk().await
    }
}

impl Client {
    /// Prepares a transfer of the bytes in `range`. Nothing is sent before the first [`RangeDownload::chunk`].
    pub fn range(&self, shared: Arc<SharedResource>, range: Range<u64>) -> RangeDownload {
        let origin = SharedPart {
            client: self.clone(),
            shared,
            renewed: false,
        };
        let span = Span {
            at: range.start,
            end: Some(range.end),
        };
        RangeDownload(Transfer::new(origin, span, self.retry_state()))
    }
}

struct SharedPart {
    client: Client,
    shared: Arc<SharedResource>,
    /// The redirects were followed anew since the last progress: a second refusal is final.
    renewed: bool,
}

impl SharedPart {
    async fn renew(&mut self, old: &Resource, retry: &mut RetryState) -> Result<(), Error> {
        self.renewed = true;
        self.shared.renew(&self.client, old, retry).await
    }
}

impl Origin for SharedPart {
    type Error = Error;

    async fn open(&mut self, span: Span, retry: &mut RetryState) -> Result<Opened, Error> {
        loop {
            let resource = self.shared.now();
            let soon = SystemTime::now() + EXPIRY_MARGIN;
            let renewable = !resource.hops.is_empty() && !self.renewed;
            if renewable && resource.expires.is_some_and(|at| at < soon) {
                self.renew(&resource, retry).await?;
                continue;
            }
            let range = span.at..span.end.unwrap_or(u64::MAX);
            let part = self
                .client
                .part(&resource.address, HeaderMap::new(), range, retry);
            match part.await {
                Ok(part) => {
                    let mut now = resource.clone();
                    now.read_headers(part.headers(), part.total.or(resource.size));
                    return match resource.differs(&now) {
                        Some(why) => Err(Error::Changed {
                            url: resource.shown(),
                            why,
                        }),
                        None => Ok(part.opened()),
                    };
                }
                Err(error)
                    if renewable
                        && error.status().is_some_and(|status| {
                            is_redirect(status) || matches!(status, 400 | 401 | 403)
                        }) =>
                {
                    self.renew(&resource, retry).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn size(&self) -> Option<u64> {
        None
    }

    fn record_progress(&mut self) {
        self.renewed = false;
    }

    fn url(&self) -> String {
        self.shared.now.lock().shown()
    }

    fn failed(&self, cause: Error) -> Error {
        cause
    }
}
