//! Transfers that break, stall, change, lie, and go on.

use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::super::Error;
use super::origin::{Answer, Origin, answer, full, part, probed, redirect};
use super::{client, drain, hasty};

const ETAG: &str = "ETag: \"v1\"";

fn body() -> Vec<u8> {
    (0..100_000_u32).flat_map(u32::to_le_bytes).collect()
}

fn crc32c_header(body: &[u8]) -> String {
    format!(
        "x-goog-hash: crc32c={}",
        STANDARD.encode(crc32c::crc32c(body).to_be_bytes())
    )
}

/// Probes and downloads what an origin with these answers gives.
async fn fetch(answers: Vec<Answer>) -> (Origin, Vec<u8>, Result<(), Error>) {
    let origin = Origin::playing(answers).await;
    let client = client();
    let resource = client.probe(&origin.url("/m?sig=S3CR3T")).await.unwrap();
    let (body, result) = drain(client.download(resource)).await;
    if let Err(error) = &result {
        assert!(!error.to_string().contains("S3CR3T"), "{error}");
    }
    (origin, body, result)
}

#[tokio::test]
async fn one_plain_get_gives_the_body() {
    let body = body();
    let hash = crc32c_header(&body);
    let answers = vec![
        probed(&body, &[ETAG]),
        full(&body, &[ETAG, &hash, "Content-Encoding: gzip"]),
    ];
    let (origin, got, result) = fetch(answers).await;
    result.unwrap();
    assert!(got == body && origin.is_done() && origin.asked().len() == 2);
    assert_eq!(origin.header(1, "range"), None);
    assert_eq!(origin.header(1, "accept-encoding").as_deref(), Some("gzip"));
}

/// A new connection costs two or three round trips to a real host, which a reader would wait for.
#[tokio::test]
async fn the_probes_connection_serves_the_download() {
    let body = body();
    let answers = vec![
        redirect(302, "/o?sig=1").kept(),
        probed(&body, &[ETAG]).kept(),
        full(&body, &[ETAG]).kept(),
    ];
    let (origin, got, result) = fetch(answers).await;
    assert!(result.is_ok() && got == body);
    assert_eq!((origin.asked().len(), origin.connections()), (3, 1));
}

#[tokio::test]
async fn an_empty_or_unmeasured_body_is_fine() {
    let nothing = || {
        answer(
            &["416 No", "Content-Range: bytes */0", "Content-Length: 0"],
            b"",
        )
    };
    let (_, got, result) = fetch(vec![nothing(), full(b"", &[])]).await;
    assert!(result.is_ok() && got.is_empty());
    let chunked = || {
        answer(
            &["200 OK", "Transfer-Encoding: chunked"],
            b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        )
    };
    let (_, got, result) = fetch(vec![chunked(), chunked()]).await;
    assert!(result.is_ok() && got == b"abcde");
}

#[tokio::test]
async fn a_cut_transfer_goes_on_where_it_broke() {
    let body = body();
    let hash = crc32c_header(&body);
    let (origin, got, result) = fetch(vec![
        probed(&body, &[ETAG, &hash]),
        full(&body, &[ETAG, &hash]).cut(70_000),
        part(&body, 70_000, &[ETAG]).cut(30_000),
        answer(&["503 Busy", "Content-Length: 0"], b""),
        part(&body, 100_000, &[ETAG]),
    ])
    .await;
    result.unwrap();
    assert!(got == body);
    assert_eq!(origin.header(2, "range").as_deref(), Some("bytes=70000-"));
    assert_eq!(origin.header(2, "if-range").as_deref(), Some("\"v1\""));
    assert_eq!(origin.header(4, "range").as_deref(), Some("bytes=100000-"));
}

#[tokio::test]
async fn a_date_serves_where_the_etag_is_weak() {
    let body = body();
    let headers = [
        "ETag: W/\"v1\"",
        "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT",
    ];
    let (origin, got, result) = fetch(vec![
        probed(&body, &headers),
        full(&body, &headers).cut(5),
        part(&body, 5, &headers),
    ])
    .await;
    result.unwrap();
    assert!(got == body);
    assert_eq!(
        origin.header(2, "if-range").as_deref(),
        Some("Sun, 06 Nov 1994 08:49:37 GMT")
    );
}

