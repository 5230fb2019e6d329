//! Parts of objects, whole ones and spoiled ones.

use std::ops::Range;

use futures_util::TryStreamExt;

use super::stand::{Asked, Reply, Stand, amazon, google, part, reply};
use super::{at, buckets};
use crate::bucket::{Error, ErrorKind, NamedObject};

const WHOLE: &[u8] = b"0123456789";
/// What object_store wants of every answer.
const HEADERS: [(&str, &str); 3] = [
    ("etag", "\"e\""),
    ("last-modified", "Mon, 01 Jan 2024 00:00:00 GMT"),
    ("x-goog-generation", "7"),
];

async fn read(file: &NamedObject, range: Range<u64>) -> Result<Vec<u8>, Error> {
    let chunks: Vec<_> = file.object.read(range).try_collect().await?;
    Ok(chunks.concat())
}

/// The one object in a bucket that answers so when it is read.
async fn object(
    url: &str,
    answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
) -> (Stand, NamedObject) {
    let stand = Stand::start(move |asked| match asked.is_list() {
        true if asked.path.contains("/storage/") => google(&[("m/a b%", 10, 7)], &[], ""),
        true => amazon(&[("m/a b%", 10, "&quot;e&quot;")], &[], ""),
        false => answer(asked),
    })
    .await;
    let mut folder = buckets(&stand.base).folder(&at(url)).await.unwrap();
    (stand, folder.files.remove(0))
}

#[tokio::test]
async fn a_part_is_asked_for_by_generation() {
    let (stand, file) = object("gs://bucket/m", |asked| part(asked, WHOLE, &HEADERS)).await;
    assert_eq!(read(&file, 2..5).await.unwrap(), b"234");
    assert_eq!(read(&file, 0..10).await.unwrap(), WHOLE);
    assert!(read(&file, 4..4).await.unwrap().is_empty());
    let asked = stand.asked();
    assert_eq!(asked.len(), 3, "an empty part is no question");
    assert_eq!(asked[1].path, "/bucket/m%2Fa%20b%25");
    assert_eq!(asked[1].query("generation"), "7");
    assert_eq!(asked[1].header("range"), Some("bytes=2-4"));
    assert_eq!(asked[1].header("accept-encoding"), Some("gzip"));
}

#[tokio::test]
async fn a_part_is_asked_for_by_etag() {
    let (stand, file) = object("s3://bucket/m", |asked| part(asked, WHOLE, &HEADERS)).await;
    assert_eq!(read(&file, 2..5).await.unwrap(), b"234");
    let asked = &stand.asked()[1];
    assert_eq!(asked.path, "/bucket/m/a%20b%25");
    assert_eq!(asked.header("if-match"), Some("\"e\""));
}

#[tokio::test]
async fn headers_that_do_not_matter_spoil_nothing() {
    for url in ["gs://bucket/m", "s3://bucket/m"] {
        let odd = [("last-modified", "yesterday"), ("x-goog-meta-a", "\u{fc}")];
        let (_stand, file) = object(url, move |asked| part(asked, WHOLE, &odd)).await;
        assert_eq!(read(&file, 2..5).await.unwrap(), b"234");
    }
}

#[tokio::test]
async fn another_content_is_never_read() {
    for answer in [
        (|_| reply(404, "")) as fn(&Asked) -> Reply,
        |_| reply(412, ""),
        |_| reply(416, ""),
        |asked| {
            let mut headers = HEADERS;
            headers[0].1 = "\"f\"";
            headers[2].1 = "8";
            part(asked, WHOLE, &headers)
        },
        |asked| part(asked, b"0123456789+", &HEADERS),
    ] {
        for url in ["gs://bucket/m", "s3://bucket/m"] {
            let (_stand, file) = object(url, answer).await;
            let error = read(&file, 2..5).await.unwrap_err();
            assert!(error.kind == ErrorKind::Changed, "{error}");
        }
    }
}

#[tokio::test]
async fn what_is_not_the_part_is_an_error() {
    for answer in [
        (|_| reply(200, WHOLE)) as fn(&Asked) -> Reply,
        |_| {
            let mut whole = reply(200, WHOLE);
            for (name, value) in HEADERS {
                whole.headers_mut().insert(name, value.parse().unwrap());
            }
            whole
        },
        |asked| {
            let mut other = part(asked, WHOLE, &HEADERS);
            let range = "bytes 3-5/10".parse().unwrap();
            other.headers_mut().insert("content-range", range);
            other
        },
        |asked| {
            let mut none = part(asked, WHOLE, &HEADERS);
            none.headers_mut().remove("content-range");
            none
        },
    ] {
        let (_stand, file) = object("gs://bucket/m", answer).await;
        let error = read(&file, 2..5).await.unwrap_err();
        let text = error.to_string();
        assert!(
            matches!(
                error,
                Error {
                    kind: ErrorKind::Failed,
                    ..
                }
            ),
            "{text}"
        );
        assert!(text.contains("gs://bucket/m/a b%"), "{text}");
    }
}

#[tokio::test]
async fn a_refused_part_is_denied() {
    let (_stand, file) = object("s3://bucket/m", |_| reply(403, "")).await;
    let error = read(&file, 2..5).await.unwrap_err();
    assert!(error.is_denied(), "{error}");
    assert!(error.to_string().contains("AWS_ACCESS_KEY_ID"), "{error}");
}
