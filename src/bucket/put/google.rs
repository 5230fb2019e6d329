//! Writing to Google Cloud Storage: its JSON surface (cloud.google.com/storage/docs/json_api/v1/objects/insert). Of large
//! objects the answer to every part says how many bytes are stored (cloud.google.com/storage/docs/performing-resumable-uploads).

use bytes::Bytes;
use http::header::{CONTENT_RANGE, LOCATION, RANGE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::unfinished::{Begun, Upload};
use super::writer::{BucketWriter, LocalBytes, PART, Precondition, REFUSED, changing, one};
use crate::bucket::list::object;
use crate::bucket::{Error, ErrorKind, ObjectInfo};
use crate::checksum::{Crc32c, crc32c};
use crate::fetch::{Ask, Document, backoff};

const FIELDS: &str = "name%2Csize%2Cgeneration%2Cupdated%2Cmd5Hash%2Ccrc32c";

/// Answers without progress before the bucket is given up.
const MAX_IDLE: u32 = 8;

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn url(writer: &BucketWriter, key: &str) -> String {
    let (base, bucket) = (writer.client.google(), writer.client.name());
    format!("{base}/storage/v1/b/{bucket}/o/{}", encoded(key))
}

pub(super) fn delete_url(writer: &BucketWriter, key: &str, version: &str) -> String {
    format!(
        "{}?ifGenerationMatch={}",
        url(writer, key),
        encoded(version)
    )
}

fn upload_url(writer: &BucketWriter, key: &str, kind: &str, condition: &Precondition) -> String {
    let (base, bucket) = (writer.client.google(), writer.client.name());
    let generation = match condition {
        Precondition::Absent => String::from("0"),
        Precondition::Version(version) => encoded(version),
    };
    format!(
        "{base}/upload/storage/v1/b/{bucket}/o?uploadType={kind}&name={}&ifGenerationMatch={generation}&fields={FIELDS}",
        encoded(key)
    )
}

fn read(writer: &BucketWriter, answer: &Document) -> Result<ObjectInfo, Error> {
    object(&answer.body).map_err(|why| writer.odd(&why))
}

/// Sends a small object; `None` if the condition does not hold.
pub(super) async fn put(
    writer: &BucketWriter,
    key: &str,
    bytes: Bytes,
    condition: &Precondition,
) -> Result<Option<String>, Error> {
    let url = upload_url(writer, key, "media", condition);
    let sum = crc32c(&bytes);
    let ask = Ask {
        method: Method::POST,
        body: bytes,
        accept: &[200, 201, REFUSED[0], REFUSED[1]],
        ..changing()
    };
    let answer = writer.client.change(key, &url, ask).await?;
    match REFUSED.contains(&answer.status) {
        true => Ok(None),
        false => checked(writer, key, &answer, sum).await.map(Some),
    }
}

/// The version of what was stored, which goes again if it is not what was sent.
async fn checked(
    writer: &BucketWriter,
    key: &str,
    answer: &Document,
    sum: u32,
) -> Result<String, Error> {
    let stored = read(writer, answer)?;
    if stored.hashes.crc32c.is_none_or(|found| found == sum) {
        return Ok(stored.version);
    }
    writer.remove(key, &stored.version).await?;
    Err(Error::new(
        ErrorKind::Failed,
        &writer.client.shown(key),
        "the bucket has stored other bytes than were sent",
        "they were deleted again; look for what changes them on the way",
    ))
}

/// Sends a large object in parts; `None` if the condition does not hold.
pub(super) async fn send(
    writer: &BucketWriter,
    key: &str,
    local: &dyn LocalBytes,
    size: u64,
    condition: &Precondition,
) -> Result<Option<String>, Error> {
    let Some(session) = begin(writer, key, size, condition).await? else {
        return Ok(None);
    };
    let upload = Upload::new(writer, key, Begun::Session(session.clone()));
    let sent = send_parts(writer, key, local, size, &session).await;
    upload.end(matches!(sent, Ok(Some(_)))).await;
    sent
}

/// Gives up what was sent to a session: 499, says Google.
pub(super) async fn abort(writer: &BucketWriter, key: &str, session: &str) -> Result<(), Error> {
    let ask = Ask {
        method: Method::DELETE,
        accept: &[200, 204, 404, 410, 499],
        ..changing()
    };
    to_session(writer, key, session, ask).await.map(drop)
}

/// A request to a session, whose URL is the credential.
async fn to_session(
    writer: &BucketWriter,
    key: &str,
    session: &str,
    ask: Ask<'_>,
) -> Result<Document, Error> {
    let client = &writer.client;
    let answer = client.http().document(session, ask).await;
    answer.map_err(|cause| client.explain(&client.shown(key), &cause))
}

async fn send_parts(
    writer: &BucketWriter,
    key: &str,
    local: &dyn LocalBytes,
    size: u64,
    session: &str,
) -> Result<Option<String>, Error> {
    let (mut at, mut sum, mut idle) = (0, Crc32c::default(), 0);
    loop {
        let end = size.min(at + PART);
        let bytes = writer.local(key, local, at..end).await?;
        sum.update_at(at, &bytes); // a part may be sent again
        let range = match end - at {
            // It has all bytes and has not said what came of them: it is asked.
            0 => format!("bytes */{size}"),
            _ => format!("bytes {at}-{}/{size}", end - 1),
        };
        let ask = Ask {
            method: Method::PUT,
            headers: one(CONTENT_RANGE, &range),
            body: bytes,
            // 404 and 410: the session has ended, and the answer that said so was lost.
            accept: &[200, 201, 308, 404, 409, 410, 412],
            ..changing()
        };
        let answer = to_session(writer, key, session, ask).await?;
        match answer.status {
            200 | 201 => return checked(writer, key, &answer, sum.value()).await.map(Some),
            308 => {}
            _ => return Ok(None),
        }
        let come = stored(&answer).filter(|come| (at..=end).contains(come));
        let come = come.ok_or_else(|| writer.odd("it lost bytes that it had"))?;
        idle = if come > at { 0 } else { idle + 1 };
        match idle {
            0 => {}
            MAX_IDLE.. => return Err(writer.odd("it takes no more bytes")),
            _ => tokio::time::sleep(backoff(idle)).await,
        }
        at = come;
    }
}

/// How many bytes the bucket has.
fn stored(answer: &Document) -> Option<u64> {
    let Some(range) = answer.headers.get(RANGE) else {
        return Some(0);
    };
    let last = range.to_str().ok()?.strip_prefix("bytes=0-")?;
    last.parse::<u64>().ok()?.checked_add(1)
}

/// Where the parts of a large object are sent.
async fn begin(
    writer: &BucketWriter,
    key: &str,
    size: u64,
    condition: &Precondition,
) -> Result<Option<String>, Error> {
    let url = upload_url(writer, key, "resumable", condition);
    let mut headers = HeaderMap::new();
    headers.insert(
        HeaderName::from_static("x-upload-content-length"),
        HeaderValue::from(size),
    );
    let ask = Ask {
        method: Method::POST,
        headers,
        accept: &[200, 201, REFUSED[0], REFUSED[1]],
        ..changing()
    };
    let answer = writer.client.change(key, &url, ask).await?;
    if REFUSED.contains(&answer.status) {
        return Ok(None);
    }
    let place = answer.headers.get(LOCATION).and_then(|at| at.to_str().ok());
    let base = writer.client.google();
    let ours = place.filter(|place| {
        let rest = place.strip_prefix(base);
        rest.is_some_and(|rest| rest.starts_with(['/', '?']))
    });
    match ours {
        Some(place) => Ok(Some(place.to_owned())),
        None => Err(writer.odd("it names no place of its own to send the parts to")),
    }
}
