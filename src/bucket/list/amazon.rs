//! S3's XML listings (docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html). Keys come percent-encoded, because
//! XML cannot carry every character that a key may have.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Deserialize;

use super::page::Listed;
use crate::bucket::ObjectInfo;
use crate::bucket::object::parse_time;
use crate::checksum::Hashes;

/// What a signature covers is encoded in exactly one way (RFC 3986, unreserved characters are left).
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The URL of one page; its query is sorted, as signing wants it.
pub(super) fn list_url(
    base: &str,
    prefix: &str,
    token: Option<&str>,
    delimited: bool,
    most: usize,
) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, QUERY).to_string();
    let token = token.map(|token| format!("continuation-token={}&", encoded(token)));
    let delimiter = if delimited { "delimiter=%2F&" } else { "" };
    format!(
        "{base}?{}{delimiter}encoding-type=url&list-type=2&max-keys={most}&prefix={}",
        token.unwrap_or_default(),
        encoded(prefix)
    )
}

/// An `<Error>` may come with status 200 too, and any other root is no listing either.
#[derive(Deserialize)]
enum Document {
    ListBucketResult(Answer),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    /// `url`, if what was asked for was done.
    encoding_type: Option<String>,
    is_truncated: Option<String>,
    next_continuation_token: Option<String>,
    #[serde(default)]
    contents: Vec<Contents>,
    #[serde(default)]
    common_prefixes: Vec<CommonPrefix>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Contents {
    key: String,
    size: u64,
    last_modified: Option<String>,
    #[serde(rename = "ETag")]
    etag: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CommonPrefix {
    prefix: String,
}

/// Reads a page. `Err` says what is wrong with it.
pub(super) fn page(body: &[u8]) -> Result<Listed, String> {
    let text = std::str::from_utf8(body).map_err(|why| why.to_string())?;
    let document = quick_xml::de::from_str(text).map_err(|why| why.to_string())?;
    let Document::ListBucketResult(answer) = document;
    let next = answer.next_continuation_token;
    let next = next.filter(|next| !next.is_empty());
    if answer.is_truncated.as_deref() == Some("true") && next.is_none() {
        return Err(String::from("it says that there is more, and not where"));
    }
    let is_encoded = answer.encoding_type.as_deref() == Some("url");
    let key = |key: String| match is_encoded {
        true => decoded(&key),
        false => key,
    };
    let contents = answer.contents.into_iter().map(|contents| ObjectInfo {
        key: key(contents.key),
        size: contents.size,
        mtime: parse_time(contents.last_modified.as_deref()),
        // An ETag may be an MD5, and may only look like one (encryption with a key of KMS): it is no checksum.
        hashes: Hashes::default(),
        version: quoted(&contents.etag),
    });
    let prefixes = answer.common_prefixes.into_iter();
    Ok(Listed {
        entries: contents.collect(),
        prefixes: prefixes.map(|common| key(common.prefix)).collect(),
        next,
    })
}

/// An ETag as `If-Match` wants it. Some leave the quotes out of listings.
pub(crate) fn quoted(etag: &str) -> String {
    match etag.trim() {
        bare if !bare.is_empty() && !bare.ends_with('"') => format!("\"{bare}\""),
        whole => whole.to_owned(),
    }
}

/// `+` is a space in this encoding, and what is no UTF-8 becomes U+FFFD.
fn decoded(key: &str) -> String {
    let key = key.replace('+', "%20");
    percent_decode_str(&key).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read() {
        let body = br#"<?xml version="1.0" encoding="UTF-8"?>
            <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix>m/</Prefix><KeyCount>2</KeyCount><EncodingType>url</EncodingType>
            <IsTruncated>true</IsTruncated><NextContinuationToken>t&amp;1</NextContinuationToken>
            <Contents><Key>m/a+b%0A</Key><LastModified>2024-05-01T10:00:00.000Z</LastModified><ETag>&quot;d41d&quot;</ETag><Size>7</Size></Contents>
            <Contents><Key>m/c%2Bd</Key><ETag>x-2</ETag><Size>0</Size><StorageClass>STANDARD</StorageClass></Contents>
            <CommonPrefixes><Prefix>m/v/</Prefix></CommonPrefixes>
            <Contents><Key>m/%FF</Key><ETag>"e"</ETag><Size>0</Size><Owner><ID>7</ID></Owner></Contents></ListBucketResult>"#;
        let listed = page(body).unwrap();
        assert_eq!(listed.next.as_deref(), Some("t&1"));
        assert_eq!(listed.prefixes, ["m/v/"]);
        let keys: Vec<&str> = listed
            .entries
            .iter()
            .map(|entry| entry.key.as_str())
            .collect();
        assert_eq!(keys, ["m/a b\n", "m/c+d", "m/\u{fffd}"]);
        assert_eq!(listed.entries[1].version, "\"x-2\"");
        assert_eq!(listed.entries[0].version, "\"d41d\"");
        let empty = page(b"<ListBucketResult></ListBucketResult>").unwrap();
        assert!(empty.len() == 0 && empty.next.is_none());
    }

    #[test]
    fn keys_are_as_they_are_where_nothing_says_that_they_are_encoded() {
        let body = "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a+b%20c&amp;&#252;</Key><Size>1</Size>\
            <ETag>e</ETag></Contents></ListBucketResult>";
        assert_eq!(
            page(body.as_bytes()).unwrap().entries[0].key,
            "a+b%20c&\u{fc}"
        );
    }

    #[test]
    fn what_is_no_listing_is_refused() {
        for body in [
            "",
            "{}",
            "<html></html>",
            "<ListBucketResult><Contents><Key>x</Key></Contents></ListBucketResult>",
            "<ListBucketResult><Contents><Key>x</Key><ETag>e</ETag><Size>-1</Size></Contents></ListBucketResult>",
            "<ListBucketResult><Contents>",
            "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
            "<Error><Code>SlowDown</Code><Message>Later</Message></Error>",
            "<Error><ListBucketResult></ListBucketResult></Error>",
            "<!DOCTYPE x [<!ENTITY a 'aaaa'>]><ListBucketResult><Contents><Key>&a;</Key><Size>1</Size><ETag>e</ETag>\
                </Contents></ListBucketResult>",
            &format!("<ListBucketResult>{}", "<a>".repeat(100_000)),
        ] {
            assert!(page(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn the_query_is_sorted() {
        let url = list_url("http://h/b", "a b/", Some("z"), true, 5);
        assert_eq!(
            url,
            "http://h/b?continuation-token=z&delimiter=%2F&encoding-type=url&list-type=2&max-keys=5&prefix=a%20b%2F"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_key_comes_through(key in ".{1,40}") {
            let encoded = utf8_percent_encode(&key, NON_ALPHANUMERIC).to_string();
            for spelled in [encoded.clone(), encoded.replace("%20", "+")] {
                let body = format!(
                    "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>{spelled}</Key><Size>1</Size>\
                     <ETag>e</ETag></Contents></ListBucketResult>"
                );
                proptest::prop_assert_eq!(&page(body.as_bytes()).unwrap().entries[0].key, &key);
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = page(&bytes);
        }
    }
}
