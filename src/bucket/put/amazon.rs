//! Writing to S3 (docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html). Checksums go along, and S3 takes
//! nothing that does not match them (docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html). Not every
//! bucket that speaks as S3 does knows them: parts have theirs only where it has said so.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::unfinished::{Begun, Upload};
use super::writer::{BucketWriter, LocalBytes, PART, Precondition, REFUSED, changing, one};
use crate::bucket::Error;
use crate::bucket::list::quoted;
use crate::checksum::crc32c;
use crate::fetch::{Ask, Document};

const SUM: HeaderName = HeaderName::from_static("x-amz-checksum-crc32c");
const ALGORITHM: HeaderName = HeaderName::from_static("x-amz-checksum-algorithm");
const TYPE: HeaderName = HeaderName::from_static("x-amz-checksum-type");

/// A checksum of all bytes, and not of the checksums of parts.
const WHOLE: &str = "FULL_OBJECT";

/// As many parts as an object may have.
const MAX_PARTS: u64 = 10_000;

/// What a signature covers is encoded in exactly one way.
const ID: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

fn encoded(sum: u32) -> String {
    STANDARD.encode(sum.to_be_bytes())
}

fn summed(sum: u32) -> HeaderMap {
    one(SUM, &encoded(sum))
}

fn conditioned(mut headers: HeaderMap, condition: &Precondition) -> HeaderMap {
    match condition {
        Precondition::Absent => headers.insert(IF_NONE_MATCH, HeaderValue::from_static("*")),
        Precondition::Version(version) => {
            let value = HeaderValue::from_str(version);
            value.ok().and_then(|value| headers.insert(IF_MATCH, value))
        }
    };
    headers
}

/// Sends a small object; `None` if the condition does not hold.
pub(super) async fn put(
    writer: &BucketWriter,
    key: &str,
    bytes: Bytes,
    condition: &Precondition,
    sum: u32,
) -> Result<Option<String>, Error> {
    let headers = conditioned(summed(sum), condition);
    // To replace what is gone is 404.
    let ask = Ask {
        method: Method::PUT,
        headers,
        body: bytes,
        accept: &[200, 404, REFUSED[0], REFUSED[1]],
        ..changing()
    };
    let url = writer.client.object_url(key);
    let answer = writer.client.change(key, &url, ask).await?;
    match answer.status {
        200 => writer.version(&answer).map(|etag| Some(quoted(&etag))),
        404 if *condition == Precondition::Absent => Err(writer.odd("there is no such bucket")),
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

fn xml<T: serde::de::DeserializeOwned>(writer: &BucketWriter, body: &[u8]) -> Result<T, Error> {
    let text = std::str::from_utf8(body).map_err(|why| writer.odd(&why.to_string()))?;
    quick_xml::de::from_str(text).map_err(|why| writer.odd(&why.to_string()))
}

/// Sends a large object in parts; `None` if the condition does not hold.
pub(super) async fn send(
    writer: &BucketWriter,
    key: &str,
    local: &dyn LocalBytes,
    (size, sum): (u64, u32),
    condition: &Precondition,
) -> Result<Option<String>, Error> {
    let url = writer.client.object_url(key);
    let mut headers = one(ALGORITHM, "CRC32C");
    headers.extend(one(TYPE, WHOLE));
    let place = format!("{url}?uploads=");
    let ask = Ask {
        method: Method::POST,
        headers,
        accept: &[200],
        ..changing()
    };
    let answer = writer.client.change(key, &place, ask).await?;
    let begun: Initiated = xml(writer, &answer.body)?;
    let says = |name: &HeaderName, what: &str| {
        let said = answer
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok());
        said.is_some_and(|said| said.eq_ignore_ascii_case(what))
    };
    let id = utf8_percent_encode(&begun.upload_id, ID).to_string();
    let parts = Parts {
        writer,
        key,
        url,
        id,
        are_summed: says(&ALGORITHM, "CRC32C"),
        sum: says(&TYPE, WHOLE).then_some(sum),
    };
    let upload = Upload::new(writer, key, Begun::Parts(parts.id.clone()));
    let sent = parts.send(local, size, condition).await;
    upload.end(matches!(sent, Ok(Some(_)))).await;
    sent
}

/// Gives up the parts that were sent. It may well be complete: then there is nothing left of them.
pub(super) async fn abort(writer: &BucketWriter, key: &str, id: &str) -> Result<(), Error> {
    let url = format!("{}?uploadId={id}", writer.client.object_url(key));
    let ask = Ask {
        method: Method::DELETE,
        accept: &[200, 204, 404],
        ..changing()
    };
    writer.client.change(key, &url, ask).await.map(drop)
}

/// A large object on its way.
struct Parts<'a> {
    writer: &'a BucketWriter,
    key: &'a str,
    url: String,
    id: String,
    /// It wants to know the checksum of each part, and then of the whole, if that is one of all bytes.
    are_summed: bool,
    sum: Option<u32>,
}

impl Parts<'_> {
    async fn change(&self, query: &str, ask: Ask<'_>) -> Result<Document, Error> {
        let url = format!("{}?{query}uploadId={}", self.url, self.id);
        self.writer.client.change(self.key, &url, ask).await
    }

    async fn send(
        &self,
        local: &dyn LocalBytes,
        size: u64,
        condition: &Precondition,
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
                    let element = format!("<ChecksumCRC32C>{}</ChecksumCRC32C>", encoded(sum));
                    (summed(sum), element)
                }
                false => Default::default(),
            };
            let ask = Ask {
                method: Method::PUT,
                headers,
                body: bytes,
                accept: &[200],
                ..changing()
            };
            let answer = self.change(&query, ask).await?;
            let etag = quoted(&self.writer.version(&answer)?).replace('&', "&amp;");
            let etag = etag.replace('<', "&lt;");
            let _ = write!(
                list,
                "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag>{sum}</Part>"
            );
            at = end;
        }
        list.push_str("</CompleteMultipartUpload>");
        let mut headers = conditioned(HeaderMap::new(), condition);
        if let Some(sum) = self.sum.filter(|_| self.are_summed) {
            headers.extend(summed(sum));
            headers.extend(one(TYPE, WHOLE));
        }
        // 404: it was complete before, and the answer was lost.
        let ask = Ask {
            method: Method::POST,
            headers,
            body: Bytes::from(list),
            accept: &[200, 404, REFUSED[0], REFUSED[1]],
            ..changing()
        };
        let answer = self.change("", ask).await?;
        if answer.status != 200 {
            return Ok(None);
        }
        match xml(self.writer, &answer.body)? {
            Ended::CompleteMultipartUploadResult(object) => Ok(Some(quoted(&object.etag))),
            Ended::Error(refusal) if refusal.code == "PreconditionFailed" => Ok(None),
            Ended::Error(refusal) => Err(self.writer.odd(&format!("it said {}", refusal.code))),
        }
    }
}
