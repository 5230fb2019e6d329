//! A body as a stream of verified chunks that survives broken connections and expired signatures.
//!
//! The first question is a plain GET of the final URL. After a break, if the origin has told a validator, the rest
//! is asked for with `Range` and `If-Range`; an origin that answers with the whole, or that has no validator, is
//! read from the start again, and what was delivered before is compared by its CRC and not delivered twice.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::Response;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, HeaderValue, IF_RANGE, RANGE};
use tokio::time::timeout_at;

use super::client::{Client, broken};
use super::error::Error;
use super::headers::{ContentRange, number, text};
use super::probe::{Resource, is_redirect};
use super::retry::{Failure, Patience};
use crate::checksum::{Crc32c, Verifier};

/// A signature about to expire is renewed before it is used, not after it was refused.
const EXPIRY_MARGIN: Duration = Duration::from_secs(10);

/// A running download; see [`Download::chunk`].
pub struct Download {
    client: Client,
    resource: Resource,
    patience: Patience,
    state: State,
    body: Option<Response>,
    /// Bytes delivered.
    received: u64,
    check: Verifier,
    /// Bytes of a body read from the start again, up to those delivered before.
    repeat: Option<Repeat>,
    /// The redirects were followed anew since the last progress: a second refusal is final.
    renewed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Complete,
    Failed,
}

struct Repeat {
    left: u64,
    crc32c: Crc32c,
}

impl Client {
    /// Prepares the download of what a probe found. Nothing is sent before the first [`Download::chunk`].
    pub fn download(&self, resource: Resource) -> Download {
        Download {
            patience: Patience::new(self.options().timeout),
            client: self.clone(),
            check: Verifier::new(resource.hashes),
            resource,
            state: State::Running,
            body: None,
            received: 0,
            repeat: None,
            renewed: false,
        }
    }
}

