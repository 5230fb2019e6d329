//! Small documents: listings, refusals, addresses.

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, Response};
use tokio::time::timeout_at;

use super::address::Address;
use super::client::{Client, Question, broken};
use super::error::Error;
use super::retry::{Failure, Patience};

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Ask<'a> {
    /// Headers beside our own.
    pub headers: HeaderMap,
    /// Longest body that is read, in bytes.
    pub max: usize,
    /// Statuses that are answers; others are [`Error::Status`].
    pub accept: &'a [u16],
}

/// Longest answer to a request that changes something, in bytes.
const MAX_RECEIPT: usize = 256 << 10;

/// What is to be changed.
#[derive(Debug, Clone, Default)]
pub struct Submit<'a> {
    /// PUT, POST, DELETE.
    pub method: Method,
    /// Headers beside our own.
    pub headers: HeaderMap,
    /// What is sent.
    pub body: Bytes,
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
    /// Asks for a document, at the mirror of its host if that has one. Redirects are not followed. What is asked with an
    /// `Authorization` of its own goes to the host itself: it is not the mirror's to know.
    ///
    /// # Errors
    ///
    /// Another status; a body that is too long or breaks off again and again; everything that a request may fail with.
    pub async fn document(&self, url: &str, ask: Ask<'_>) -> Result<Document, Error> {
        let address = match ask.headers.contains_key(AUTHORIZATION) {
            true => Client::address(url)?,
            false => Client::address(&self.mirrored(url))?,
        };
        let question = Question {
            method: Method::GET,
            headers: ask.headers,
            body: Bytes::new(),
        };
        self.answered(address, question, ask.max, ask.accept).await
    }

    /// Sends a request that changes something, to the host itself. It is made again as every request is: it has to be one
    /// that does the same when it is made twice, and whose second answer can be told from somebody else's doing.
    ///
    /// # Errors
    ///
    /// As [`Client::document`].
    pub async fn submit(&self, url: &str, submit: Submit<'_>) -> Result<Document, Error> {
        let question = Question {
            method: submit.method,
            headers: submit.headers,
            body: submit.body,
        };
        let address = Client::address(url)?;
        self.answered(address, question, MAX_RECEIPT, submit.accept)
            .await
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
        let mut patience = Patience::new(self.options().timeout);
        loop {
            let answer = self.exchange(&address, &question, &mut patience).await?;
            if !accept.contains(&answer.status().as_u16()) {
                return Err(Client::refused(&address, &patience, answer).await);
            }
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            let failure = match whole(answer, max, &mut patience).await {
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
            patience.again(&address, failure).await?;
        }
    }
}

/// The body; `None` if it is longer than `max`.
async fn whole(
    mut answer: Response,
    max: usize,
    patience: &mut Patience,
) -> Result<Option<Bytes>, Failure> {
    let mut body = BytesMut::new();
    loop {
        match timeout_at(patience.deadline(), answer.chunk()).await {
            Ok(Ok(Some(bytes))) => body.extend_from_slice(&bytes),
            Ok(Ok(None)) => return Ok(Some(body.freeze())),
            Ok(Err(error)) => return Err(broken(error)),
            Err(_) => return Err(Failure::Silent),
        }
        if body.len() > max {
            return Ok(None);
        }
        patience.sign_of_life();
    }
}
