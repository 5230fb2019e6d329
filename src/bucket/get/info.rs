//! What a bucket tells of one object when it is asked about it alone.

use std::time::SystemTime;

use http::header::{CONTENT_LENGTH, ETAG, LAST_MODIFIED};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::bucket::client::BucketClient;
use crate::bucket::list::{object, object_url, quoted};
use crate::bucket::{Error, ObjectInfo};
use crate::checksum::Hashes;
use crate::fetch::{Ask, Document};

/// Longest description of one object, in bytes.
const MAX_INFO: usize = 256 << 10;

const SUM: HeaderName = HeaderName::from_static("x-amz-checksum-crc32c");
const MODE: HeaderName = HeaderName::from_static("x-amz-checksum-mode");

/// The object with this key, if there is one.
pub(crate) async fn info(client: &BucketClient, key: &str) -> Result<Option<ObjectInfo>, Error> {
    let shown = client.shown(key);
    let (url, method, headers) = match client.is_amazon() {
        true => {
            let mode = HeaderMap::from_iter([(MODE, HeaderValue::from_static("ENABLED"))]);
            (client.object_url(key), Method::HEAD, mode)
        }
        false => {
            let url = object_url(client.google(), client.name(), key);
            (url, Method::GET, HeaderMap::new())
        }
    };
    let ask = Ask {
        method,
        headers,
        max: MAX_INFO,
        accept: &[200],
        ..Ask::default()
    };
    let answer = match client.ask(&shown, &url, ask).await {
        Ok(answer) => answer,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error),
    };
    let read = match client.is_amazon() {
        true => from_headers(key, &answer),
        false => object(&answer.body),
    };
    read.map(Some)
        .map_err(|why| Error::unreadable(&shown, &why))
}

fn from_headers(key: &str, answer: &Document) -> Result<ObjectInfo, String> {
    let text = |name: &HeaderName| {
        let value = answer.headers.get(name);
        value.and_then(|value| value.to_str().ok())
    };
    let size = text(&CONTENT_LENGTH).and_then(|text| text.trim().parse().ok());
    let mtime = text(&LAST_MODIFIED).and_then(|text| httpdate::parse_http_date(text).ok());
    Ok(ObjectInfo {
        key: key.to_owned(),
        size: size.ok_or("an object has no size")?,
        version: text(&ETAG).map(quoted).unwrap_or_default(),
        mtime: mtime.unwrap_or(SystemTime::UNIX_EPOCH),
        // What is no checksum of all bytes, but of checksums (`...-3`), is left out.
        hashes: Hashes::of_base64(text(&SUM), None),
    })
}
