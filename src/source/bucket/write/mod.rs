//! Objects as somebody who may write meets them: always under a condition, so that of two who write one of them does.
//!
//! A request whose answer was lost is made again, and then its own first try is what stands in its way: what is there is
//! compared with what was sent before that counts as somebody else's ([`Writer::put`]).

mod amazon;
mod google;
mod same;
#[cfg(test)]
mod tests;
mod unfinished;

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{CONTENT_TYPE, DATE, ETAG};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::access::{Access, unreadable};
use super::course::Course;
use super::names::Entry;
use super::store::Store;
use crate::checksum::crc32c;
use crate::fetch::{Document, Refusal, Submit};
use crate::handle::{BucketPath, Scheme};
use crate::source::Error;
pub(in crate::source) use same::Trust;

/// What is sent at once, and so what a transfer keeps in memory; a multiple of what both kinds of bucket want of a part.
const PART: u64 = 8 << 20;

/// Statuses that say that the condition does not hold.
const REFUSED: [u16; 2] = [409, 412];

/// When an object may be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::source) enum Only {
    /// There is none of this name.
    New,
    /// It is this version of it.
    Instead(String),
}

/// What has come of writing an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::source) enum Put {
    /// This content is there, in this version.
    Done(String),
    /// Another content is there.
    Refused,
}

/// What a bucket tells of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::source) struct Known {
    pub key: String,
    pub size: u64,
    /// Generation or ETag.
    pub version: String,
    pub mtime: SystemTime,
    /// As the bucket has computed it, if it says so.
    pub crc32c: Option<u32>,
}

/// A small object as a whole.
#[derive(Debug, Clone)]
pub(in crate::source) struct Small {
    pub bytes: Bytes,
    /// Generation or ETag.
    pub version: String,
    /// The bucket's clock.
    pub now: Option<SystemTime>,
}

/// Bytes of this host that are to be sent.
pub trait Local: Send + Sync + fmt::Debug {
    /// Exactly the bytes of `range`. Whoever sends them asks for one range after the other: a part again if the bucket has
    /// not taken all of it, and the end of the last one before the object gets its name. So an error there keeps it from it.
    fn read(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<Bytes>>;
}

/// Reads and writes objects of one bucket.
#[derive(Debug, Clone)]
pub(in crate::source) struct Writer {
    access: Arc<Access>,
}

impl Writer {
    pub(super) fn new(access: Arc<Access>) -> Writer {
        Writer { access }
    }

    /// A small object, if there is one.
    ///
    /// # Errors
    ///
    /// A bucket that is not there, which its error code tells; everything that a request may fail with. Google's JSON
    /// surface gives objects and buckets one code, so the XML surface of both is asked.
    pub async fn read(&self, key: &str) -> Result<Option<Small>, Error> {
        let (access, url) = (&self.access, amazon::object_url(self, key));
        let model = access.shown(key);
        let ask = |store| access.document(store, &url, &model, &[200, 404]);
        let told = access.attempt(ask).await?;
        if told.status == 200 {
            return Ok(Some(Small {
                version: self.version(&told)?,
                now: date(&told.headers),
                bytes: told.body,
            }));
        }
        match Refusal::parse(&told.body).code.as_deref() {
            Some("NoSuchBucket") => Err(Error::Unknown {
                model,
                why: String::from("there is no such bucket"),
                advice: String::from("check its name"),
            }),
            _ => Ok(None),
        }
    }

