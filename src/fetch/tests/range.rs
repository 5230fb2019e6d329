//! Parts of a body: exact, of one content, and whole in spite of breaks.

use std::ops::Range;
use std::sync::Arc;

use super::super::{Error, RangeDownload, SharedResource};
use super::origin::{Answer, Origin, answer, full, part, probed, redirect};
use super::{client, hasty};

const ETAG: &str = "ETag: \"v1\"";

fn body() -> Vec<u8> {
    (0..50_000_u32).flat_map(u32::to_le_bytes).collect()
}

/// A 206 with these bytes of `whole`.
fn span(whole: &[u8], range: Range<usize>, headers: &[&str]) -> Answer {
    let (first, last) = (range.start, range.end - 1);
    let content = format!("Content-Range: bytes {first}-{last}/{}", whole.len());
    let length = format!("Content-Length: {}", range.len());
    let head = [&["206 Partial Content", &content, &length], headers].concat();
    answer(&head, &whole[range])
}

fn empty(status: &str) -> Answer {
    answer(&[status, "Content-Length: 0"], b"")
}

async fn drain(mut download: RangeDownload) -> (Vec<u8>, Result<(), Error>) {
    let mut body = Vec::new();
    loop {
        match download.chunk().await {
            Ok(Some(bytes)) => body.extend_from_slice(&bytes),
            Ok(None) => return (body, Ok(())),
            Err(error) => {
                let again = download.chunk().await;
                assert!(again.is_err(), "a failed transfer must not go on");
                assert!(!error.to_string().contains("S3CR3T"), "{error}");
                return (body, Err(error));
            }
        }
    }
}

/// Probes, and reads `range` of what an origin with these answers gives.
async fn read(range: Range<u64>, answers: Vec<Answer>) -> (Origin, Vec<u8>, Result<(), Error>) {
    let origin = Origin::playing(answers).await;
    let client = client();
    let resource = client.probe(&origin.url("/m?sig=S3CR3T")).await.unwrap();
    let download = client.range(SharedResource::new(resource), range);
    let (body, result) = drain(download).await;
    (origin, body, result)
}

#[tokio::test]
async fn exactly_the_part_is_asked_for_and_given() {
    let body = body();
    let answers = vec![probed(&body, &[ETAG]), span(&body, 7..1000, &[ETAG])];
    let (origin, got, result) = read(7..1000, answers).await;
    result.unwrap();
    assert!(got == body[7..1000] && origin.is_done());
    assert_eq!(origin.header(1, "range").as_deref(), Some("bytes=7-999"));
    assert_eq!(origin.header(1, "accept-encoding").as_deref(), Some("gzip"));
    // Nothing is asked for nothing.
    let (origin, got, result) = read(9..9, vec![probed(&body, &[ETAG])]).await;
    assert!(result.is_ok() && got.is_empty() && origin.asked().len() == 1);
}

#[tokio::test]
async fn an_origin_that_sends_another_part_is_refused_at_once() {
    let body = body();
    let wrong = |content: &str| {
        answer(
            &["206 Partial Content", content, "Content-Length: 10", ETAG],
            &body[..10],
        )
    };
    for answer in [
        wrong("Content-Range: bytes 0-9/200000"),
        wrong("Content-Range: bytes 100-108/200000"),
        wrong("Content-Range: bytes 100-110/200000"),
        wrong("Content-Range: 100-109/200000"),
        wrong("Content-Range: bytes */200000"),
        wrong("X-Nothing: said"),
        full(&body, &[ETAG]),
        full(&body[..110], &[ETAG]),
    ] {
        let (origin, got, result) = read(100..110, vec![probed(&body, &[ETAG]), answer]).await;
        let error = result.unwrap_err();
        assert!(matches!(error, Error::WrongPart { .. }), "{error}");
        assert!(got.is_empty() && origin.asked().len() == 2);
    }
}

#[tokio::test]
async fn the_whole_may_come_as_a_whole() {
    let body = body();
    let answers = vec![probed(&body, &[ETAG]), full(&body, &[ETAG])];
    let (_, got, result) = read(0..body.len() as u64, answers).await;
    assert!(result.is_ok() && got == body);
    // A longer one is not the one that was probed.
    let longer = [&body[..], b"x"].concat();
    let answers = vec![probed(&body, &[ETAG]), full(&longer, &[ETAG])];
    let (_, got, result) = read(0..body.len() as u64, answers).await;
    assert!(result.is_err() && got.is_empty());
}

#[tokio::test]
async fn more_bytes_than_were_asked_for_are_not_given() {
    let body = body();
    let head = [
        "206 Partial Content",
        "Content-Range: bytes 0-9/200000",
        "Content-Length: 30",
        ETAG,
    ];
    let answers = vec![probed(&body, &[ETAG]), answer(&head, &body[..30])];
    let (origin, got, result) = read(0..10, answers).await;
    let error = result.unwrap_err();
    assert!(matches!(error, Error::WrongPart { .. }), "{error}");
    assert!(got.is_empty() && origin.asked().len() == 2);
}

