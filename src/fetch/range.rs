//! Stand-in: parts of what a probe found.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use reqwest::Response;
use reqwest::header::{HeaderMap, HeaderValue, RANGE};

use super::client::Client;
use super::error::{Error, Tries};
use super::probe::Resource;
use super::retry::Patience;

/// What a probe found, shared by its readers.
#[derive(Debug)]
pub struct SharedResource(Mutex<Resource>);

impl SharedResource {
    /// To be shared.
    pub fn new(resource: Resource) -> Arc<SharedResource> {
        Arc::new(SharedResource(Mutex::new(resource)))
    }

    /// As it is now.
    pub fn now(&self) -> Resource {
        self.0.lock().clone()
    }
}

/// Stand-in.
pub struct RangeDownload {
    client: Client,
    shared: Arc<SharedResource>,
    left: Range<u64>,
    body: Option<Response>,
}

impl Client {
    /// Stand-in.
    pub fn range(&self, shared: Arc<SharedResource>, range: Range<u64>) -> RangeDownload {
        RangeDownload {
            client: self.clone(),
            shared,
            left: range,
            body: None,
        }
    }
}

impl RangeDownload {
    /// The next bytes.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let mut patience = Patience::new(self.client.options().timeout);
        let mut renewed = false;
        while !self.left.is_empty() {
            if let Some(body) = &mut self.body {
                if let Ok(Some(bytes)) = body.chunk().await {
                    self.left.start += bytes.len() as u64;
                    return Ok(Some(bytes));
                }
                self.body = None;
            }
            let old = self.shared.now();
            let range = format!("bytes={}-{}", self.left.start, self.left.end - 1);
            let headers = HeaderMap::from_iter([(
                RANGE,
                HeaderValue::from_str(&range).unwrap_or(HeaderValue::from_static("x")),
            )]);
            let answer = self
                .client
                .ask(&old.address, &headers, &mut patience)
                .await?;
            match answer.status().as_u16() {
                206 => self.body = Some(answer),
                400 | 401 | 403 if !renewed => {
                    renewed = true;
                    let now = self.client.follow(&old.start, &mut patience).await?;
                    if let Some(why) = old.differs(&now) {
                        return Err(Error::Changed {
                            url: old.shown(),
                            why,
                        });
                    }
                    *self.shared.0.lock() = now;
                }
                404 | 410 | 412 | 416 => {
                    return Err(Error::Changed {
                        url: old.shown(),
                        why: "it is gone".to_owned(),
                    });
                }
                _ => return Err(Client::refused(&old.address, &patience, answer).await),
            }
        }
        let _ = Tries {
            attempts: 0,
            elapsed: std::time::Duration::ZERO,
        };
        Ok(None)
    }
}
