//! Reads and writes objects of one bucket by their keys.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{DATE, ETAG, IF_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::{amazon, google};
use crate::bucket::client::BucketClient;
use crate::bucket::get::info;
use crate::bucket::list::ListPager;
use crate::bucket::{Error, ErrorKind, ObjectInfo};
use crate::checksum::crc32c;
use crate::fetch::{Ask, Document, Refusal};
use crate::handle::BucketPath;

/// Longest object that is read as a whole, in bytes.
const MAX_SMALL: usize = 8 << 20;

/// Longest answer to a request that changes something, in bytes.
const MAX_RECEIPT: usize = 256 << 10;

/// What is sent at once, and so what a transfer keeps in memory; a multiple of what both kinds of bucket want of a part.
pub(super) const PART: u64 = 8 << 20;

/// Statuses that say that the condition does not hold.
pub(super) const REFUSED: [u16; 2] = [409, 412];

/// When an object may be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Precondition {
    /// There is no object of this key.
    Absent,
    /// It has this version.
    Version(String),
}

/// What has come of writing an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PutOutcome {
    /// This content is there, in this version.
    Stored(String),
    /// The condition does not hold, and another content is there.
    Conflict,
}

/// A small object as a whole.
#[derive(Debug, Clone)]
pub(crate) struct SmallObject {
    pub bytes: Bytes,
    /// Generation or ETag.
    pub version: String,
    /// The bucket's clock.
    pub now: Option<SystemTime>,
}

/// Bytes of this host that are to be sent.
pub trait LocalBytes: Send + Sync + fmt::Debug {
    /// Exactly the bytes of `range`. The sender asks for one range after the other: a part again if the bucket has
    /// not taken all of it, and the end of the last one before the object gets its name. So an error there keeps it from it.
    fn read(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<Bytes>>;
}

/// Reads and writes objects of one bucket.
#[derive(Debug, Clone)]
pub(crate) struct BucketWriter {
    pub(super) client: Arc<BucketClient>,
}

impl BucketWriter {
    pub fn new(client: Arc<BucketClient>) -> BucketWriter {
        BucketWriter { client }
    }

    /// A small object, if there is one.
    ///
    /// # Errors
    ///
    /// A bucket that is not there, which its error code tells; everything that a request may fail with. Google's JSON
    /// surface gives objects and buckets one code, so the XML surface of both is asked.
    pub async fn read(&self, key: &str) -> Result<Option<SmallObject>, Error> {
        let (object, url) = (self.client.shown(key), self.client.object_url(key));
        let ask = Ask {
            max: MAX_SMALL,
            accept: &[200, 404],
            ..Ask::default()
        };
        let answer = self.client.ask(&object, &url, ask).await?;
        if answer.status == 200 {
            return Ok(Some(SmallObject {
                version: self.version(&answer)?,
                now: date(&answer.headers),
                bytes: answer.body,
            }));
        }
        let mut code = Refusal::parse(&answer.body).code;
        if code.is_none() && self.cannot_be_listed().await? {
            code = Some(String::from("NoSuchBucket"));
        }
        match code.as_deref() {
            Some("NoSuchBucket") => {
                let why = "there is no such bucket";
                Err(Error::new(
                    ErrorKind::NotFound,
                    &object,
                    why,
                    "check its name",
                ))
            }
            _ => Ok(None),
        }
    }

    /// An object's size, version and checksums, if there is one.
    pub async fn info(&self, key: &str) -> Result<Option<ObjectInfo>, Error> {
        info(&self.client, key).await
    }

    /// All objects below `dir`.
    pub async fn list(&self, dir: &BucketPath, most: u64) -> Result<Vec<ObjectInfo>, Error> {
        let mut pager = ListPager::below(dir, most);
        let mut found = Vec::new();
        while !pager.is_ended() {
            found.extend(pager.next_page(&self.client).await?.entries);
        }
        Ok(found)
    }