impl Download {
    /// The next bytes, in order. None only after the length and the announced checksum were found right. An error
    /// ends the download for good. Waiting for the network is bounded by the timeout; time between calls does not
    /// count. May be dropped while waiting and called again.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        match self.state {
            State::Complete => return Ok(None),
            State::Failed => {
                let why = String::from("this download has failed before");
                return Err(self.spent(Failure::Broken { why, lasting: true }));
            }
            State::Running => self.patience.progress(),
        }
        let result = self.next().await;
        match &result {
            Ok(Some(_)) => {}
            Ok(None) => self.state = State::Complete,
            Err(_) => self.state = State::Failed,
        }
        if self.state != State::Running {
            self.body = None;
        }
        result
    }

    /// What is being downloaded. Size, validators and checksums are those of the answer whose body is read.
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// Bytes delivered so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let Some(body) = &mut self.body else {
                self.body = Some(self.open().await?);
                continue;
            };
            let failure = match timeout_at(self.patience.deadline(), body.chunk()).await {
                Ok(Ok(Some(bytes))) => match self.taken(bytes)? {
                    Some(bytes) => return Ok(Some(bytes)),
                    None => continue,
                },
                Ok(Ok(None)) if self.is_whole() => return self.verified(),
                Ok(Ok(None)) => self.cut(),
                Ok(Err(error)) => broken(error),
                Err(_) => Failure::Silent,
            };
            self.body = None;
            self.repeat = None;
            self.patience.again(&self.resource.address, failure).await?;
        }
    }

    /// An answer whose body continues where the last one broke off.
    async fn open(&mut self) -> Result<Response, Error> {
        self.renew_if_expired().await?;
        loop {
            let headers = self.question();
            let address = &self.resource.address;
            let answer = self
                .client
                .ask(address, &headers, &mut self.patience)
                .await?;
            match answer.status().as_u16() {
                200 => self.whole(&answer)?,
                206 if headers.contains_key(RANGE) => self.part(&answer)?,
                412 | 416 if self.received > 0 => {
                    return Err(self.changed(String::from("the rest is no longer there")));
                }
                status
                    if !self.renewed && (is_redirect(status) || self.may_have_expired(status)) =>
                {
                    self.renew().await?;
                    continue;
                }
                _ => return Err(Client::refused(address, &self.patience, answer).await),
            }
            return Ok(answer);
        }
    }

    fn question(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let validator = self
            .resource
            .validator()
            .and_then(|text| HeaderValue::from_str(text).ok());
        let range = HeaderValue::from_str(&format!("bytes={}-", self.received));
        if let (Some(validator), Ok(range), 1..) = (validator, range, self.received) {
            headers.insert(RANGE, range);
            headers.insert(IF_RANGE, validator);
        }
        headers
    }

    /// A 200: the whole body, from its first byte.
    fn whole(&mut self, answer: &Response) -> Result<(), Error> {
        let mut now = self.resource.clone();
        now.told(answer.headers(), number(answer.headers(), CONTENT_LENGTH));
        if self.received == 0 {
            // Nothing was promised to anyone yet: what comes is described by what it came with.
            if self.resource.differs(&now).is_none() {
                now.size = now.size.or(self.resource.size);
                if now.hashes.is_empty() {
                    now.hashes = self.resource.hashes;
                }
            }
            self.check = Verifier::new(now.hashes);
            self.resource = now;
            return Ok(());
        }
        if let Some(why) = self.resource.differs(&now) {
            return Err(self.changed(why));
        }
        self.repeat = Some(Repeat {
            left: self.received,
            crc32c: Crc32c::default(),
        });
        Ok(())
    }

    /// A 206: the rest of the body.
    fn part(&mut self, answer: &Response) -> Result<(), Error> {
        let range = text(answer.headers(), CONTENT_RANGE);
        let parsed = range.as_deref().and_then(ContentRange::parse);
        let Some(ContentRange {
            span: Some((first, _)),
            total,
        }) = parsed
        else {
            return Err(self.changed(format!("the rest came as {range:?}")));
        };
        if first != self.received {
            return Err(self.changed(format!("byte {first} came instead of {}", self.received)));
        }
        let mut now = self.resource.clone();
        now.told(answer.headers(), total.or(self.resource.size));
        match self.resource.differs(&now) {
            Some(why) => Err(self.changed(why)),
            None => {
                self.resource.size = now.size;
                Ok(())
            }
        }
    }

    /// Accounts for bytes that came; gives those not delivered before.
    fn taken(&mut self, mut bytes: Bytes) -> Result<Option<Bytes>, Error> {
        self.patience.sign_of_life();
        self.renewed = false;
        if let Some(repeat) = &mut self.repeat {
            let old = bytes.split_to(
                usize::try_from(repeat.left).map_or(bytes.len(), |left| left.min(bytes.len())),
            );
            repeat.crc32c.update(&old);
            repeat.left -= old.len() as u64;
            if repeat.left > 0 {
                return Ok(None);
            }
            if repeat.crc32c.value() != self.check.crc32c() {
                let why = format!("its first {} bytes are others now", self.received);
                return Err(self.changed(why));
            }
            self.repeat = None;
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        let received = self.received + bytes.len() as u64;
        if let Some(size) = self.resource.size.filter(|size| received > *size) {
            let found = format!("at least {received} bytes");
            return Err(self.damaged("length", format!("{size} bytes"), found));
        }
        self.patience.progress();
        self.received = received;
        self.check.update(&bytes);
        Ok(Some(bytes))
    }

    fn is_whole(&self) -> bool {
        self.repeat.is_none() && self.resource.size.is_none_or(|size| self.received == size)
    }

    fn verified(&mut self) -> Result<Option<Bytes>, Error> {
        match self.check.finish() {
            Ok(()) => Ok(None),
            Err(wrong) => Err(self.damaged(wrong.what, wrong.announced, wrong.found)),
        }
    }

    fn cut(&self) -> Failure {
        let size = self
            .resource
            .size
            .map_or(String::from("more"), |size| size.to_string());
        Failure::Broken {
            why: format!("it ended after {} of {size} bytes", self.received),
            lasting: false,
        }
    }

    fn may_have_expired(&self, status: u16) -> bool {
        matches!(status, 400 | 401 | 403) && !self.resource.hops.is_empty()
    }

    async fn renew_if_expired(&mut self) -> Result<(), Error> {
        let soon = SystemTime::now() + EXPIRY_MARGIN;
        match self.resource.expires {
            Some(at) if at < soon && !self.renewed && !self.resource.hops.is_empty() => {
                self.renew().await
            }
            _ => Ok(()),
        }
    }

    /// Follows the redirects from the start once more, for a fresh signature.
    async fn renew(&mut self) -> Result<(), Error> {
        self.renewed = true;
        let now = self
            .client
            .follow(&self.resource.start, &mut self.patience)
            .await?;
        if self.received == 0 {
            self.resource = now;
            return Ok(());
        }
        match self.resource.differs(&now) {
            Some(why) => Err(self.changed(why)),
            None => {
                self.resource.address = now.address;
                self.resource.hops = now.hops;
                self.resource.expires = now.expires;
                Ok(())
            }
        }
    }

    fn changed(&self, why: String) -> Error {
        Error::Changed {
            url: self.resource.shown(),
            why,
        }
    }

    fn damaged(&self, what: &'static str, announced: String, found: String) -> Error {
        Error::Integrity {
            url: self.resource.shown(),
            what,
            announced,
            found,
        }
    }

    fn spent(&self, failure: Failure) -> Error {
        self.patience.spent(&self.resource.address, failure)
    }
}
