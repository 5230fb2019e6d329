//! Buckets: listings page by page, pinned generations, transcoding, private ones, and every way to spoil an object.

use serde_json::Value;

use super::get;
use crate::common::gzip;
use crate::origin::{Bucket, Fault, Hop, Origin, TOKEN, Uncompressed};

fn page(origin: &Origin, query: &str) -> Value {
    let url = format!("{}/storage/v1/b/bucket/o?{query}", origin.url(Hop::Gcs));
    let (head, body) = get(&url, "");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    serde_json::from_slice(&body).unwrap()
}

/// The names and the prefixes of all pages, and how many pages there were.
fn listed(origin: &Origin, query: &str) -> (Vec<String>, Vec<String>, usize) {
    let (mut names, mut prefixes, mut pages, mut token) =
        (Vec::new(), Vec::new(), 0, String::new());
    loop {
        let page = page(origin, &format!("{query}&pageToken={token}"));
        pages += 1;
        let list = |name: &str| page[name].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        names.extend(list("items").iter().map(|item| text(&item["name"])));
        prefixes.extend(list("prefixes").iter().map(text));
        match page["nextPageToken"].as_str() {
            Some(next) => token = next.to_owned(),
            None => return (names, prefixes, pages),
        }
    }
}

fn odd(bucket: &Bucket) -> [&'static str; 8] {
    let keys = [
        "../x",
        "a",
        "a/",
        "a//b",
        "a/b",
        "a/c/d",
        "a/new\nline",
        "b&c=d",
    ];
    for key in keys {
        bucket.put(key, key);
    }
    keys
}

#[test]
fn listings_come_in_pages_whatever_their_size() {
    let origin = Origin::start();
    let bucket = origin.bucket("bucket");
    let keys = odd(&bucket);
    for faults in [
        vec![],
        vec![Fault::Pages { size: 1 }],
        vec![Fault::Pages { size: 2 }, Fault::EmptyPages],
    ] {
        bucket.faults(faults);
        assert_eq!(listed(&origin, "").0, keys);
        let (names, prefixes, _) = listed(&origin, "delimiter=/");
        assert_eq!(
            (names, prefixes),
            (
                vec!["a".into(), "b&c=d".into()],
                vec!["../".into(), "a/".into()]
            )
        );
        let (names, prefixes, _) = listed(&origin, "prefix=a/&delimiter=/");
        assert_eq!(names, ["a/", "a/b", "a/new\nline"]);
        assert_eq!(prefixes, ["a//", "a/c/"]);
    }
    bucket.faults(vec![Fault::Pages { size: 1 }, Fault::EndlessPages]);
    let first = page(&origin, "");
    let token = first["nextPageToken"].as_str().unwrap();
    assert_eq!(page(&origin, &format!("pageToken={token}")), first);
    bucket.faults(vec![]);
    assert_eq!(listed(&origin, "maxResults=3").2, 3);
    assert!(
        page(&origin, "prefix=none/").get("items").is_none(),
        "empty lists are left out"
    );
    let partial = page(&origin, "maxResults=1&fields=items(name)");
    assert!(
        partial.get("nextPageToken").is_none(),
        "a token that was not asked for is not told"
    );
    bucket
        .object("a")
        .faults(vec![Fault::Listed { add: 5 }, Fault::Composite]);
    let item = &page(&origin, "prefix=a&maxResults=1")["items"][0];
    assert_eq!(item["size"], "6", "numbers are strings");
    assert!(
        item["generation"].is_string() && item.get("md5Hash").is_none(),
        "{item}"
    );
}

#[test]
fn a_hundred_thousand_objects_are_a_hundred_pages() {
    let origin = Origin::start();
    let bucket = origin.bucket("bucket");
    for number in 0..100_000 {
        bucket.put(&format!("many/{number:06}"), "");
    }
    let (names, _, pages) = listed(&origin, "prefix=many/&delimiter=/");
    assert_eq!((names.len(), pages), (100_000, 100));
}