    /// Writes a small object.
    pub async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        condition: &Precondition,
    ) -> Result<PutOutcome, Error> {
        let sum = crc32c(&bytes);
        let sent = match self.client.is_amazon() {
            true => amazon::put(self, key, bytes.clone(), condition, sum).await?,
            false => google::put(self, key, bytes.clone(), condition).await?,
        };
        match sent {
            Some(version) => Ok(PutOutcome::Stored(version)),
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
        local: &dyn LocalBytes,
        (size, sum): (u64, u32),
        condition: &Precondition,
    ) -> Result<PutOutcome, Error> {
        if size <= PART {
            let bytes = self.local(key, local, 0..size).await?;
            return self.put(key, bytes, condition).await;
        }
        let sent = match self.client.is_amazon() {
            true => amazon::send(self, key, local, (size, sum), condition).await?,
            false => google::send(self, key, local, size, condition).await?,
        };
        match sent {
            Some(version) => Ok(PutOutcome::Stored(version)),
            None => self.settle(key, (size, sum), None).await,
        }
    }

    /// Deletes this version of an object; false if it is another one, or gone.
    pub async fn remove(&self, key: &str, version: &str) -> Result<bool, Error> {
        let (url, headers) = match self.client.is_amazon() {
            true => (self.client.object_url(key), one(IF_MATCH, version)),
            false => (google::delete_url(self, key, version), HeaderMap::new()),
        };
        let ask = Ask {
            method: Method::DELETE,
            headers,
            accept: &[200, 204, 404, 409, 412],
            ..changing()
        };
        let answer = self.client.change(key, &url, ask).await?;
        Ok(matches!(answer.status, 200 | 204))
    }

    pub(super) async fn local(
        &self,
        key: &str,
        local: &dyn LocalBytes,
        range: Range<u64>,
    ) -> Result<Bytes, Error> {
        let wanted = range.end - range.start;
        let why = match local.read(range).await {
            Ok(bytes) if bytes.len() as u64 == wanted => return Ok(bytes),
            Ok(_) => String::from("it is shorter than it was"),
            Err(error) => error.to_string(),
        };
        let why = format!("the local copy cannot be read: {why}");
        let advice = "the local copy may be damaged";
        Err(Error::new(
            ErrorKind::Failed,
            &self.client.shown(key),
            why,
            advice,
        ))
    }

    /// Whether Google's JSON surface refuses to list the bucket, with 404 and a code: it does so only if there is none.
    async fn cannot_be_listed(&self) -> Result<bool, Error> {
        let client = &self.client;
        if client.is_amazon() {
            return Ok(false);
        }
        let (base, bucket) = (client.google(), client.name());
        let url = format!("{base}/storage/v1/b/{bucket}/o?maxResults=1&fields=nextPageToken");
        let ask = Ask {
            max: MAX_SMALL,
            accept: &[200, 404],
            ..Ask::default()
        };
        let answer = client.ask(&client.shown(""), &url, ask).await?;
        Ok(answer.status == 404 && Refusal::parse(&answer.body).code.is_some())
    }

    pub(super) fn version(&self, answer: &Document) -> Result<String, Error> {
        let name = match self.client.is_amazon() {
            true => ETAG,
            false => HeaderName::from_static("x-goog-generation"),
        };
        let value = answer
            .headers
            .get(&name)
            .and_then(|value| value.to_str().ok());
        let value = value.map(str::to_owned);
        value.ok_or_else(|| self.odd(&format!("an answer without {name}")))
    }

    pub(super) fn odd(&self, why: &str) -> Error {
        Error::unreadable(&self.client.shown(""), why)
    }
}

/// A request that changes something, of which little is answered.
pub(super) fn changing<'a>() -> Ask<'a> {
    Ask {
        max: MAX_RECEIPT,
        ..Ask::default()
    }
}

fn date(headers: &HeaderMap) -> Option<SystemTime> {
    let text = headers.get(DATE)?.to_str().ok()?;
    httpdate::parse_http_date(text).ok()
}

pub(super) fn one(name: HeaderName, value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
    headers
}
