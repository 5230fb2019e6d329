//! The XML surface: listings of both versions, and errors.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Object;
use super::json::timestamp;
use super::listing::{MAX_RESULTS, Page, Query};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListBucketResult<'a> {
    #[serde(rename = "@xmlns")]
    namespace: &'static str,
    name: &'a str,
    prefix: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    delimiter: Option<&'a str>,
    max_keys: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_count: Option<usize>,
    is_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_continuation_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<&'a str>,
    contents: Vec<Contents<'a>>,
    common_prefixes: Vec<CommonPrefix<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Contents<'a> {
    key: &'a str,
    generation: u64,
    #[serde(rename = "MetaGeneration")]
    metageneration: u8,
    last_modified: String,
    #[serde(rename = "ETag")]
    etag: String,
    size: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CommonPrefix<'a> {
    prefix: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Error<'a> {
    code: &'a str,
    message: &'a str,
}

/// A page, as the second version of the listing or the first.
pub fn page(bucket: &str, query: &Query, second: bool, page: &Page<Object>) -> Response {
    let contents = page.objects.iter().map(|object| Contents {
        key: &object.name,
        generation: object.stamp.generation(),
        metageneration: 1,
        last_modified: timestamp(&object.stamp),
        etag: object.stamp.etag(),
        size: object.stamp.len,
    });
    let next = page.next.as_ref();
    let result = ListBucketResult {
        namespace: "http://doc.s3.amazonaws.com/2006-03-01",
        name: bucket,
        prefix: &query.prefix,
        delimiter: query.delimiter.as_deref(),
        max_keys: query.max.unwrap_or(MAX_RESULTS).min(MAX_RESULTS),
        key_count: second.then(|| page.objects.len() + page.prefixes.len()),
        is_truncated: next.is_some(),
        next_continuation_token: next.filter(|_| second).map(|mark| mark.token()),
        next_marker: next.filter(|_| !second).map(|mark| mark.name()),
        contents: contents.collect(),
        common_prefixes: page
            .prefixes
            .iter()
            .map(|prefix| CommonPrefix { prefix })
            .collect(),
    };
    document(StatusCode::OK, &result)
}

/// An error.
pub fn error(status: StatusCode, code: &str, message: &str) -> Response {
    document(status, &Error { code, message })
}

fn document(status: StatusCode, value: &impl Serialize) -> Response {
    match quick_xml::se::to_string(value) {
        Ok(text) => {
            let headers = [(CONTENT_TYPE, "application/xml; charset=UTF-8")];
            let text = format!("<?xml version='1.0' encoding='UTF-8'?>{text}");
            (status, headers, text).into_response()
        }
        // Strings and numbers can always be written.
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
