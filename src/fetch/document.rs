//! Small documents: listings, refusals, addresses.

use bytes::Bytes;
use reqwest::header::HeaderMap;

use super::client::Client;
use super::error::Error;
use super::retry::Patience;

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Ask<'a> {
    /// Headers beside our own.
    pub headers: HeaderMap,
    /// Longest body that is read.
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
    /// Stand-in.
    pub async fn document(&self, url: &str, ask: Ask<'_>) -> Result<Document, Error> {
        let address = Client::address(&self.mirrored(url))?;
        let mut patience = Patience::new(self.options().timeout);
        let mut answer = self.ask(&address, &ask.headers, &mut patience).await?;
        if !ask.accept.contains(&answer.status().as_u16()) {
            return Err(Client::refused(&address, &patience, answer).await);
        }
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let mut body = Vec::new();
        while let Ok(Some(bytes)) = answer.chunk().await {
            body.extend_from_slice(&bytes);
            if body.len() > ask.max {
                break;
            }
        }
        Ok(Document {
            status,
            headers,
            body: body.into(),
        })
    }
}
