//! Small documents: listings, refusals, addresses.

use bytes::{Bytes, BytesMut};
use reqwest::Response;
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderValue};
use tokio::time::timeout_at;

use super::client::{Client, broken};
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
        let mut headers = ask.headers;
        // Nothing is decoded here, and a document is read as it comes.
        headers
            .entry(ACCEPT_ENCODING)
            .or_insert(HeaderValue::from_static("identity"));
        let mut patience = Patience::new(self.options().timeout);
        loop {
            let answer = self.ask(&address, &headers, &mut patience).await?;
            if !ask.accept.contains(&answer.status().as_u16()) {
                return Err(Client::refused(&address, &patience, answer).await);
            }
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            let failure = match whole(answer, ask.max, &mut patience).await {
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
                        max: ask.max,
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