#[tokio::test]
async fn other_content_is_a_change() {
    let body = body();
    let longer = [&body[..], b"x"].concat();
    for (answer, what) in [
        (span(&longer, 0..10, &[ETAG]), "length"),
        (span(&body, 0..10, &["ETag: \"v2\""]), "ETag"),
        (
            span(&body, 0..10, &[ETAG, "x-goog-hash: crc32c=AAAAAQ=="]),
            "CRC-32C",
        ),
        (empty("412 Precondition Failed"), "412"),
        (empty("404 Not Found"), "404"),
        (empty("410 Gone"), "410"),
        (empty("416 Range Not Satisfiable"), "416"),
    ] {
        let probe = probed(&body, &[ETAG, "x-goog-hash: crc32c=AAAAAA=="]);
        let (_, got, result) = read(0..10, vec![probe, answer]).await;
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Changed { .. }), "{error}");
        assert!(
            error.to_string().contains(what) && got.is_empty(),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_cut_part_goes_on_where_it_broke() {
    let body = body();
    let (origin, got, result) = read(
        1000..150_000,
        vec![
            probed(&body, &[ETAG]),
            span(&body, 1000..150_000, &[ETAG]).cut(50_000),
            empty("503 Busy"),
            span(&body, 51_000..150_000, &[ETAG]).cut(9000),
            span(&body, 60_000..150_000, &[ETAG]),
        ],
    )
    .await;
    result.unwrap();
    assert!(got == body[1000..150_000] && origin.is_done());
    for (index, range) in [
        (1, "bytes=1000-149999"),
        (2, "bytes=51000-149999"),
        (3, "bytes=51000-149999"),
        (4, "bytes=60000-149999"),
    ] {
        assert_eq!(origin.header(index, "range").as_deref(), Some(range));
    }
}

#[tokio::test]
async fn what_changed_between_two_connections_is_no_mix() {
    let body = body();
    let (_, got, result) = read(
        0..100_000,
        vec![
            probed(&body, &[ETAG]),
            span(&body, 0..100_000, &[ETAG]).cut(50_000),
            span(&body, 50_000..100_000, &["ETag: \"v2\""]),
        ],
    )
    .await;
    assert!(matches!(result, Err(Error::Changed { .. })) && got == body[..50_000]);
}

#[tokio::test]
async fn a_stall_is_a_timeout() {
    let body = body();
    let origin = Origin::playing([
        probed(&body, &[ETAG]),
        span(&body, 0..1000, &[ETAG]).hang(10),
    ])
    .await;
    let client = hasty(300);
    let resource = client.probe(&origin.url("/m")).await.unwrap();
    let (got, result) = drain(client.range(SharedResource::new(resource), 0..1000)).await;
    let error = result.unwrap_err();
    assert!(error.is_timeout() && got == body[..10], "{error}");
}

async fn shared(origin: &Origin) -> Arc<SharedResource> {
    let resource = client().probe(&origin.url("/m")).await.unwrap();
    SharedResource::new(resource)
}

#[tokio::test]
async fn an_expired_signature_is_renewed_once_for_all_readers() {
    let body = body();
    let origin = Origin::playing([
        redirect(302, "/o?sig=1"),
        probed(&body, &[ETAG]),
        empty("403 Expired"),
        empty("403 Expired"),
        redirect(302, "/o?sig=2"),
        probed(&body, &[ETAG]),
        span(&body, 0..10, &[ETAG]),
        span(&body, 0..10, &[ETAG]),
    ])
    .await;
    let shared = shared(&origin).await;
    let client = client();
    // Both are under way before either has an answer.
    let (one, two) = tokio::join!(
        drain(client.range(shared.clone(), 0..10)),
        drain(client.range(shared.clone(), 0..10)),
    );
    assert!(one.1.is_ok() && two.1.is_ok(), "{one:?} {two:?}");
    let walks = origin.targets().iter().filter(|to| *to == "/m").count();
    assert_eq!((walks, origin.is_done()), (2, true));
}

#[tokio::test]
async fn a_second_refusal_is_final() {
    let body = body();
    let refused = || empty("403 No");
    let origin = Origin::playing([
        redirect(302, "/o?sig=1"),
        probed(&body, &[ETAG]),
        refused(),
        redirect(302, "/o?sig=2"),
        probed(&body, &[ETAG]),
        refused(),
    ])
    .await;
    let shared = shared(&origin).await;
    let (_, result) = drain(client().range(shared, 0..10)).await;
    let error = result.unwrap_err();
    assert!(error.is_denied() && origin.is_done(), "{error}");
    // Where nothing redirected, there is nothing to renew.
    let (origin, _, result) = read(0..10, vec![probed(&body, &[ETAG]), refused()]).await;
    assert!(result.unwrap_err().is_denied() && origin.asked().len() == 2);
}

#[tokio::test]
async fn a_renewal_that_finds_other_content_is_a_change() {
    let body = body();
    let origin = Origin::playing([
        redirect(302, "/o?sig=1"),
        probed(&body, &[ETAG]),
        empty("403 Expired"),
        redirect(302, "/o?sig=2"),
        probed(&body, &["ETag: \"v2\""]),
    ])
    .await;
    let shared = shared(&origin).await;
    let (_, result) = drain(client().range(shared, 0..10)).await;
    assert!(matches!(result, Err(Error::Changed { .. })), "{result:?}");
}

#[tokio::test]
async fn a_signature_about_to_expire_is_renewed_before_it_is_used() {
    let body = body();
    let origin = Origin::playing([
        redirect(302, "/o?Expires=1"),
        probed(&body, &[ETAG]),
        redirect(302, "/o?Expires=99999999999"),
        probed(&body, &[ETAG]),
        part(&body, 0, &[ETAG]),
    ])
    .await;
    let shared = shared(&origin).await;
    let (got, result) = drain(client().range(shared, 0..body.len() as u64)).await;
    assert!(result.is_ok() && got == body && origin.is_done());
}
