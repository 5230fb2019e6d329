//! Parts of a body, as it was when it was probed.
//!
//! Every answer must be exactly what was asked for: 206, this range, of a whole of this length, with the same validators. An
//! origin that says anything else is refused at once, because asking again would not make it honest. A connection that
//! breaks is another matter: the rest is asked for again.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use parking_lot::Mutex;
use reqwest::Response;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, HeaderValue, RANGE};
use tokio::time::timeout_at;

use super::client::{Client, broken};
use super::error::Error;
use super::headers::{ContentRange, number, text};
use super::probe::{Resource, is_redirect};
use super::retry::{Failure, Patience};

/// A signature about to expire is renewed before it is used, not after it was refused.
const EXPIRY_MARGIN: Duration = Duration::from_secs(10);

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

    /// Follows the redirects from the start once more, unless somebody has done so since `old`.
    async fn renew(
        &self,
        client: &Client,
        old: &Resource,
        patience: &mut Patience,
    ) -> Result<(), Error> {
        let _one = self.renewing.lock().await;
        if self.now.lock().address != old.address {
            return Ok(());
        }
        let now = client.follow(&old.start, patience).await?;
        if let Some(why) = old.differs(&now) {
            return Err(Error::Changed {
                url: old.shown(),
                why,
            });
        }
        let mut present = self.now.lock();
        present.address = now.address;
        present.hops = now.hops;
        present.expires = now.expires;
        Ok(())
    }
}

/// A running transfer of one range; see [`RangeDownload::chunk`].
pub struct RangeDownload {
    client: Client,
    shared: Arc<SharedResource>,
    left: Range<u64>,
    patience: Patience,
    body: Option<Response>,
    /// Renewed since the last progress: a second refusal is final.
    renewed: bool,
    failed: bool,
}

impl Client {
    /// Prepares a transfer of the bytes in `range`. Nothing is sent before the first [`RangeDownload::chunk`].
    pub fn range(&self, shared: Arc<SharedResource>, range: Range<u64>) -> RangeDownload {
        RangeDownload {
            patience: Patience::new(self.options().timeout),
            client: self.clone(),
            shared,
            left: range,
            body: None,
            renewed: false,
            failed: false,
        }
    }
}

impl RangeDownload {
    /// The next bytes, in order; None only after the whole range. An error is final. Waiting for the network is bounded by
    /// the timeout; time between calls does not count.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        if self.failed {
            let why = String::from("this transfer has failed before");
            let address = self.shared.now().address;
            let failure = Failure::Broken { why, lasting: true };
            return Err(self.patience.spent(&address, failure));
        }
        self.patience.progress();
        let result = self.next().await;
        if result.is_err() {
            // What is left of the body would be taken for what follows.
            (self.failed, self.body) = (true, None);
        }
        result
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        while !self.left.is_empty() {
            let Some(body) = &mut self.body else {
                self.body = Some(self.open().await?);
                continue;
            };
            let failure = match timeout_at(self.patience.deadline(), body.chunk()).await {
                Ok(Ok(Some(bytes))) if bytes.is_empty() => continue,
                Ok(Ok(Some(bytes))) => return self.taken(bytes).map(Some),
                Ok(Ok(None)) => Failure::Broken {
                    why: format!("it ended {} bytes early", self.left.end - self.left.start),
                    lasting: false,
                },
                Ok(Err(error)) => broken(error),
                Err(_) => Failure::Silent,
            };
            self.body = None;
            let address = self.shared.now().address;
            self.patience.again(&address, failure).await?;
        }
        Ok(None)
    }

    fn taken(&mut self, bytes: Bytes) -> Result<Bytes, Error> {
        let end = self.left.start + bytes.len() as u64;
        if end > self.left.end {
            return Err(self.lied("it sends more bytes than were asked for".to_owned()));
        }
        self.left.start = end;
        self.renewed = false;
        Ok(bytes)
    }

    /// An answer whose body is what is left.
    async fn open(&mut self) -> Result<Response, Error> {
        loop {
            let resource = self.shared.now();
            let soon = SystemTime::now() + EXPIRY_MARGIN;
            let redirected = !resource.hops.is_empty();
            if redirected && !self.renewed && resource.expires.is_some_and(|at| at < soon) {
                self.renew(&resource).await?;
                continue;
            }
            let headers = HeaderMap::from_iter([(RANGE, asked(&self.left))]);
            let address = &resource.address;
            let answer = self
                .client
                .ask(address, &headers, &mut self.patience)
                .await?;
            match answer.status().as_u16() {
                206 => self.is_asked_part(&resource, &answer)?,
                200 => self.is_whole(&resource, &answer)?,
                404 | 410 | 412 | 416 => {
                    let why = format!("it answers {} now", answer.status().as_u16());
                    return Err(self.changed(why));
                }
                status
                    if redirected
                        && !self.renewed
                        && (is_redirect(status) || matches!(status, 400 | 401 | 403)) =>
                {
                    self.renew(&resource).await?;
                    continue;
                }
                _ => return Err(Client::refused(address, &self.patience, answer).await),
            }
            return Ok(answer);
        }
    }

    async fn renew(&mut self, old: &Resource) -> Result<(), Error> {
        self.renewed = true;
        self.shared
            .renew(&self.client, old, &mut self.patience)
            .await
    }

    fn is_asked_part(&self, resource: &Resource, answer: &Response) -> Result<(), Error> {
        let said = text(answer.headers(), CONTENT_RANGE);
        let range = said.as_deref().and_then(ContentRange::parse);
        let span = Some((self.left.start, self.left.end - 1));
        let Some(range) = range.filter(|range| range.span == span) else {
            let said = said.unwrap_or_default();
            let (first, last) = (self.left.start, self.left.end - 1);
            return Err(self.lied(format!("it sends {said:?} for bytes {first}-{last}")));
        };
        self.is_same(resource, answer, range.total)
    }

    /// Good only if the whole was asked for.
    fn is_whole(&self, resource: &Resource, answer: &Response) -> Result<(), Error> {
        let size = number(answer.headers(), CONTENT_LENGTH);
        if self.left.start > 0 || size != Some(self.left.end) {
            return Err(self.lied("it sends the whole for a part".to_owned()));
        }
        self.is_same(resource, answer, size)
    }

    fn is_same(
        &self,
        resource: &Resource,
        answer: &Response,
        size: Option<u64>,
    ) -> Result<(), Error> {
        let mut now = resource.clone();
        now.told(answer.headers(), size.or(resource.size));
        match resource.differs(&now) {
            Some(why) => Err(self.changed(why)),
            None => Ok(()),
        }
    }

    fn changed(&self, why: String) -> Error {
        let url = self.shared.now().shown();
        Error::Changed { url, why }
    }

    fn lied(&self, why: String) -> Error {
        let url = self.shared.now().shown();
        Error::WrongPart { url, why }
    }
}

fn asked(range: &Range<u64>) -> HeaderValue {
    let text = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
    // Digits and a dash are always a header's value.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("bytes=0-0"))
}
