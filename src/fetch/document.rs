//! Small documents: listings, refusals, addresses.

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, Response};
use tokio::time::timeout_at;

use super::address::Address;
use super::client::{Client, Question, broken};
use super::error::Error;
use super::retry::{Failure, RetryState};

/// A request whose answer is small.
#[derive(Debug, Clone, Default)]
pub struct Ask<'a> {
    /// GET, unless something is to be changed or only headers are wanted.
    pub method: Method,
    /// Headers beside our own.
    pub headers: HeaderMap,
    /// What is sent.
    pub body: Bytes,
    /// Longest body that is read, in bytes.
    pub max: usize,
    /// Statuses that are answers; others are [`Error::Status`].
    pub accept: &'a [u16],
}

/// What was answered.
#[derive(Debug, Clone)]
pub struct Document {
    /// HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its whole body.
    pub body: Bytes,
}

impl Client {
    /// Makes a request and reads its whole answer. Redirects are not followed. What only reads and has no `Authorization`
    /// goes to the mirror of its host, if that has one: who asks is not the mirror's to know. It is made again as every
    /// request is: one that changes something must do the same when it is made twice.
    ///
    /// # Errors
    ///
    /// Another status; a body that is too long or breaks off again and again; everything that a request may fail with.
    pub async fn document(&self, url: &str, ask: Ask<'_>) -> Result<Document, Error> {
        let reads = matches!(ask.method, Method::GET | Method::HEAD);
        let address = match reads && !ask.headers.contains_key(AUTHORIZATION) {
            true => Client::address(&self.mirrored(url))?,
            false => Client::address(url)?,
        };
        let question = Question {
            method: ask.method,
            headers: ask.headers,
            body: ask.body,
        };
        self.answered(address, question, ask.max, ask.accept).await
    }

    async fn answered(
        &self,
        address: Address,
        mut question: Question,
        max: usize,
        accept: &[u16],
    ) -> Result<Document, Error> {
        // Nothing is decoded here, and a document is read as it comes.
        let headers = &mut question.headers;
        headers
            .entry(ACCEPT_ENCODING)
            .or_insert(HeaderValue::from_static("identity"));
        let mut retry = self.retry_state();
        loop {
            let answer = self.exchange(&address, &question, &mut retry).await?;
            if !accept.contains(&answer.status().as_u16()) {
                return Err(Client::refused(&address, &retry, answer).await);
            }
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            let failure = match whole(answer, max, &mut retry).await {
                Ok(Some(body)) => {
                    return Ok(Document {
                        status,
                        headers,
                        body,
                    });
                }
                Ok(None) => {
                    return Err(Error::TooLong {
                        url: address.to_string(),
                        max,
                    });
                }
                Err(failure) => failure,
            };
            retry.wait_for_retry(&address, failure).await?;
        }
    }
}

/// The body; `None` if it is longer than `max`.
async fn whole(
    mut answer: Response,
    max: usize,
    retry: &mut RetryState,
) -> Result<Option<Bytes>, Failure> {
    let mut body = BytesMut::new();
    loop {
        match timeout_at(retry.deadline(), answer.chunk()).await {
            Ok(Ok(Some(bytes))) => body.extend_from_slice(&bytes),
            Ok(Ok(None)) => return Ok(Some(body.freeze())),
            Ok(Err(error)) => return Err(broken(error)),
            Err(_) => return Err(Failure::Silent),
        }
        if body.len() > max {
            return Ok(None);
        }
        retry.extend();
    }
}
