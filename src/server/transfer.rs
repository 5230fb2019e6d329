//! An archive as an answer: validators, hashes, ranges.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    HeaderName, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, RANGE,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Response as HttpResponse, StatusCode};
use axum::response::Response;

use super::archive::Archive;
use super::digest::Digests;
use super::range::{self, Wanted};
use super::{Error, body};

const GOOG_HASH: HeaderName = HeaderName::from_static("x-goog-hash");
const GOOG_GENERATION: HeaderName = HeaderName::from_static("x-goog-generation");

/// Answers a GET or HEAD for `archive`, which is the version `name`.
///
/// # Errors
/// Those of opening it.
pub async fn respond(
    name: &str,
    archive: &Arc<Archive>,
    request: &Parts,
) -> Result<Response, Error> {
    let (len, etag) = (archive.len, &archive.etag);
    let asked = |header: HeaderName| {
        request
            .headers
            .get(header)
            .and_then(|value| value.to_str().ok())
    };
    let head = request.method == Method::HEAD;
    let mut wanted = Wanted::Whole;
    // A range has a meaning in GET alone.
    if !head && range::range_holds(asked(IF_RANGE), etag, archive.modified) {
        wanted = range::wanted(asked(RANGE), len);
    }
    let unchanged = range::none_match_hits(asked(IF_NONE_MATCH), etag);
    let (status, part) = match wanted {
        _ if unchanged => (StatusCode::NOT_MODIFIED, 0..0),
        Wanted::Whole => (StatusCode::OK, 0..len),
        Wanted::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
        Wanted::Unsatisfiable => (StatusCode::RANGE_NOT_SATISFIABLE, 0..0),
    };
    let content = if head || part.is_empty() {
        Body::empty()
    } else {
        let (archive, lost) = (Arc::clone(archive), |e: tokio::task::JoinError| {
            Error::Lost {
                name: name.into(),
                why: e.to_string(),
            }
        });
        let file = tokio::task::spawn_blocking(move || archive.open())
            .await
            .map_err(lost)??;
        body::of(file, part.clone())
    };
    let mut response = HttpResponse::new(content);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    describe(headers, name, archive);
    if status == StatusCode::PARTIAL_CONTENT {
        put(
            headers,
            CONTENT_RANGE,
            format!("bytes {}-{}/{len}", part.start, part.end - 1),
        );
    } else if status == StatusCode::RANGE_NOT_SATISFIABLE {
        put(headers, CONTENT_RANGE, format!("bytes */{len}"));
    }
    if status != StatusCode::NOT_MODIFIED {
        headers.insert(CONTENT_LENGTH, (part.end - part.start).into());
    }
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

/// Adds a line. All values are made here of hex, base64, digits, dates and the
/// catalogue's characters, none of which a header refuses.
fn put(headers: &mut HeaderMap, name: HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.append(name, value);
    }
}
