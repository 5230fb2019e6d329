//! The JSON surface: all numbers are strings, empty lists are left out.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::checksums::Sums;
use super::listing::Page;
use super::{Object, encoded};
use crate::server::origin::Origin;
use crate::server::survey::Stamp;

/// The entity tag on this surface, which differs from the one of the bytes.
pub fn etag(stamp: &Stamp) -> String {
    STANDARD.encode(stamp.generation().to_be_bytes())
}

/// A bucket.
pub fn bucket(origin: &Origin) -> Value {
    let name = &origin.bucket;
    json!({
        "kind": "storage#bucket",
        "id": name,
        "name": name,
        "selfLink": format!("{}/storage/v1/b/{name}", origin.url),
        "location": "LOCAL",
        "locationType": "region",
        "storageClass": "STANDARD",
        "metageneration": "1",
        "timeCreated": "1970-01-01T00:00:00Z",
        "updated": "1970-01-01T00:00:00Z",
        "etag": "CAE=",
    })
}

/// An object.
pub fn object(origin: &Origin, object: &Object, sums: Option<Sums>) -> Value {
    let (bucket, generation) = (&origin.bucket, object.stamp.generation().to_string());
    let path = format!("storage/v1/b/{bucket}/o/{}", encoded(&object.name));
    let time = timestamp(&object.stamp);
    let mut value = json!({
        "kind": "storage#object",
        "id": format!("{bucket}/{}/{generation}", object.name),
        "selfLink": format!("{}/{path}", origin.url),
        "mediaLink": format!("{}/download/{path}?generation={generation}&alt=media", origin.url),
        "name": object.name,
        "bucket": bucket,
        "generation": generation,
        "metageneration": "1",
        "contentType": "application/octet-stream",
        "storageClass": "STANDARD",
        "size": object.stamp.len.to_string(),
        "etag": etag(&object.stamp),
        "timeCreated": time,
        "updated": time,
    });
    if let Some(sums) = sums {
        value["crc32c"] = sums.crc32c().into();
        if let Some(md5) = sums.md5() {
            value["md5Hash"] = md5.into();
        }
    }
    value
}

/// A page of a listing.
pub fn page(origin: &Origin, page: &Page<Object>, sums: &[Option<Sums>]) -> Value {
    let mut value = Map::new();
    value.insert("kind".to_owned(), "storage#objects".into());
    if let Some(mark) = &page.next {
        value.insert("nextPageToken".to_owned(), mark.token().into());
    }
    if !page.prefixes.is_empty() {
        value.insert("prefixes".to_owned(), page.prefixes.clone().into());
    }
    if !page.objects.is_empty() {
        let items: Vec<_> = page.objects.iter().zip(sums).collect();
        let items = items
            .into_iter()
            .map(|(one, sums)| object(origin, one, *sums));
        value.insert("items".to_owned(), items.collect());
    }
    Value::Object(value)
}

/// An answer.
pub fn response(value: &Value) -> Response {
    let headers = [
        (CONTENT_TYPE, "application/json; charset=UTF-8"),
        (CACHE_CONTROL, "no-cache, no-store, max-age=0"),
    ];
    (headers, value.to_string()).into_response()
}

/// RFC 3339, as Cloud Storage writes it.
pub fn timestamp(stamp: &Stamp) -> String {
    let modified = jiff::Timestamp::try_from(stamp.modified()).unwrap_or_default();
    modified.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}
