//! The bytes of an object, with the headers of Cloud Storage.

use std::fs::File;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{ACCEPT_RANGES, CONTENT_TYPE, ETAG, HeaderName, IF_MATCH, LAST_MODIFIED};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::Response;

use super::answer::{Parameters, SUMS_WITHIN};
use super::checksums::{SMALL, Sums};
use super::fault::{Fault, Surface};
use super::{Bucket, Object, json};
use crate::server::survey::Stamp;
use crate::server::transfer::{Sending, put};
use crate::server::{Error, blocking, body};

/// How long the bytes of an object wait for its checksums. Those of a small object are there by then.
const SUMMED_WITHIN: Duration = Duration::from_millis(20);

impl Bucket {
    /// Answers a GET or HEAD for the bytes of the object called `name`.
    pub async fn send(&self, name: &str, request: &Parts, surface: Surface) -> Response {
        match self.sent(name, request, surface).await {
            Ok(response) => response,
            Err(fault) => fault.response(surface),
        }
    }

    async fn sent(&self, name: &str, request: &Parts, surface: Surface) -> Result<Response, Fault> {
        let conditions = Parameters::of(request);
        let none = || Fault::NoObject(self.name.clone(), name.to_owned());
        let object = self.find(name).await.map_err(Fault::Failed)?;
        let object = object.ok_or_else(none)?;
        let (file, stamp) = match self.open(&object).await {
            Ok(opened) => opened,
            Err(error) if error.is_gone() => return Err(none()),
            Err(error) => return Err(Fault::Failed(error)),
        };
        let object = Object { stamp, ..object };
        if !conditions.check(&object.stamp)? {
            return Err(none());
        }
        if conditions.is_known(&object.stamp) {
            return Ok(not_modified());
        }
        let tag = match surface {
            Surface::Xml => stamp.etag(),
            Surface::Json | Surface::Media => format!("\"{}\"", json::etag(&stamp)),
        };
        check_match(&request.headers, &tag)?;
        let head = request.method == Method::HEAD;
        let asked = self.sums.ask(&[(&object.path, stamp)]);
        let patience = match head {
            true => SUMS_WITHIN,
            false if asked.begun || stamp.len <= SMALL => SUMMED_WITHIN,
            // Not every range of a huge object waits for what takes seconds.
            false => Duration::ZERO,
        };
        let sums = asked.within(patience).await;
        let mut sending = Sending::of(request, stamp.len, &tag, stamp.modified());
        if !head && !sending.part.is_empty() {
            sending.content = body::of(file, sending.part.clone(), Some(stamp));
        }
        let mut response = sending.response();
        describe(
            response.headers_mut(),
            surface,
            &stamp,
            &tag,
            sums.first().copied().flatten(),
        );
        Ok(response)
    }

    async fn open(&self, object: &Object) -> Result<(Arc<File>, Stamp), Error> {
        let (root, path) = (Arc::clone(&self.root), object.path.clone());
        blocking(&object.name, move || {
            let opened = root.open(&path).and_then(|file| {
                let stamp = Stamp::of(&file.metadata()?);
                Ok((Arc::new(file), stamp))
            });
            opened.map_err(|e| Error::read(&path, e))
        })
        .await
    }
}

/// The answer to who has this generation already.
pub fn not_modified() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response
}

fn check_match(headers: &HeaderMap, tag: &str) -> Result<(), Fault> {
    let asked = headers.get(IF_MATCH).and_then(|value| value.to_str().ok());
    let holds = |tags: &str| tags.split(',').map(str::trim).any(|t| t == "*" || t == tag);
    if asked.is_none_or(holds) {
        Ok(())
    } else {
        Err(Fault::Precondition)
    }
}

/// What is true of the object, whatever part of it is sent.
fn describe(
    headers: &mut HeaderMap,
    surface: Surface,
    stamp: &Stamp,
    tag: &str,
    sums: Option<Sums>,
) {
    let plain = |name| HeaderName::from_static(name);
    for (name, value) in [
        (CONTENT_TYPE, "application/octet-stream"),
        (ACCEPT_RANGES, "bytes"),
        (plain("x-goog-metageneration"), "1"),
        (plain("x-goog-stored-content-encoding"), "identity"),
        (plain("x-goog-storage-class"), "STANDARD"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    put(headers, ETAG, tag.to_owned());
    put(
        headers,
        LAST_MODIFIED,
        httpdate::fmt_http_date(stamp.modified()),
    );
    put(
        headers,
        plain("x-goog-generation"),
        stamp.generation().to_string(),
    );
    put(
        headers,
        plain("x-goog-stored-content-length"),
        stamp.len.to_string(),
    );
    let hashes = sums.into_iter().flat_map(|sums| {
        let crc32c = format!("crc32c={}", sums.crc32c());
        iter::once(crc32c).chain(sums.md5().map(|md5| format!("md5={md5}")))
    });
    let hashes: Vec<_> = hashes.collect();
    // The JSON surface says them in one line, the XML surface in two; clients of each rely on it.
    let lines = match surface {
        Surface::Xml => hashes,
        Surface::Json | Surface::Media => vec![hashes.join(",")],
    };
    for line in lines.into_iter().filter(|line| !line.is_empty()) {
        put(headers, plain("x-goog-hash"), line);
    }
}