    /// What is told of an object, if there is one.
    pub async fn known(&self, key: &str) -> Result<Option<Known>, Error> {
        let known = match self.access.scheme {
            Scheme::S3 => amazon::known(self, key).await,
            _ => google::known(self, key).await,
        };
        match known {
            Ok(known) => Ok(Some(known)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All objects below `dir`.
    pub async fn below(&self, dir: &BucketPath, most: u64) -> Result<Vec<Known>, Error> {
        let mut course = Course::below(most);
        let mut known = Vec::new();
        while !course.is_ended() {
            let listed = course.page(&self.access, dir).await?;
            known.extend(listed.entries.into_iter().map(Known::of));
        }
        Ok(known)
    }

    /// Writes a small object.
    pub async fn put(&self, key: &str, bytes: Bytes, only: &Only) -> Result<Put, Error> {
        let sum = crc32c(&bytes);
        let sent = match self.access.scheme {
            Scheme::S3 => amazon::put(self, key, bytes.clone(), only, sum).await?,
            _ => google::put(self, key, bytes.clone(), only).await?,
        };
        match sent {
            Some(version) => Ok(Put::Done(version)),
            None => {
                self.settle(key, (bytes.len() as u64, sum), Some(&bytes))
                    .await
            }
        }
    }

    /// Sends the `size` bytes of `local`, whose checksum is `sum`, in parts.
    pub async fn send(
        &self,
        key: &str,
        local: &dyn Local,
        (size, sum): (u64, u32),
        only: &Only,
    ) -> Result<Put, Error> {
        if size <= PART {
            let bytes = self.local(key, local, 0..size).await?;
            return self.put(key, bytes, only).await;
        }
        let sent = match self.access.scheme {
            Scheme::S3 => amazon::send(self, key, local, (size, sum), only).await?,
            _ => google::send(self, key, local, size, only).await?,
        };
        match sent {
            Some(version) => Ok(Put::Done(version)),
            None => self.settle(key, (size, sum), None).await,
        }
    }

    /// Deletes this version of an object; false if it is another one, or gone.
    pub async fn remove(&self, key: &str, version: &str) -> Result<bool, Error> {
        let (url, headers) = match self.access.scheme {
            Scheme::S3 => (
                amazon::object_url(self, key),
                one(http::header::IF_MATCH, version),
            ),
            _ => (google::delete_url(self, key, version), HeaderMap::new()),
        };
        let accept = [200, 204, 404, 409, 412];
        let told = self
            .request(key, &url, Method::DELETE, headers, Bytes::new(), &accept)
            .await?;
        Ok(matches!(told.status, 200 | 204))
    }

    /// One request of somebody who may write.
    async fn request(
        &self,
        key: &str,
        url: &str,
        method: Method,
        mut headers: HeaderMap,
        body: Bytes,
        accept: &[u16],
    ) -> Result<Document, Error> {
        let access = &self.access;
        let store = writing(access).await?;
        if matches!(method, Method::PUT | Method::POST) {
            headers
                .entry(CONTENT_TYPE)
                .or_insert(HeaderValue::from_static("application/octet-stream"));
        }
        let asked = (method.clone(), headers, body.clone());
        let headers = store.signed(url, asked, &access.region()).await;
        let headers = headers.map_err(|error| access.explain(key, &error))?;
        let submit = Submit {
            method,
            headers,
            body,
            accept,
        };
        let told = access.client.submit(url, submit).await;
        told.map_err(|why| Error::told(access.shown(key), &why, access.advice(&why)))
    }

    async fn local(&self, key: &str, local: &dyn Local, range: Range<u64>) -> Result<Bytes, Error> {
        let wanted = range.end - range.start;
        let why = match local.read(range).await {
            Ok(bytes) if bytes.len() as u64 == wanted => return Ok(bytes),
            Ok(_) => String::from("it is shorter than it was"),
            Err(error) => error.to_string(),
        };
        Err(Error::Failed {
            model: self.access.shown(key),
            why: format!("the local copy cannot be read: {why}"),
            advice: String::from("the local copy may be damaged"),
        })
    }

    fn version(&self, told: &Document) -> Result<String, Error> {
        let name = match self.access.scheme {
            Scheme::S3 => ETAG,
            _ => HeaderName::from_static("x-goog-generation"),
        };
        let value = told
            .headers
            .get(&name)
            .and_then(|value| value.to_str().ok());
        let value = value.map(str::to_owned);
        value.ok_or_else(|| self.odd(&format!("an answer without {name}")))
    }

    fn odd(&self, why: &str) -> Error {
        unreadable(&self.access.shown(""), why)
    }
}

/// What a bucket that may be written is asked with: credentials, or nothing where its endpoint was configured.
async fn writing(access: &Access) -> Result<&Store, Error> {
    let endpoint = match access.scheme {
        Scheme::S3 => &access.options.aws_endpoint,
        _ => &access.options.gcs_endpoint,
    };
    let sign = access.may_sign();
    let ready = match sign || endpoint.is_some() {
        true => access.way(sign).await,
        false => Err(String::from("there are no credentials")),
    };
    ready.map_err(|why| Error::Denied {
        model: access.shown(""),
        why,
        advice: String::from(match access.scheme {
            Scheme::S3 => "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            _ => "set GOOGLE_APPLICATION_CREDENTIALS",
        }),
    })
}

impl Known {
    fn of(entry: Entry) -> Known {
        Known {
            key: entry.key,
            size: entry.size,
            version: entry.version,
            mtime: entry.mtime,
            crc32c: entry.hashes.crc32c,
        }
    }
}

fn date(headers: &HeaderMap) -> Option<SystemTime> {
    let text = headers.get(DATE)?.to_str().ok()?;
    httpdate::parse_http_date(text).ok()
}

fn one(name: HeaderName, value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
    headers
}
