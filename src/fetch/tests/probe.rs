//! Redirects, what may be asked, what is sent, what is read from headers.

use std::time::{Duration, Instant};

use super::super::{Client, Error, MAX_HOPS};
use super::origin::{Origin, answer, full, probed, redirect};
use super::{client, hasty, options};
use crate::config::HttpHosts;

const BODY: &[u8] = b"\x1f\x8b body";

#[tokio::test]
async fn redirects_are_followed_by_the_letter() {
    let store = Origin::playing([probed(
        BODY,
        &["ETag: \"e\"", "x-goog-hash: crc32c=AAAAAQ=="],
    )])
    .await;
    let signed = "/b/o'{x}|^/../y/%2e/%7e?X-Goog-Expires=9&X-Goog-Signature='a+b'%2F%2f&q=;[]{}`\\";
    let hub = Origin::playing([
        redirect(302, "/m/1/?a=b"),
        redirect(303, "../2"),
        redirect(307, "?x=y"),
        redirect(308, "./3"),
        redirect(301, store.url(signed)),
    ])
    .await;
    let found = client()
        .probe(&hub.url("/m/1?tf-hub-format=compressed"))
        .await
        .unwrap();
    let asked = [
        "/m/1?tf-hub-format=compressed",
        "/m/1/?a=b",
        "/m/2",
        "/m/2?x=y",
        "/m/3",
    ];
    assert_eq!(hub.targets(), asked);
    assert_eq!(store.targets(), [signed]);
    assert_eq!(found.url(), store.url(signed));
    assert_eq!(found.start(), hub.url("/m/1?tf-hub-format=compressed"));
    assert_eq!(found.hops().len(), 5);
    assert_eq!(found.hops()[1].target(), hub.url("/m/2"));
    assert_eq!(
        (found.size, found.ranges, found.first),
        (Some(7), true, Some(0x1f))
    );
    assert_eq!(
        (found.etag.as_deref(), found.hashes.crc32c),
        (Some("\"e\""), Some(1))
    );
    assert!(!format!("{found:?}").contains("'a+b'"), "{found:?}");
}

#[tokio::test]
async fn what_http_cannot_carry_is_encoded_as_urllib_does() {
    let origin = Origin::playing([redirect(302, b"/caf\xe9 x?\xc3\xa9#f"), full(BODY, &[])]).await;
    client().probe(&origin.url("/")).await.unwrap();
    assert_eq!(origin.targets()[1], "/caf%E9%20x?%C3%A9");
}

#[tokio::test]
async fn what_cannot_be_sent_as_it_is_is_refused_not_rewritten() {
    let origin = Origin::playing([redirect(302, "/x?sig=a\"b<c>S3CR3T")]).await;
    let error = client().probe(&origin.url("/")).await.unwrap_err();
    assert!(
        !error.to_string().contains("S3CR3T") && error.status().is_none(),
        "{error}"
    );
    assert_eq!(origin.asked().len(), 1);
}

#[tokio::test]
async fn nothing_is_sent_that_a_signature_does_not_allow() {
    let origin = Origin::playing([
        answer(
            &[
                "302 Found",
                "Location: /x",
                "Set-Cookie: a=b",
                "Content-Length: 0",
            ],
            b"",
        ),
        full(BODY, &[]),
    ])
    .await;
    client().probe(&origin.url("/")).await.unwrap();
    for index in 0..2 {
        let mut names: Vec<_> = origin.asked()[index]
            .lines()
            .skip(1)
            .filter_map(|line| Some(line.split_once(':')?.0.to_ascii_lowercase()))
            .collect();
        names.sort();
        assert_eq!(
            names,
            ["accept", "accept-encoding", "host", "range", "user-agent"]
        );
        assert_eq!(
            origin.header(index, "accept-encoding").as_deref(),
            Some("gzip")
        );
        assert_eq!(origin.header(index, "range").as_deref(), Some("bytes=0-0"));
    }
}

