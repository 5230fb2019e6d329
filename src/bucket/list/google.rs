//! Google Cloud Storage's JSON listings (cloud.google.com/storage/docs/json_api/v1/objects/list).

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::page::Listed;
use crate::bucket::ObjectInfo;
use crate::bucket::object::parse_time;
use crate::checksum::Hashes;

/// What of a listing is asked for.
const FIELDS: &str = "nextPageToken,prefixes,items(name,size,generation,updated,md5Hash,crc32c)";
/// What of one object is asked for.
const OBJECT: &str = "name,size,generation,updated,md5Hash,crc32c";

/// The URL of one page.
pub(super) fn list_url(
    base: &str,
    bucket: &str,
    prefix: &str,
    token: Option<&str>,
    delimited: bool,
    most: usize,
) -> String {
    let mut url = format!(
        "{base}/storage/v1/b/{bucket}/o?prefix={}&maxResults={most}&fields={}",
        encoded(prefix),
        encoded(FIELDS)
    );
    if delimited {
        url.push_str("&delimiter=%2F");
    }
    if let Some(token) = token {
        url.push_str("&pageToken=");
        url.push_str(&encoded(token));
    }
    url
}

/// The URL that tells of one object.
pub(crate) fn object_url(base: &str, bucket: &str, key: &str) -> String {
    let key = encoded(key);
    format!(
        "{base}/storage/v1/b/{bucket}/o/{key}?fields={}",
        encoded(OBJECT)
    )
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "nextPageToken")]
    next: Option<String>,
    prefixes: Option<Vec<String>>,
    items: Option<Vec<Item>>,
    /// What a refusal has, which some send with status 200.
    error: Option<IgnoredAny>,
}

/// Numbers come as strings, from Google.
#[derive(Deserialize)]
struct Item {
    name: String,
    size: Option<Value>,
    generation: Option<Value>,
    updated: Option<String>,
    #[serde(rename = "md5Hash")]
    md5: Option<String>,
    crc32c: Option<String>,
}

/// Reads a page. `Err` says what is wrong with it.
pub(super) fn page(body: &[u8]) -> Result<Listed, String> {
    let answer: Answer = serde_json::from_slice(body).map_err(|why| why.to_string())?;
    if answer.error.is_some() {
        return Err(String::from("it is an error and no listing"));
    }
    let items = answer.items.unwrap_or_default().into_iter();
    Ok(Listed {
        entries: items.map(entry).collect::<Result<_, _>>()?,
        prefixes: answer.prefixes.unwrap_or_default(),
        next: answer.next.filter(|next| !next.is_empty()),
    })
}

/// Reads the metadata of one object.
pub(crate) fn object(body: &[u8]) -> Result<ObjectInfo, String> {
    let item = serde_json::from_slice(body).map_err(|why| why.to_string())?;
    entry(item)
}

fn entry(item: Item) -> Result<ObjectInfo, String> {
    Ok(ObjectInfo {
        size: number("size", item.size.as_ref())?,
        version: number("generation", item.generation.as_ref())?.to_string(),
        mtime: parse_time(item.updated.as_deref()),
        hashes: Hashes::of_base64(item.crc32c.as_deref(), item.md5.as_deref()),
        key: item.name,
    })
}

fn number(what: &str, told: Option<&Value>) -> Result<u64, String> {
    let digits = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
    let number = match told {
        Some(Value::String(text)) => Some(text.as_str())
            .filter(digits)
            .and_then(|text| text.parse().ok()),
        Some(number) => number.as_u64(),
        None => None,
    };
    number.ok_or_else(|| format!("an object has no {what}"))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn a_page_is_read() {
        let body = br#"{"kind":"storage#objects","nextPageToken":"t","prefixes":["m/variables/"],"items":[
            {"name":"m/saved_model.pb","size":"7","generation":"1700000000000001","updated":"2024-05-01T10:00:00.123456789Z",
             "crc32c":"AAAAAA==","md5Hash":"1B2M2Y8AsgTpgAmY7PhCfg=="}]}"#;
        let listed = page(body).unwrap();
        assert_eq!(listed.prefixes, ["m/variables/"]);
        assert_eq!(listed.next.as_deref(), Some("t"));
        let entry = &listed.entries[0];
        assert_eq!((entry.key.as_str(), entry.size), ("m/saved_model.pb", 7));
        assert_eq!(entry.version, "1700000000000001");
        assert_eq!(entry.hashes.crc32c, Some(0));
        assert!(entry.hashes.md5.is_some() && entry.mtime > SystemTime::UNIX_EPOCH);
        for empty in ["{}", r#"{"items":null,"prefixes":null,"nextPageToken":""}"#] {
            let listed = page(empty.as_bytes()).unwrap();
            assert!(listed.len() == 0 && listed.next.is_none());
        }
    }

    #[test]
    fn what_is_no_listing_is_refused() {
        for body in [
            "",
            "<html>",
            "[]",
            "null",
            r#"{"error":{"code":403,"message":"no"}}"#,
            r#"{"items":[null]}"#,
            r#"{"items":{"a":"b"}}"#,
            r#"{"items":[{"name":"x"}]}"#,
            r#"{"items":[{"name":"x","size":"1"}]}"#,
            r#"{"items":[{"size":"1","generation":"1"}]}"#,
            r#"{"items":[{"name":"x","size":"+1","generation":"1"}]}"#,
            r#"{"items":[{"name":"x","size":1.5,"generation":"1"}]}"#,
            r#"{"items":[{"name":"x","size":"99999999999999999999","generation":"1"}]}"#,
            r#"{"items":[{"name":"\ud800","size":"1","generation":"1"}]}"#,
            &"[".repeat(100_000),
            r#"{"items":[{"name":"x","size":"-1","generation":"1"}]}"#,
            r#"{"items":[{"name":"x","size":"1","generation":"now"}]}"#,
        ] {
            assert!(page(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn what_is_asked_is_encoded() {
        let url = list_url("http://h", "b", "a b/%/", Some("x+/="), true, 5);
        assert!(
            url.starts_with("http://h/storage/v1/b/b/o?prefix=a%20b%2F%25%2F&maxResults=5&"),
            "{url}"
        );
        assert!(
            url.ends_with("&delimiter=%2F&pageToken=x%2B%2F%3D"),
            "{url}"
        );
        let url = object_url("http://h", "bucket", "a?/b#");
        assert!(
            url.starts_with("http://h/storage/v1/b/bucket/o/a%3F%2Fb%23?"),
            "{url}"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_key_comes_through(key in ".{0,40}", size in proptest::num::u64::ANY, text in proptest::bool::ANY) {
            let told = if text { Value::from(size.to_string()) } else { Value::from(size) };
            let item = serde_json::json!({"name": key, "size": told, "generation": "1"});
            let listed = page(serde_json::json!({"items": [item]}).to_string().as_bytes()).unwrap();
            proptest::prop_assert_eq!((&listed.entries[0].key, listed.entries[0].size), (&key, size));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = (page(&bytes), object(&bytes));
        }
    }
}
