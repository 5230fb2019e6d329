//! A whole body as a stream of verified chunks that survives broken connections and expired signatures.
//!
//! The first question is a plain GET of the final URL. After a break, if the origin has told a validator, the rest
//! is asked for with `Range` and `If-Range`; an origin that answers with the whole, or that has no validator, is
//! read from the start again, and what was delivered before is compared by its CRC and not delivered twice.

use std::time::SystemTime;

use bytes::Bytes;
use reqwest::Response;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, HeaderValue, IF_RANGE, RANGE};

use super::client::Client;
use super::error::Error;
use super::headers::{ContentRange, number, text};
use super::probe::{EXPIRY_MARGIN, Resource, is_redirect};
use super::retry::RetryState;
use super::transfer::{Opened, Origin, Span, Transfer};
use crate::checksum::Verifier;

/// A running download.
pub struct Download(Transfer<WholeBody>);

impl Client {
    /// Prepares the download of what a probe found. Nothing is sent before the first [`Download::chunk`].
    pub fn download(&self, resource: Resource) -> Download {
        let origin = WholeBody {
            client: self.clone(),
            resource,
            renewed: false,
        };
        let span = Span { at: 0, end: None };
        Download(Transfer::new(origin, span, self.retry_state()))
    }
}

impl Download {
    /// The next bytes, in order. `None` only after the length and the announced checksum were found right. An error
    /// ends the download for good. Waiting for the network is bounded by the timeout; time between calls does not
    /// count. May be dropped while waiting and called again.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        self.0.chunk().await
    }
}

struct WholeBody {
    client: Client,
    resource: Resource,
    /// The redirects were followed anew since the last progress: a second refusal is final.
    renewed: bool,
}

impl Origin for WholeBody {
    type Error = Error;

    async fn open(&mut self, span: Span, retry: &mut RetryState) -> Result<Opened, Error> {
        let soon = SystemTime::now() + EXPIRY_MARGIN;
        let redirected = !self.resource.hops.is_empty();
        if redirected && !self.renewed && self.resource.expires.is_some_and(|at| at < soon) {
            self.renew(span.at, retry).await?;
        }
        loop {
            let headers = self.question(span.at);
            let address = self.resource.address.clone();
            let body = self.client.ask(&address, &headers, retry).await?;
            let (begin, check) = match body.status().as_u16() {
                200 => (0, self.accept_whole(span.at, &body)?),
                206 if headers.contains_key(RANGE) => {
                    self.accept_rest(span.at, &body)?;
                    (span.at, None)
                }
                412 | 416 if span.at > 0 => {
                    return Err(self.changed(String::from("the rest is no longer there")));
                }
                status
                    if !self.renewed && (is_redirect(status) || self.may_have_expired(status)) =>
                {
                    self.renew(span.at, retry).await?;
                    continue;
                }
                _ => return Err(Client::refused(&address, retry, body).await),
            };
            return Ok(Opened {
                body,
                address,
                begin,
                check,
            });
        }
    }

    fn size(&self) -> Option<u64> {
        self.resource.size
    }

    fn record_progress(&mut self) {
        self.renewed = false;
    }

    fn url(&self) -> String {
        self.resource.shown()
    }

    fn failed(&self, cause: Error) -> Error {
        cause
    }
}

impl WholeBody {
    fn question(&self, at: u64) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let validator = self
            .resource
            .validator()
            .and_then(|text| HeaderValue::from_str(text).ok());
        let range = HeaderValue::from_str(&format!("bytes={at}-"));
        if let (Some(validator), Ok(range), 1..) = (validator, range, at) {
            headers.insert(RANGE, range);
            headers.insert(IF_RANGE, validator);
        }
        headers
    }

    /// A 200: the whole body, from its first byte.
    fn accept_whole(&mut self, at: u64, answer: &Response) -> Result<Option<Verifier>, Error> {
        let mut now = self.resource.clone();
        now.read_headers(answer.headers(), number(answer.headers(), CONTENT_LENGTH));
        if at == 0 {
            // Nothing was promised to anyone yet: what comes is described by what it came with.
            if self.resource.differs(&now).is_none() {
                now.size = now.size.or(self.resource.size);
                if now.hashes.is_empty() {
                    now.hashes = self.resource.hashes;
                }
            }
            self.resource = now;
            return Ok(Some(Verifier::new(self.resource.hashes)));
        }
        match self.resource.differs(&now) {
            Some(why) => Err(self.changed(why)),
            None => Ok(None),
        }
    }

    /// A 206: the rest of the body.
    fn accept_rest(&mut self, at: u64, answer: &Response) -> Result<(), Error> {
        let range = text(answer.headers(), CONTENT_RANGE);
        let parsed = range.as_deref().and_then(ContentRange::parse);
        let Some(ContentRange {
            span: Some((first, _)),
            total,
        }) = parsed
        else {
            return Err(self.changed(format!("the rest came as {range:?}")));
        };
        if first != at {
            return Err(self.changed(format!("byte {first} came instead of {at}")));
        }
        let mut now = self.resource.clone();
        now.read_headers(answer.headers(), total.or(self.resource.size));
        match self.resource.differs(&now) {
            Some(why) => Err(self.changed(why)),
            None => {
                self.resource.size = now.size;
                Ok(())
            }
        }
    }

    fn may_have_expired(&self, status: u16) -> bool {
        matches!(status, 400 | 401 | 403) && !self.resource.hops.is_empty()
    }

    /// Follows the redirects from the start once more, for a fresh signature.
    async fn renew(&mut self, at: u64, retry: &mut RetryState) -> Result<(), Error> {
        self.renewed = true;
        let now = self.client.follow(&self.resource.start, retry).await?;
        match at {
            0 => self.resource = now,
            _ => self.resource.renew(now)?,
        }
        Ok(())
    }

    fn changed(&self, why: String) -> Error {
        Error::Changed {
            url: self.resource.shown(),
            why,
        }
    }
}
