//! Writing to S3 (docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html). Checksums go along, and S3 takes
//! nothing that does not match them (docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html). Not every
//! bucket that speaks as S3 does knows them: parts have theirs only where it has said so.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, ETAG, IF_MATCH, IF_NONE_MATCH, LAST_MODIFIED};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::unfinished::{Begun, Upload};
use super::{Known, Local, Only, PART, REFUSED, Writer, one};
use crate::checksum::crc32c;
use crate::handle::Scheme;
use crate::source::Error;
use crate::source::bucket::amazon::quoted;

const SUM: HeaderName = HeaderName::from_static("x-amz-checksum-crc32c");
const MODE: HeaderName = HeaderName::from_static("x-amz-checksum-mode");
const ALGORITHM: HeaderName = HeaderName::from_static("x-amz-checksum-algorithm");
const TYPE: HeaderName = HeaderName::from_static("x-amz-checksum-type");

/// A checksum of all bytes, and not of the checksums of parts.
const WHOLE: &str = "FULL_OBJECT";

/// As many parts as an object may have.
const MAX_PARTS: u64 = 10_000;

/// Encoded in exactly one way, because the signature covers it; slashes stay.
const KEY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// The URL of an object, on Google's XML surface too.
pub(super) fn object_url(writer: &Writer, key: &str) -> String {
    let (access, key) = (&writer.access, utf8_percent_encode(key, KEY));
    match access.scheme {
        Scheme::S3 => format!("{}/{key}", access.amazon()),
        _ => format!("{}/{}/{key}", access.google(), access.bucket),
    }
}

fn encoded(sum: u32) -> String {
    STANDARD.encode(sum.to_be_bytes())
}

/// `None` for what is no checksum, or one of checksums (`...-3`).
fn decoded(text: &str) -> Option<u32> {
    let bytes = STANDARD.decode(text).ok()?;
    bytes.try_into().ok().map(u32::from_be_bytes)
}

fn summed(sum: u32) -> HeaderMap {
    one(SUM, &encoded(sum))
}

fn conditioned(mut headers: HeaderMap, only: &Only) -> HeaderMap {
    match only {
        Only::New => headers.insert(IF_NONE_MATCH, HeaderValue::from_static("*")),
        Only::Instead(version) => {
            let value = HeaderValue::from_str(version);
            value.ok().and_then(|value| headers.insert(IF_MATCH, value))
        }
    };
    headers
}

/// What is told of an object.
pub(super) async fn known(writer: &Writer, key: &str) -> Result<Known, Error> {
    let url = object_url(writer, key);
    let told = writer
        .request(
            key,
            &url,
            Method::HEAD,
            one(MODE, "ENABLED"),
            Bytes::new(),
            &[200],
        )
        .await?;
    let text = |name: &HeaderName| told.headers.get(name).and_then(|value| value.to_str().ok());
    let size = text(&CONTENT_LENGTH).and_then(|text| text.trim().parse().ok());
    let (Some(size), Some(etag)) = (size, text(&ETAG)) else {
        return Err(writer.odd("an object has no size or ETag"));
    };
    let mtime = text(&LAST_MODIFIED).and_then(|text| httpdate::parse_http_date(text).ok());
    Ok(Known {
        key: key.to_owned(),
        size,
        version: quoted(etag),
        mtime: mtime.unwrap_or(std::time::SystemTime::UNIX_EPOCH),
        crc32c: text(&SUM).and_then(decoded),
    })
}

