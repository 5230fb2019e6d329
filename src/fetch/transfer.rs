//! The one loop that brings a body: it reads on where a connection broke, for as long as the retry policy allows.
//!
//! What differs between a whole body, a part behind redirects and a part of a bucket's object is how it is opened and
//! which answers are believed; that is an [`Origin`].

use bytes::Bytes;
use reqwest::Response;
use tokio::time::timeout_at;

use super::address::Address;
use super::client::broken;
use super::error::Error;
use super::retry::{Failure, RetryState};
use crate::checksum::{Crc32c, Verifier};

/// The bytes of a transfer: from `at` to `end`, or to the end of the body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    /// First byte that has not been delivered.
    pub at: u64,
    /// The byte after the last one; `None` for all there are.
    pub end: Option<u64>,
}

/// Where a transfer's bytes come from.
pub(crate) trait Origin: Send {
    /// What a transfer fails with.
    type Error: Send;

    /// An answer with the bytes of `span`, checked to be what was asked for.
    fn open(
        &mut self,
        span: Span,
        retry: &mut RetryState,
    ) -> impl Future<Output = Result<Opened, Self::Error>> + Send;

    /// The length of the whole body, if it is known.
    fn size(&self) -> Option<u64>;

    /// Notes that bytes came: a refusal after this is a new one.
    fn record_progress(&mut self) {}

    /// What is read, redacted.
    fn url(&self) -> String;

    /// The error for a request or connection that failed.
    fn failed(&self, cause: Error) -> Self::Error;
}

/// An answer whose body is about to be read.
pub(crate) struct Opened {
    pub(super) body: Response,
    pub(super) address: Address,
    /// Where the body begins: at the wanted byte, or at 0 again.
    pub(super) begin: u64,
    /// Verifies the whole body; given with the first answer.
    pub(super) check: Option<Verifier>,
}

/// A running transfer; see [`Transfer::chunk`].
pub(crate) struct Transfer<O> {
    origin: O,
    span: Span,
    retry: RetryState,
    body: Option<Body>,
    check: Option<Verifier>,
    state: State,
    address: Option<Address>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Complete,
    Failed,
}

struct Body {
    response: Response,
    /// Bytes that were delivered before and come again, and their CRC-32C so far.
    repeated: Option<(u64, Crc32c)>,
}

impl<O: Origin> Transfer<O> {
    /// Sends nothing before the first [`Transfer::chunk`].
    pub fn new(origin: O, span: Span, retry: RetryState) -> Transfer<O> {
        Transfer {
            origin,
            span,
            retry,
            body: None,
            check: None,
            state: State::Running,
            address: None,
        }
    }

    /// The next bytes, in order. `None` only after all of them, and after an announced checksum was found right. An error
    /// is final. Waiting for the network is bounded by the timeout; time between calls does not count. May be dropped while
    /// waiting and called again.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, O::Error> {
        match self.state {
            State::Running => self.retry.record_progress(),
            State::Complete => return Ok(None),
            State::Failed => {
                return Err(self.origin.failed(Error::Transport {
                    url: self.origin.url(),
                    why: String::from("this transfer has failed before"),
                    tries: self.retry.tries(),
                }));
            }
        }
        let result = self.next().await;
        match &result {
            Ok(Some(_)) => {}
            Ok(None) => self.state = State::Complete,
            Err(_) => self.state = State::Failed,
        }
        if self.state != State::Running {
            // What is left of the body would be taken for what follows.
            self.body = None;
        }
        result
    }

    async fn next(&mut self) -> Result<Option<Bytes>, O::Error> {
        while self.span.end.is_none_or(|end| self.span.at < end) {
            let Some(body) = &mut self.body else {
                self.open().await?;
                continue;
            };
            let came = timeout_at(self.retry.deadline(), body.response.chunk()).await;
            let failure = match came {
                Ok(Ok(Some(bytes))) => match self.accept(bytes)? {
                    Some(bytes) => return Ok(Some(bytes)),
                    None => continue,
                },
                Ok(Ok(None)) if self.is_complete() => break,
                Ok(Ok(None)) => self.cut(),
                Ok(Err(error)) => broken(error),
                Err(_) => Failure::Silent,
            };
            self.body = None;
            if let Some(address) = &self.address {
                let wait = self.retry.wait_for_retry(address, failure).await;
                wait.map_err(|error| self.origin.failed(error))?;
            }
        }
        match self.check.as_mut().map_or(Ok(()), Verifier::finish) {
            Ok(()) => Ok(None),
            Err(wrong) => Err(self.damaged(wrong.what, wrong.announced, wrong.found)),
        }
    }

    async fn open(&mut self) -> Result<(), O::Error> {
        let opened = self.origin.open(self.span, &mut self.retry).await?;
        if opened.check.is_some() {
            self.check = opened.check;
        }
        let again = self.span.at.saturating_sub(opened.begin);
        self.address = Some(opened.address);
        self.body = Some(Body {
            response: opened.body,
            repeated: (again > 0).then_some((again, Crc32c::default())),
        });
        Ok(())
    }

    /// Accounts for bytes that came; gives those that were not delivered before.
    fn accept(&mut self, mut bytes: Bytes) -> Result<Option<Bytes>, O::Error> {
        self.retry.extend();
        self.origin.record_progress();
        if let Some(Body { repeated, .. }) = &mut self.body
            && let Some((left, sum)) = repeated
        {
            let old = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
            let old = bytes.split_to(old);
            sum.update(&old);
            *left -= old.len() as u64;
            if *left > 0 {
                return Ok(None);
            }
            if self
                .check
                .as_ref()
                .is_some_and(|check| check.crc32c() != sum.value())
            {
                return Err(self.origin.failed(Error::Changed {
                    url: self.origin.url(),
                    why: format!("its first {} bytes are others now", self.span.at),
                }));
            }
            *repeated = None;
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        let at = self.span.at + bytes.len() as u64;
        match self.span.end {
            Some(end) if at > end => {
                return Err(self.origin.failed(Error::WrongPart {
                    url: self.origin.url(),
                    why: String::from("it sends more bytes than were asked for"),
                }));
            }
            _ => {}
        }
        if let Some(end) = self.end().filter(|end| at > *end) {
            let (announced, found) = (format!("{end} bytes"), format!("at least {at} bytes"));
            return Err(self.damaged("length", announced, found));
        }
        self.span.at = at;
        self.retry.record_progress();
        if let Some(check) = &mut self.check {
            check.update(&bytes);
        }
        Ok(Some(bytes))
    }

    fn damaged(&self, what: &'static str, announced: String, found: String) -> O::Error {
        self.origin.failed(Error::Integrity {
            url: self.origin.url(),
            what,
            announced,
            found,
        })
    }

    fn end(&self) -> Option<u64> {
        self.span.end.or_else(|| self.origin.size())
    }

    fn is_complete(&self) -> bool {
        let repeats = self
            .body
            .as_ref()
            .is_some_and(|body| body.repeated.is_some());
        !repeats && self.end().is_none_or(|end| self.span.at == end)
    }

    fn cut(&self) -> Failure {
        let end = self
            .end()
            .map_or(String::from("more"), |end| end.to_string());
        Failure::Broken {
            why: format!("it ended after {} of {end} bytes", self.span.at),
            lasting: false,
        }
    }
}
