//! Writing to Google Cloud Storage: its JSON surface (cloud.google.com/storage/docs/json_api/v1/objects/insert). Of large
//! objects every part is told how far the bucket has come (cloud.google.com/storage/docs/performing-resumable-uploads).

use bytes::Bytes;
use http::header::{CONTENT_RANGE, LOCATION, RANGE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::unfinished::{Begun, Upload};
use super::{Known, Local, Only, PART, REFUSED, Writer, one};
use crate::checksum::{Crc32c, crc32c};
use crate::fetch::{self, Document, Submit, backoff};
use crate::source::Error;
use crate::source::bucket::google::object;

const FIELDS: &str = "name%2Csize%2Cgeneration%2Cupdated%2Cmd5Hash%2Ccrc32c";

/// Answers without progress before the bucket is given up.
const MAX_IDLE: u32 = 8;

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn url(writer: &Writer, key: &str) -> String {
    let (base, bucket) = (writer.access.google(), &*writer.access.bucket);
    format!("{base}/storage/v1/b/{bucket}/o/{}", encoded(key))
}

pub(super) fn delete_url(writer: &Writer, key: &str, version: &str) -> String {
    format!(
        "{}?ifGenerationMatch={}",
        url(writer, key),
        encoded(version)
    )
}

fn upload_url(writer: &Writer, key: &str, kind: &str, only: &Only) -> String {
    let (base, bucket) = (writer.access.google(), &*writer.access.bucket);
    let generation = match only {
        Only::New => String::from("0"),
        Only::Instead(version) => encoded(version),
    };
    format!(
        "{base}/upload/storage/v1/b/{bucket}/o?uploadType={kind}&name={}&ifGenerationMatch={generation}&fields={FIELDS}",
        encoded(key)
    )
}

/// What is told of an object.
pub(super) async fn known(writer: &Writer, key: &str) -> Result<Known, Error> {
    let url = format!("{}?fields={FIELDS}", url(writer, key));
    let (access, model) = (&writer.access, writer.access.shown(key));
    let told = access
        .attempt(|store| access.document(store, &url, &model, &[200]))
        .await?;
    read(writer, &told)
}

fn read(writer: &Writer, told: &Document) -> Result<Known, Error> {
    let entry = object(&told.body).map_err(|why| writer.odd(&why))?;
    Ok(Known::of(entry))
}

/// Sends a small object; `None` if the condition does not hold.
pub(super) async fn put(
    writer: &Writer,
    key: &str,
    bytes: Bytes,
    only: &Only,
) -> Result<Option<String>, Error> {
    let url = upload_url(writer, key, "media", only);
    let accept = [200, 201, REFUSED[0], REFUSED[1]];
    let sum = crc32c(&bytes);
    let told = writer
        .request(key, &url, Method::POST, HeaderMap::new(), bytes, &accept)
        .await?;
    match REFUSED.contains(&told.status) {
        true => Ok(None),
        false => checked(writer, key, &told, sum).await.map(Some),
    }
}

/// The version of what was stored, which goes again if it is not what was sent.
async fn checked(writer: &Writer, key: &str, told: &Document, sum: u32) -> Result<String, Error> {
    let stored = read(writer, told)?;
    if stored.crc32c.is_none_or(|told| told == sum) {
        return Ok(stored.version);
    }
    writer.remove(key, &stored.version).await?;
    Err(Error::Failed {
        model: writer.access.shown(key),
        why: String::from("the bucket has stored other bytes than were sent"),
        advice: String::from("they were deleted again; look for what changes them on the way"),
    })
}

/// Sends a large object in parts; `None` if the condition does not hold.
pub(super) async fn send(
    writer: &Writer,
    key: &str,
    local: &dyn Local,
    size: u64,
    only: &Only,
) -> Result<Option<String>, Error> {
    let Some(session) = begin(writer, key, size, only).await? else {
        return Ok(None);
    };
    let upload = Upload::new(writer, key, Begun::Session(session.clone()));
    let sent = send_parts(writer, key, local, size, &session).await;
    upload.end(matches!(sent, Ok(Some(_)))).await;
    sent
}

/// Gives up what was sent to a session: 499, says Google.
pub(super) async fn abort(writer: &Writer, session: &str) -> Result<(), fetch::Error> {
    let submit = Submit {
        method: Method::DELETE,
        accept: &[200, 204, 404, 410, 499],
        ..Submit::default()
    };
    let told = writer.access.client.submit(session, submit).await;
    told.map(drop)
}

async fn send_parts(
    writer: &Writer,
    key: &str,
    local: &dyn Local,
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
        let submit = Submit {
            method: Method::PUT,
            headers: one(CONTENT_RANGE, &range),
            body: bytes,
            // A place that is no more has come to its end, which the answer that was lost told.
            accept: &[200, 201, 308, 404, 409, 410, 412],
        };
        // The session's URL is all that it takes; nobody is told who asks.
        let told = writer.access.client.submit(session, submit).await;
        let told = told.map_err(|why| {
            let access = &writer.access;
            Error::told(access.shown(key), &why, access.advice(&why))
        })?;
        match told.status {
            200 | 201 => return checked(writer, key, &told, sum.value()).await.map(Some),
            308 => {}
            _ => return Ok(None),
        }
        let come = stored(&told).filter(|come| (at..=end).contains(come));
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
fn stored(told: &Document) -> Option<u64> {
    let Some(range) = told.headers.get(RANGE) else {
        return Some(0);
    };
    let last = range.to_str().ok()?.strip_prefix("bytes=0-")?;
    last.parse::<u64>().ok()?.checked_add(1)
}

/// Where the parts of a large object are sent.
async fn begin(
    writer: &Writer,
    key: &str,
    size: u64,
    only: &Only,
) -> Result<Option<String>, Error> {
    let url = upload_url(writer, key, "resumable", only);
    let mut headers = HeaderMap::new();
    headers.insert(
        HeaderName::from_static("x-upload-content-length"),
        HeaderValue::from(size),
    );
    let accept = [200, 201, REFUSED[0], REFUSED[1]];
    let told = writer
        .request(key, &url, Method::POST, headers, Bytes::new(), &accept)
        .await?;
    if REFUSED.contains(&told.status) {
        return Ok(None);
    }
    let place = told.headers.get(LOCATION).and_then(|at| at.to_str().ok());
    let base = writer.access.google();
    let ours = place.filter(|place| {
        let rest = place.strip_prefix(&base);
        rest.is_some_and(|rest| rest.starts_with(['/', '?']))
    });
    match ours {
        Some(place) => Ok(Some(place.to_owned())),
        None => Err(writer.odd("it names no place of its own to send the parts to")),
    }
}