/// Sends a small object; `None` if the condition does not hold.
pub(super) async fn put(
    writer: &Writer,
    key: &str,
    bytes: Bytes,
    only: &Only,
    sum: u32,
) -> Result<Option<String>, Error> {
    let headers = conditioned(summed(sum), only);
    // To replace what is gone is 404.
    let accept = [200, 404, REFUSED[0], REFUSED[1]];
    let url = object_url(writer, key);
    let told = writer
        .request(key, &url, Method::PUT, headers, bytes, &accept)
        .await?;
    match told.status {
        200 => writer.version(&told).map(|etag| Some(quoted(&etag))),
        404 if *only == Only::New => Err(writer.odd("there is no such bucket")),
        _ => Ok(None),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Initiated {
    upload_id: String,
}

/// A failure may come with status 200 too.
#[derive(Deserialize)]
enum Ended {
    CompleteMultipartUploadResult(Object),
    Error(Refusal),
}

#[derive(Deserialize)]
struct Object {
    #[serde(rename = "ETag")]
    etag: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Refusal {
    code: String,
}

fn xml<T: serde::de::DeserializeOwned>(writer: &Writer, body: &[u8]) -> Result<T, Error> {
    let text = std::str::from_utf8(body).map_err(|why| writer.odd(&why.to_string()))?;
    quick_xml::de::from_str(text).map_err(|why| writer.odd(&why.to_string()))
}

/// Sends a large object in parts; `None` if the condition does not hold.
pub(super) async fn send(
    writer: &Writer,
    key: &str,
    local: &dyn Local,
    (size, sum): (u64, u32),
    only: &Only,
) -> Result<Option<String>, Error> {
    let url = object_url(writer, key);
    let mut headers = one(ALGORITHM, "CRC32C");
    headers.extend(one(TYPE, WHOLE));
    let place = format!("{url}?uploads=");
    let told = writer
        .request(key, &place, Method::POST, headers, Bytes::new(), &[200])
        .await?;
    let begun: Initiated = xml(writer, &told.body)?;
    let says = |name: &HeaderName, what: &str| {
        let said = told.headers.get(name).and_then(|value| value.to_str().ok());
        said.is_some_and(|said| said.eq_ignore_ascii_case(what))
    };
    let id = utf8_percent_encode(&begun.upload_id, KEY)
        .to_string()
        .replace('/', "%2F");
    let parts = Parts {
        writer,
        key,
        url,
        id,
        are_summed: says(&ALGORITHM, "CRC32C"),
        sum: says(&TYPE, WHOLE).then_some(sum),
    };
    let upload = Upload::new(writer, key, Begun::Parts(parts.id.clone()));
    let sent = parts.send(local, size, only).await;
    upload.end(matches!(sent, Ok(Some(_)))).await;
    sent
}

/// Gives up the parts that were sent. It may well be complete: then there is nothing left of them.
pub(super) async fn abort(writer: &Writer, key: &str, id: &str) -> Result<(), Error> {
    let url = format!("{}?uploadId={id}", object_url(writer, key));
    let (headers, accept) = (HeaderMap::new(), [204, 200, 404]);
    let told = writer
        .request(key, &url, Method::DELETE, headers, Bytes::new(), &accept)
        .await;
    told.map(drop)
}

/// A large object on its way.
struct Parts<'a> {
    writer: &'a Writer,
    key: &'a str,
    url: String,
    id: String,
    /// It wants to know the checksum of each part, and then of the whole, if that is one of all bytes.
    are_summed: bool,
    sum: Option<u32>,
}

impl Parts<'_> {
    async fn request(
        &self,
        method: Method,
        number: &str,
        headers: HeaderMap,
        body: Bytes,
        accept: &[u16],
    ) -> Result<crate::fetch::Document, Error> {
        let url = format!("{}?{number}uploadId={}", self.url, self.id);
        let writer = self.writer;
        writer
            .request(self.key, &url, method, headers, body, accept)
            .await
    }

    async fn send(
        &self,
        local: &dyn Local,
        size: u64,
        only: &Only,
    ) -> Result<Option<String>, Error> {
        let step = PART.max(size.div_ceil(MAX_PARTS));
        let mut list = String::from("<CompleteMultipartUpload>");
        let (mut at, mut number) = (0, 0);
        while at < size {
            let end = size.min(at + step);
            number += 1;
            let bytes = self.writer.local(self.key, local, at..end).await?;
            let query = format!("partNumber={number}&");
            let (headers, sum) = match self.are_summed {
                true => {
                    let sum = crc32c(&bytes);
                    let told = format!("<ChecksumCRC32C>{}</ChecksumCRC32C>", encoded(sum));
                    (summed(sum), told)
                }
                false => Default::default(),
            };
            let told = self
                .request(Method::PUT, &query, headers, bytes, &[200])
                .await?;
            let etag = quoted(&self.writer.version(&told)?).replace('&', "&amp;");
            let etag = etag.replace('<', "&lt;");
            let _ = write!(
                list,
                "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag>{sum}</Part>"
            );
            at = end;
        }
        list.push_str("</CompleteMultipartUpload>");
        let mut headers = conditioned(HeaderMap::new(), only);
        if let Some(sum) = self.sum.filter(|_| self.are_summed) {
            headers.extend(summed(sum));
            headers.extend(one(TYPE, WHOLE));
        }
        // 404: it was complete before, and the answer was lost.
        let accept = [200, 404, REFUSED[0], REFUSED[1]];
        let told = self
            .request(Method::POST, "", headers, Bytes::from(list), &accept)
            .await?;
        if told.status != 200 {
            return Ok(None);
        }
        match xml(self.writer, &told.body)? {
            Ended::CompleteMultipartUploadResult(object) => Ok(Some(quoted(&object.etag))),
            Ended::Error(refusal) if refusal.code == "PreconditionFailed" => Ok(None),
            Ended::Error(refusal) => Err(self.writer.odd(&format!("it said {}", refusal.code))),
        }
    }
}
