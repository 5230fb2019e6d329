//! What object_store gets to see of an answer. It insists on headers that a part of an object does not need, and refuses
//! the whole answer for one that it cannot read: a date with the wrong weekday, a user's remark with an umlaut.

use std::time::SystemTime;

use async_trait::async_trait;
use http::header::{
    CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED,
};
use object_store::client::{
    ClientOptions, HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService,
};

use crate::fetch::Connector;

const GENERATION: HeaderName = HeaderName::from_static("x-goog-generation");
const STORED_LENGTH: HeaderName = HeaderName::from_static("x-goog-stored-content-length");

/// Gives object_store our client, and of its answers what matters.
#[derive(Debug)]
pub(super) struct Answers {
    connector: Connector,
    /// An ETag has to be there: Google's, where the generation tells versions apart.
    etag: bool,
}

impl Answers {
    pub(super) fn new(connector: Connector, etag: bool) -> Answers {
        Answers { connector, etag }
    }
}

impl HttpConnector for Answers {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let (client, etag) = (self.connector.connect(options)?, self.etag);
        Ok(HttpClient::new(Service { client, etag }))
    }
}

#[derive(Debug)]
struct Service {
    client: HttpClient,
    etag: bool,
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let mut answer = self.client.execute(request).await?;
        let kept = kept(answer.headers(), self.etag);
        *answer.headers_mut() = kept;
        Ok(answer)
    }
}

fn kept(told: &HeaderMap, etag: bool) -> HeaderMap {
    let text = |name: &HeaderName| told.get(name).and_then(|value| value.to_str().ok());
    let number = |name: &HeaderName| text(name).and_then(|text| text.trim().parse::<u64>().ok());
    let mut kept = HeaderMap::new();
    for name in [CONTENT_RANGE, ETAG, GENERATION] {
        if let Some(value) = told.get(&name).filter(|value| value.to_str().is_ok()) {
            kept.insert(name, value.clone());
        }
    }
    let length = number(&CONTENT_LENGTH)
        .or_else(|| span(text(&CONTENT_RANGE)?))
        .or_else(|| number(&STORED_LENGTH));
    if let Some(length) = length {
        kept.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    let modified = text(&LAST_MODIFIED).and_then(|text| httpdate::parse_http_date(text).ok());
    let modified = httpdate::fmt_http_date(modified.unwrap_or(SystemTime::UNIX_EPOCH));
    if let Ok(modified) = HeaderValue::from_str(&modified) {
        kept.insert(LAST_MODIFIED, modified);
    }
    if etag && !kept.contains_key(ETAG) {
        kept.insert(ETAG, HeaderValue::from_static("\"\""));
    }
    kept
}

/// How many bytes a `Content-Range` is about.
fn span(text: &str) -> Option<u64> {
    let (first, last) = text
        .strip_prefix("bytes ")?
        .split_once('/')?
        .0
        .split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    last.checked_sub(first)?.checked_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_odd_spoils_nothing() {
        let mut told = HeaderMap::new();
        told.insert(CONTENT_RANGE, HeaderValue::from_static("bytes 2-4/10"));
        told.insert(
            "last-modified",
            HeaderValue::from_static("Thu, 01 Jan 2024 00:00:00 GMT"),
        );
        let remark = HeaderValue::from_bytes(b"\xfc").unwrap();
        told.insert("x-goog-meta-remark", remark);
        let kept = super::kept(&told, true);
        assert_eq!(kept[CONTENT_LENGTH], "3");
        assert_eq!(kept[ETAG], "\"\"");
        assert!(!kept.contains_key("x-goog-meta-remark"));
        assert!(!super::kept(&told, false).contains_key(ETAG));
        for odd in [
            "bytes */10",
            "bytes 4-2/10",
            "bytes 0-18446744073709551615/1",
            "x",
        ] {
            told.insert(CONTENT_RANGE, HeaderValue::from_static(odd));
            assert!(
                !super::kept(&told, true).contains_key(CONTENT_LENGTH),
                "{odd}"
            );
        }
    }
}