#[tokio::test]
async fn an_origin_without_ranges_is_read_again_from_the_start() {
    let body = body();
    let hash = crc32c_header(&body);
    for headers in [&[ETAG, &*hash][..], &[ETAG], &[]] {
        let again = || full(&body, headers);
        let (origin, got, result) = fetch(vec![
            again(),
            again().cut(70_000),
            again().cut(20_000),
            again(),
        ])
        .await;
        result.unwrap();
        assert!(got == body && origin.is_done());
        // Without a validator nothing says that a range would be of the same body.
        assert_eq!(origin.header(2, "range").is_some(), headers.contains(&ETAG));
    }
}

#[tokio::test]
async fn an_origin_that_always_cuts_at_one_place_is_given_up() {
    let body = body();
    let mut answers: Vec<_> = (0..20).map(|_| full(&body, &[ETAG]).cut(1_000)).collect();
    answers.insert(0, full(&body, &[ETAG]));
    let origin = Origin::playing(answers).await;
    let client = hasty(1_500);
    let resource = client.probe(&origin.url("/")).await.unwrap();
    let (got, result) = drain(client.download(resource)).await;
    let error = result.unwrap_err();
    assert!(
        got == body[..1_000] && matches!(error, Error::Transport { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_body_that_changed_is_never_glued_together() {
    let body = body();
    let mut other = body.clone();
    other[3] ^= 1;
    let start = || [probed(&body, &[ETAG]), full(&body, &[ETAG]).cut(9)];
    for then in [
        full(&body, &["ETag: \"v2\""]),
        part(&body, 9, &["ETag: \"v2\""]),
        full(&body[1..], &[ETAG]),
        part(&body[1..], 9, &[ETAG]),
        part(&body, 8, &[ETAG]),
        part(&body, 10, &[ETAG]),
        full(&other, &[ETAG]),
        answer(&["206 Partial Content", "Content-Length: 1"], b"x"),
        answer(&["412 No", "Content-Length: 0"], b""),
        answer(&["416 No", "Content-Length: 0"], b""),
    ] {
        let (_, got, result) = fetch(start().into_iter().chain([then]).collect()).await;
        let error = result.unwrap_err();
        assert!(
            got == body[..9] && matches!(error, Error::Changed { .. }),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_body_that_changed_before_its_first_byte_is_simply_the_new_one() {
    let body = body();
    let hash = crc32c_header(&body[7..]);
    let answers = vec![
        probed(&body, &[ETAG, "x-goog-hash: crc32c=AAAAAQ=="]),
        full(&body[7..], &["ETag: \"v2\"", &hash]),
    ];
    let (_, got, result) = fetch(answers).await;
    assert!(result.is_ok() && got == body[7..]);
}

#[tokio::test]
async fn damage_is_found_before_the_end() {
    let body = body();
    let damaged = |answers| async {
        let (_, got, result) = fetch(answers).await;
        let Err(Error::Integrity { what, .. }) = result else {
            panic!("{result:?}")
        };
        (got, what)
    };
    let wrong = ["x-goog-hash: crc32c=AAAAAQ=="];
    let (got, what) = damaged(vec![probed(&body, &wrong), full(&body, &wrong)]).await;
    assert!(got == body && what == "CRC-32C");
    let wrong = ["x-goog-hash: md5=1B2M2Y8AsgTpgAmY7PhCfg=="];
    let (_, what) = damaged(vec![probed(&body, &wrong), full(&body, &wrong)]).await;
    assert_eq!(what, "MD5");
    // A checksum that only the probe was told counts as well.
    let (_, what) = damaged(vec![probed(&body, &wrong), full(&body, &[])]).await;
    assert_eq!(what, "MD5");
    // Too long, which only an unmeasured transfer can be.
    let long = answer(
        &["200 OK", "Transfer-Encoding: chunked"],
        b"5\r\nabcde\r\n0\r\n\r\n",
    );
    let (got, what) = damaged(vec![probed(b"abc", &[]), long]).await;
    assert!(got.is_empty() && what == "length");
}

#[tokio::test]
async fn too_short_is_a_break_and_not_an_end() {
    let short = answer(
        &["200 OK", "Transfer-Encoding: chunked", ETAG],
        b"2\r\nab\r\n0\r\n\r\n",
    );
    let (origin, got, result) = fetch(vec![
        probed(b"abc", &[ETAG]),
        short,
        part(b"abc", 2, &[ETAG]),
    ])
    .await;
    result.unwrap();
    assert_eq!(
        (got.as_slice(), origin.header(2, "range").as_deref()),
        (&b"abc"[..], Some("bytes=2-"))
    );
}

#[tokio::test]
async fn a_stall_is_a_timeout_that_counts_from_the_last_byte() {
    let body = body();
    let origin = Origin::playing([probed(&body, &[ETAG]), full(&body, &[ETAG]).hang(50_000)]).await;
    let client = hasty(600);
    let resource = client.probe(&origin.url("/")).await.unwrap();
    let mut download = client.download(resource);
    let first = download.chunk().await.unwrap().unwrap();
    // Time in which nobody asks does not count.
    tokio::time::sleep(Duration::from_millis(700)).await;
    let began = Instant::now();
    let (rest, result) = drain(download).await;
    let error = result.unwrap_err();
    assert!(
        matches!(error, Error::Stalled { .. }) && error.is_timeout(),
        "{error}"
    );
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(first.len() + rest.len(), 50_000);
}

#[tokio::test]
async fn an_expired_signature_is_renewed_once() {
    let body = body();
    let hash = crc32c_header(&body);
    let expired = |status: &str| answer(&[status, "Content-Length: 0"], b"");
    for status in ["400 Bad", "401 No", "403 No"] {
        let (origin, got, result) = fetch(vec![
            redirect(302, "/o?sig=1"),
            probed(&body, &[ETAG, &hash]),
            full(&body, &[ETAG]).cut(10),
            expired(status),
            redirect(302, "/o?sig=2"),
            probed(&body, &[ETAG, &hash]),
            part(&body, 10, &[ETAG]),
        ])
        .await;
        result.unwrap();
        assert!(got == body);
        let start = "/m?sig=S3CR3T";
        assert_eq!(
            origin.targets(),
            [
                start, "/o?sig=1", "/o?sig=1", "/o?sig=1", start, "/o?sig=2", "/o?sig=2"
            ]
        );
    }
    let (origin, _, result) = fetch(vec![
        redirect(302, "/o?sig=1"),
        probed(&body, &[ETAG]),
        expired("403 No"),
        redirect(302, "/o?sig=2"),
        probed(&body, &[ETAG]),
        expired("403 No"),
    ])
    .await;
    assert!(result.unwrap_err().is_denied() && origin.asked().len() == 6);
}

#[tokio::test]
async fn a_signature_known_to_be_over_is_not_even_tried() {
    let body = body();
    let old = "/o?X-Goog-Date=20240101T000000Z&X-Goog-Expires=60&X-Goog-Signature=a";
    let (origin, got, result) = fetch(vec![
        redirect(302, old),
        probed(&body, &[ETAG]),
        redirect(302, "/o?fresh"),
        probed(&body, &[ETAG]),
        full(&body, &[ETAG]),
    ])
    .await;
    assert!(result.is_ok() && got == body);
    assert_eq!(origin.targets().last().unwrap(), "/o?fresh");
}

#[tokio::test]
async fn another_object_behind_a_fresh_signature_is_a_change() {
    let body = body();
    let (_, got, result) = fetch(vec![
        redirect(302, "/o?sig=1"),
        probed(&body, &[ETAG]),
        full(&body, &[ETAG]).cut(10),
        answer(&["403 No", "Content-Length: 0"], b""),
        redirect(302, "/p?sig=2"),
        probed(&body[1..], &["ETag: \"v2\""]),
    ])
    .await;
    let error = result.unwrap_err();
    assert!(
        got == body[..10] && matches!(error, Error::Changed { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_refusal_without_redirects_is_final() {
    let body = body();
    let (origin, _, result) = fetch(vec![
        probed(&body, &[ETAG]),
        answer(&["404 No", "Content-Length: 0"], b""),
    ])
    .await;
    assert!(result.unwrap_err().is_not_found() && origin.asked().len() == 2);
}