#[test]
fn objects_are_pinned_replaced_and_lost() {
    let origin = Origin::start();
    let object = origin.bucket("bucket").put("a/b c", &b"0123456789"[..]);
    let plain = format!("{}/bucket/a/b%20c", origin.url(Hop::Gcs));
    let json = format!("{}/storage/v1/b/bucket/o/a%2Fb%20c", origin.url(Hop::Gcs));
    let (_, body) = get(&json, "");
    let item: Value = serde_json::from_slice(&body).unwrap();
    let generation = item["generation"].as_str().unwrap();
    for url in [
        plain.clone(),
        format!("{plain}?generation={generation}"),
        format!("{json}?alt=media&generation={generation}"),
    ] {
        let (head, body) = get(&url, "Range: bytes=8-\r\n");
        assert!(
            head.contains(&format!("x-goog-generation: {generation}")),
            "{head}"
        );
        assert_eq!(body, b"89", "{url}");
    }
    assert_eq!(origin.sent_below("gs://bucket/a/"), 6);
    assert_eq!(origin.sent_again("gs://bucket/a/b c"), 4);
    assert!(
        get(&plain, "If-Match: \"other\"\r\n")
            .0
            .starts_with("HTTP/1.1 412")
    );
    object.faults(vec![Fault::ContentRange { add: 1 }]);
    assert!(
        get(&plain, "Range: bytes=2-3\r\n")
            .0
            .contains("Content-Range: bytes 3-4/10")
    );
    let other = origin.bucket("bucket").put("other", &b"0123"[..]);
    other.faults(vec![
        Fault::Replaced { after: 1 },
        Fault::Vanished { after: 2 },
    ]);
    let url = format!(
        "{}/bucket/other?generation={generation}",
        origin.url(Hop::Gcs)
    );
    assert_eq!(get(&url, "").1, b"0123");
    assert!(
        get(&url, "").0.starts_with("HTTP/1.1 404"),
        "the generation that was pinned is gone"
    );
    assert!(
        get(url.split_once('?').unwrap().0, "")
            .0
            .starts_with("HTTP/1.1 404"),
        "all of it"
    );
}

#[test]
fn gzip_is_undone_for_who_does_not_ask_for_it() {
    let origin = Origin::start();
    let stored = gzip(b"plain text");
    origin.bucket("bucket").put_gzipped("text", stored.clone());
    let url = format!("{}/bucket/text", origin.url(Hop::Gcs));
    let (head, body) = get(&url, "Range: bytes=2-3\r\n");
    assert!(
        head.starts_with("HTTP/1.1 200") && !head.contains("Content-Length"),
        "{head}"
    );
    assert_eq!(body, b"plain text");
    let (head, body) = get(&url, "Range: bytes=0-1\r\nAccept-Encoding: gzip\r\n");
    assert!(head.contains("Content-Encoding: gzip"), "{head}");
    assert_eq!(body, stored[..2]);
}

#[test]
fn private_buckets_and_uncompressed_folders() {
    let origin = Origin::start();
    let bucket = origin.bucket("bucket");
    bucket.put("a", "x");
    bucket.faults(vec![Fault::Private]);
    let url = format!("{}/bucket/a", origin.url(Hop::Gcs));
    assert!(get(&url, "").0.starts_with("HTTP/1.1 401"));
    assert!(
        get(&url, "Authorization: Bearer other\r\n")
            .0
            .starts_with("HTTP/1.1 403")
    );
    assert_eq!(
        get(&url, &format!("Authorization: Bearer {TOKEN}\r\n")).1,
        b"x"
    );
    let metadata = format!(
        "{}/computeMetadata/v1/instance/service-accounts/default/token",
        origin.url(Hop::Gcs)
    );
    assert!(get(&metadata, "").0.starts_with("HTTP/1.1 403"));
    let (_, body) = get(&metadata, "Metadata-Flavor: Google\r\n");
    assert!(String::from_utf8(body).unwrap().contains(TOKEN));

    origin.offer(
        "google/a/1",
        &[("saved_model.pb".into(), b"graph".to_vec())],
        &b"archive"[..],
    );
    let url = format!(
        "{}/google/a/1?tf-hub-format=uncompressed",
        origin.url(Hop::Hub)
    );
    let (head, body) = get(&url, "");
    assert!(
        head.starts_with("HTTP/1.1 303") && !head.contains("Location"),
        "{head}"
    );
    assert_eq!(
        String::from_utf8(body).unwrap(),
        Origin::folder("google/a/1")
    );
    origin.uncompressed("google/a/1", Uncompressed::Location("/elsewhere".into()));
    assert!(get(&url, "").0.contains("Location: /elsewhere"));
    origin.uncompressed("google/a/1", Uncompressed::Status(404));
    assert!(get(&url, "").0.starts_with("HTTP/1.1 404"));
}
