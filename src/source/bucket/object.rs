//! Parts of one object, always of the content that was listed.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use object_store::GetResult;

use super::access::Access;
use super::names::Entry;
use crate::fetch::{MAX_ATTEMPTS, backoff};
use crate::source::{Bytestream, Error, Ranged};

/// An object's content: its key, and the generation or ETag it was listed with.
#[derive(Clone)]
pub(super) struct Object {
    access: Arc<Access>,
    key: Arc<str>,
    version: Arc<str>,
    size: u64,
}

impl Object {
    pub(super) fn new(access: Arc<Access>, entry: &Entry) -> Object {
        Object {
            access,
            key: entry.key.as_str().into(),
            version: entry.version.as_str().into(),
            size: entry.size,
        }
    }

    fn model(&self) -> String {
        self.access.shown(&self.key)
    }

    /// The body of `range`: exactly that part of exactly that content.
    async fn open(&self, range: &Range<u64>) -> Result<GetResult, Error> {
        let got = self
            .access
            .get(&self.key, &self.version, range.clone())
            .await?;
        if got.range != *range || got.meta.size != self.size {
            return Err(self.changed(format!(
                "bytes {}-{} of {} came for bytes {}-{} of {}",
                got.range.start, got.range.end, got.meta.size, range.start, range.end, self.size
            )));
        }
        match self.access.is_other(&self.version, &got.meta) {
            Some(why) => Err(self.changed(why)),
            None => Ok(got),
        }
    }

    fn changed(&self, why: String) -> Error {
        Error::Changed {
            model: self.model(),
            why,
        }
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.model(), self.version)
    }
}

impl Ranged for Object {
    fn read(&self, range: Range<u64>) -> Bytestream {
        let reading = Reading {
            object: self.clone(),
            left: range,
            body: None,
            attempts: 0,
        };
        stream::try_unfold(reading, Reading::next).boxed()
    }

    fn shown(&self) -> String {
        self.model()
    }
}

/// A transfer that goes on where a connection broke.
struct Reading {
    object: Object,
    left: Range<u64>,
    body: Option<BoxStream<'static, object_store::Result<Bytes>>>,
    /// Connections that broke since the last byte.
    attempts: u32,
}

impl Reading {
    async fn next(mut self) -> Result<Option<(Bytes, Reading)>, Error> {
        while !self.left.is_empty() {
            let Some(body) = &mut self.body else {
                let opened = self.object.open(&self.left).await?;
                self.body = Some(opened.into_stream());
                continue;
            };
            match body.next().await {
                Some(Ok(bytes)) if bytes.is_empty() => continue,
                Some(Ok(bytes)) => {
                    let end = self.left.start + bytes.len() as u64;
                    if end > self.left.end {
                        let why = String::from("more bytes came than were asked for");
                        return Err(self.object.changed(why));
                    }
                    self.left.start = end;
                    self.attempts = 0;
                    return Ok(Some((bytes, self)));
                }
                None => self.broken("the connection was closed early").await?,
                Some(Err(error)) => {
                    let error = self.object.access.explain(&self.object.key, &error);
                    if error.is_timeout() {
                        return Err(error);
                    }
                    self.broken(&error.to_string()).await?;
                }
            }
        }
        Ok(None)
    }

    /// Waits for another attempt, if there shall be one.
    async fn broken(&mut self, why: &str) -> Result<(), Error> {
        self.body = None;
        self.attempts += 1;
        if self.attempts >= MAX_ATTEMPTS {
            return Err(Error::Failed {
                model: self.object.model(),
                why: format!("{why} ({} times)", self.attempts),
                advice: String::from("try again later"),
            });
        }
        tokio::time::sleep(backoff(self.attempts)).await;
        Ok(())
    }
}
