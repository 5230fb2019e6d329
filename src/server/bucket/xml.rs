//! The XML surface: listings of both versions.

use std::fmt::Write;

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::Object;
use super::json::timestamp;
use super::listing::{MAX_RESULTS, Page, Query};

/// Text in an element.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            // No escape can say a control character in XML.
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A page, as the second version of the listing or the first.
pub fn page(bucket: &str, query: &Query, second: bool, page: &Page<Object>) -> Response {
    let mut out = String::from(
        "<?xml version='1.0' encoding='UTF-8'?><ListBucketResult xmlns='http://doc.s3.amazonaws.com/2006-03-01'>",
    );
    let mut element = |name: &str, text: &str| {
        let _ = write!(out, "<{name}>{}</{name}>", escape(text));
    };
    element("Name", bucket);
    element("Prefix", &query.prefix);
    if let Some(delimiter) = &query.delimiter {
        element("Delimiter", delimiter);
    }
    let max = query.max.unwrap_or(MAX_RESULTS).min(MAX_RESULTS);
    element("MaxKeys", &max.to_string());
    if second {
        let count = page.objects.len() + page.prefixes.len();
        element("KeyCount", &count.to_string());
    }
    let more = page.next.is_some();
    element("IsTruncated", if more { "true" } else { "false" });
    match &page.next {
        Some(mark) if second => element("NextContinuationToken", &mark.token()),
        Some(mark) => element("NextMarker", mark.name()),
        None => {}
    }
    for object in &page.objects {
        let _ = write!(
            out,
            "<Contents><Key>{}</Key><Generation>{}</Generation><MetaGeneration>1</MetaGeneration>\
             <LastModified>{}</LastModified><ETag>{}</ETag><Size>{}</Size></Contents>",
            escape(&object.name),
            object.stamp.generation(),
            timestamp(&object.stamp),
            escape(&object.stamp.etag()),
            object.stamp.len,
        );
    }
    for prefix in &page.prefixes {
        let _ = write!(
            out,
            "<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>",
            escape(prefix)
        );
    }
    out += "</ListBucketResult>";
    let headers = [(CONTENT_TYPE, "application/xml; charset=UTF-8")];
    (headers, out).into_response()
}
