//! An archive as an answer: validators, hashes, ranges.

use std::ops::Range;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    HeaderName, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, RANGE,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Response as HttpResponse, StatusCode};
use axum::response::Response;

use super::archive::Archive;
use super::confine::Root;
use super::digest::Digests;
use super::range::{self, Wanted};
use super::{Error, blocking, body};

const GOOG_HASH: HeaderName = HeaderName::from_static("x-goog-hash");
const GOOG_GENERATION: HeaderName = HeaderName::from_static("x-goog-generation");

/// What of a body is sent, and how that is said.
pub struct Sending {
    status: StatusCode,
    len: u64,
    /// The bytes that are sent to a GET.
    pub part: Range<u64>,
    /// Them; empty unless set.
    pub content: Body,
}

impl Sending {
    /// What `request` wants of a body of `len` bytes in this version.
    pub fn of(request: &Parts, len: u64, etag: &str, modified: SystemTime) -> Sending {
        let asked = |header: HeaderName| {
            let value = request.headers.get(header);
            value.and_then(|value| value.to_str().ok())
        };
        let mut wanted = Wanted::Whole;
        // A range has a meaning in GET alone.
        if request.method != Method::HEAD && range::range_holds(asked(IF_RANGE), etag, modified) {
            wanted = range::wanted(asked(RANGE), len);
        }
        let (status, part) = match wanted {
            _ if range::none_match_hits(asked(IF_NONE_MATCH), etag) => {
                (StatusCode::NOT_MODIFIED, 0..0)
            }
            Wanted::Whole => (StatusCode::OK, 0..len),
            Wanted::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
            Wanted::Unsatisfiable => (StatusCode::RANGE_NOT_SATISFIABLE, 0..0),
        };
        Sending {
            status,
            len,
            part,
            content: Body::empty(),
        }
    }

    /// The answer, without what is true of the body whatever part of it is sent.
    pub fn response(self) -> Response {
        let Sending { part, len, .. } = self;
        let mut response = HttpResponse::new(self.content);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if self.status == StatusCode::PARTIAL_CONTENT {
            let said = format!("bytes {}-{}/{len}", part.start, part.end - 1);
            put(headers, CONTENT_RANGE, said);
        } else if self.status == StatusCode::RANGE_NOT_SATISFIABLE {
            put(headers, CONTENT_RANGE, format!("bytes */{len}"));
        }
        if self.status != StatusCode::NOT_MODIFIED {
            headers.insert(CONTENT_LENGTH, (part.end - part.start).into());
        }
        response
    }
}

/// Answers a GET or HEAD for `archive`, which is the version `name`.
///
/// # Errors
/// Those of opening it.
pub async fn respond(
    name: &str,
    root: &Arc<Root>,
    archive: &Arc<Archive>,
    request: &Parts,
) -> Result<Response, Error> {
    let mut sending = Sending::of(request, archive.len, &archive.etag, archive.modified);
    if request.method != Method::HEAD && !sending.part.is_empty() {
        let (root, opened) = (Arc::clone(root), Arc::clone(archive));
        let (file, state) = blocking(name, move || opened.open(&root)).await?;
        sending.content = body::of(file, sending.part.clone(), state);
    }
    let mut response = sending.response();
    describe(response.headers_mut(), name, archive);
    Ok(response)
}

/// What is true of the archive, whatever part of it is sent. The hashes are of
/// the whole, also in a 206, as Cloud Storage has it.
fn describe(headers: &mut HeaderMap, name: &str, archive: &Archive) {
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static(archive.suffix.content_type()),
    );
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    put(headers, ETAG, archive.etag.clone());
    put(
        headers,
        LAST_MODIFIED,
        httpdate::fmt_http_date(archive.modified),
    );
    let file_name = format!("{}{}", name.replace('/', "-"), archive.suffix.text());
    put(
        headers,
        CONTENT_DISPOSITION,
        format!("attachment; filename=\"{file_name}\""),
    );
    for hash in archive.digests().into_iter().flat_map(Digests::goog_hashes) {
        put(headers, GOOG_HASH, hash);
    }
    let age = archive
        .modified
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    put(headers, GOOG_GENERATION, age.as_micros().to_string());
}

/// Adds a line. All values are made in this room of hex, base64, digits, dates
/// and the index's characters, none of which a header refuses.
pub fn put(headers: &mut HeaderMap, name: HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.append(name, value);
    }
}