#[tokio::test]
async fn circles_and_endless_chains_are_named() {
    let origin = Origin::playing([redirect(302, "/b?sig=S3CR3T"), redirect(302, "/a")]).await;
    let error = client().probe(&origin.url("/a")).await.unwrap_err();
    assert!(matches!(error, Error::Loop { .. }), "{error}");
    assert_eq!(origin.asked().len(), 2);

    let origin = Origin::playing((0..20).map(|hop| redirect(302, format!("/{hop}")))).await;
    let error = client().probe(&origin.url("/a")).await.unwrap_err();
    assert!(matches!(error, Error::TooManyRedirects { .. }), "{error}");
    assert_eq!(origin.asked().len(), MAX_HOPS + 1);
}

#[tokio::test]
async fn plain_http_is_for_trusted_hosts() {
    let client = hasty(2_000);
    let error = client
        .probe("http://models.invalid:81/x")
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("--allow-http models.invalid:81"), "{error}");
    // Also when a trusted host sends us there.
    let origin = Origin::playing([redirect(302, "http://models.invalid/x")]).await;
    let error = client.probe(&origin.url("/")).await.unwrap_err();
    assert!(
        matches!(&error, Error::PlainHttp { host, .. } if host == "models.invalid"),
        "{error}"
    );
    for allowed in ["models.invalid", "models.invalid:81"] {
        let mut options = options(Duration::from_millis(300));
        options.http_hosts = HttpHosts::new([], &[allowed]).unwrap();
        let client = Client::new(options).unwrap();
        let error = client
            .probe("http://models.invalid:81/x")
            .await
            .unwrap_err();
        assert!(!matches!(error, Error::PlainHttp { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_mirror_stands_in_for_every_hop() {
    let mirror = Origin::playing([
        redirect(302, "https://www.kaggle.com/models/a'?x=y"),
        redirect(302, "https://tfhub.dev/end"),
        full(BODY, &[]),
    ])
    .await;
    let mut options = options(Duration::from_secs(5));
    options.mirrors = vec![
        format!("https://tfhub.dev={}", mirror.url("/hub"))
            .parse()
            .unwrap(),
        format!("https://www.kaggle.com={}", mirror.url("/kaggle"))
            .parse()
            .unwrap(),
    ];
    let client = Client::new(options).unwrap();
    let found = client.probe("https://tfhub.dev/google/x/1").await.unwrap();
    assert_eq!(
        mirror.targets(),
        ["/hub/google/x/1", "/kaggle/models/a'?x=y", "/hub/end"]
    );
    assert_eq!(found.start(), "https://tfhub.dev/google/x/1");
    assert_eq!(
        found.hops()[0].target(),
        "https://www.kaggle.com/models/a'?x=y"
    );
    assert_eq!(client.mirrored("https://tfhub.dev/a"), mirror.url("/hub/a"));
}

#[tokio::test]
async fn sizes_are_read_from_every_kind_of_answer() {
    let chunked = answer(
        &["200 OK", "Transfer-Encoding: chunked"],
        b"1\r\nx\r\n0\r\n\r\n",
    );
    let unknown = answer(
        &[
            "206 Partial Content",
            "Content-Range: bytes 0-0/*",
            "Content-Length: 1",
        ],
        b"x",
    );
    for (given, size, ranges) in [
        (full(b"12345", &[]), Some(5), false),
        (probed(b"12345", &[]), Some(5), true),
        (unknown, None, true),
        (chunked, None, false),
        (
            answer(
                &["416 No", "Content-Range: bytes */0", "Content-Length: 0"],
                b"",
            ),
            Some(0),
            true,
        ),
        (answer(&["416 No", "Content-Length: 0"], b""), Some(0), true),
    ] {
        let origin = Origin::playing([given]).await;
        let found = client().probe(&origin.url("/")).await.unwrap();
        assert_eq!((found.size, found.ranges), (size, ranges));
    }
}

#[tokio::test]
async fn an_object_unpacked_on_the_way_has_no_checksum() {
    let hash = "x-goog-hash: crc32c=AAAAAQ==";
    let stored = [
        "x-goog-stored-content-encoding: gzip",
        "x-goog-stored-content-length: 9",
    ];
    let plain = answer(&["200 OK", hash, stored[0], stored[1]], BODY);
    let kept = answer(
        &[
            "200 OK",
            hash,
            stored[0],
            stored[1],
            "Content-Encoding: gzip",
        ],
        BODY,
    );
    let origin = Origin::playing([plain, kept]).await;
    let found = client().probe(&origin.url("/")).await.unwrap();
    assert!(found.hashes.is_empty() && found.size.is_none());
    let found = client().probe(&origin.url("/")).await.unwrap();
    assert_eq!((found.hashes.crc32c, found.size), (Some(1), Some(9)));
}

#[tokio::test]
async fn refusals_keep_their_meaning_and_the_origins_words() {
    for (status, not_found, denied) in [
        (404, true, false),
        (410, true, false),
        (401, false, true),
        (403, false, true),
        (400, false, false),
    ] {
        let head = format!("{status} No");
        let origin =
            Origin::playing([answer(&[&head], b"<Error><Code>NoSuchKey</Code></Error>")]).await;
        let error = client()
            .probe(&origin.url("/x?sig=S3CR3T"))
            .await
            .unwrap_err();
        assert_eq!(
            (error.is_not_found(), error.is_denied(), error.is_timeout()),
            (not_found, denied, false)
        );
        assert_eq!(error.status(), Some(status));
        let text = error.to_string();
        assert!(
            text.contains("\"NoSuchKey\"") && !text.contains("S3CR3T"),
            "{text}"
        );
        assert!(origin.is_done() && origin.asked().len() == 1);
    }
}

#[tokio::test]
async fn passing_trouble_is_retried() {
    let busy = || answer(&["503 Busy", "Content-Length: 0"], b"");
    let limited = answer(
        &["429 Slow down", "Retry-After: 1", "Content-Length: 0"],
        b"",
    );
    let origin = Origin::playing([
        busy(),
        full(BODY, &[]).cut(0).headless(),
        limited,
        full(BODY, &[]),
    ])
    .await;
    let began = Instant::now();
    client().probe(&origin.url("/")).await.unwrap();
    assert!(began.elapsed() > Duration::from_secs(1));
    assert_eq!(origin.asked().len(), 4);
}

#[tokio::test]
async fn the_timeout_ends_a_probe() {
    // An origin that hangs is a timeout ...
    let origin = Origin::playing([full(BODY, &[]).cut(0).headless().hanging()]).await;
    let began = Instant::now();
    let error = hasty(400).probe(&origin.url("/")).await.unwrap_err();
    assert!(
        matches!(error, Error::Stalled { .. }) && error.is_timeout(),
        "{error}"
    );
    assert!(began.elapsed() < Duration::from_secs(2));
    // ... one that asks to wait too long fails at once ...
    let origin = Origin::playing([answer(&["503 Busy", "Retry-After: 3600"], b"")]).await;
    let began = Instant::now();
    let error = client().probe(&origin.url("/")).await.unwrap_err();
    assert!(
        matches!(error, Error::RetryAfter { .. }) && error.is_timeout(),
        "{error}"
    );
    assert!(
        began.elapsed() < Duration::from_secs(1) && error.to_string().contains("3600 s"),
        "{error}"
    );
    // ... and one that is not there is an I/O error that says how often it was tried.
    let error = hasty(400)
        .probe("http://127.0.0.1:1/x?sig=S3CR3T")
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Transport { .. }) && !error.is_timeout(),
        "{error}"
    );
    let text = error.to_string();
    assert!(
        text.contains("attempts in 0.") && text.contains("refused") && !text.contains("S3CR3T"),
        "{text}"
    );
}

#[tokio::test]
async fn an_endless_timeout_is_no_overflow() {
    let origin = Origin::playing([full(BODY, &[])]).await;
    let client = Client::new(options(Duration::MAX)).unwrap();
    client.probe(&origin.url("/")).await.unwrap();
}

#[tokio::test]
async fn a_page_for_people_is_recognised() {
    let html = "Content-Type: text/html; charset=utf-8";
    for (given, is_html) in [
        (full(b"<!doctype html>", &[html]), true),
        (probed(b"<html>", &[html]), true),
        (full(b"<html>", &[]), false),
        // Some servers call everything they do not know text/html.
        (full(BODY, &[html]), false),
    ] {
        let origin = Origin::playing([given]).await;
        assert_eq!(
            client().probe(&origin.url("/")).await.unwrap().is_html(),
            is_html
        );
    }
}
