//! Small documents, and what hosts are told of who asks.

use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};

use super::super::{Ask, Client, Document, Error, HostCredential};
use super::origin::{Answer, Origin, answer, full, probed, redirect};
use super::{client, hasty, options};

const SECRET: &str = "Bearer S3CR3T";

fn ask(max: usize) -> Ask<'static> {
    Ask {
        max,
        accept: &[200, 404],
        ..Ask::default()
    }
}

async fn told(max: usize, answers: Vec<Answer>) -> (Origin, Result<Document, Error>) {
    let origin = Origin::playing(answers).await;
    let url = origin.url("/list?t=S3CR3T");
    let told = client().document(&url, ask(max)).await;
    (origin, told)
}

#[tokio::test]
async fn a_document_is_read_as_it_comes() {
    let (origin, told) = told(3, vec![full(b"{ }", &["X-Told: yes"])]).await;
    let told = told.unwrap();
    assert_eq!((told.status, &told.body[..]), (200, &b"{ }"[..]));
    assert_eq!(told.headers.get("x-told").unwrap(), "yes");
    // A packed listing is none that anybody here could read.
    let encoding = origin.header(0, "accept-encoding");
    assert_eq!(encoding.as_deref(), Some("identity"));
}

#[tokio::test]
async fn one_that_is_too_long_is_refused() {
    let chunked = answer(
        &["200 OK", "Transfer-Encoding: chunked"],
        b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    );
    for answer in [full(b"abcd", &[]), chunked] {
        let (origin, told) = told(3, vec![answer]).await;
        let error = told.unwrap_err();
        assert!(matches!(error, Error::TooLong { max: 3, .. }), "{error}");
        assert!(!error.to_string().contains("S3CR3T") && origin.asked().len() == 1);
    }
}

#[tokio::test]
async fn only_the_wanted_statuses_are_answers() {
    let no = |status: &str| answer(&[status, "Content-Length: 2"], b"no");
    let (_, answered) = told(9, vec![no("404 Not Found")]).await;
    let answered = answered.unwrap();
    assert_eq!((answered.status, &answered.body[..]), (404, &b"no"[..]));
    for (status, code) in [("403 No", 403), ("201 Made", 201), ("410 Gone", 410)] {
        let (origin, told) = told(9, vec![no(status)]).await;
        assert_eq!(told.unwrap_err().status(), Some(code));
        assert_eq!(origin.asked().len(), 1);
    }
    let (origin, told) = told(9, vec![redirect(302, "/elsewhere")]).await;
    assert_eq!(told.unwrap_err().status(), Some(302));
    assert_eq!(origin.asked().len(), 1);
}

#[tokio::test]
async fn a_cut_one_is_asked_for_again_from_its_start() {
    let answers = vec![
        full(b"abcdef", &[]).cut(3),
        answer(&["503 Busy", "Content-Length: 0"], b""),
        full(b"abcdef", &[]),
    ];
    let (origin, told) = told(6, answers).await;
    assert_eq!(&told.unwrap().body[..], b"abcdef");
    assert!(origin.is_done() && origin.header(2, "range").is_none());
}

#[tokio::test]
async fn one_that_stalls_is_a_timeout() {
    let origin = Origin::playing([full(b"abcdef", &[]).hang(3)]).await;
    let told = hasty(300).document(&origin.url("/"), ask(9)).await;
    assert!(told.unwrap_err().is_timeout());
}

/// A client that knows who it is to the host of this origin.
fn known_to(origin: &Origin) -> Client {
    let mut options = options(Duration::from_secs(5));
    options.credentials = vec![HostCredential {
        authority: authority(origin).to_owned(),
        authorization: HeaderValue::from_static(SECRET),
    }];
    Client::new(options).unwrap()
}

fn authority(origin: &Origin) -> &str {
    origin.base.strip_prefix("http://").unwrap()
}

#[tokio::test]
async fn a_credential_is_for_one_host_and_port() {
    let (ours, other) = (Origin::start().await, Origin::start().await);
    let client = known_to(&ours);
    for origin in [&ours, &other] {
        origin.play([full(b"{}", &[])]);
        let url = origin.url("/");
        client.document(&url, ask(9)).await.unwrap();
    }
    // The same machine by another name, and so another host.
    let port = authority(&ours).rsplit(':').next().unwrap().to_owned();
    ours.play([full(b"{}", &[])]);
    let url = format!("http://localhost:{port}/");
    client.document(&url, ask(9)).await.unwrap();
    assert_eq!(ours.header(0, "authorization").as_deref(), Some(SECRET));
    assert_eq!(ours.header(1, "authorization"), None);
    assert_eq!(other.header(0, "authorization"), None);
}

#[tokio::test]
async fn no_redirect_takes_a_credential_along() {
    let (ours, other) = (Origin::start().await, Origin::start().await);
    ours.play([redirect(302, other.url("/o")), probed(b"abc", &[])]);
    other.play([redirect(302, ours.url("/back"))]);
    let client = known_to(&ours);
    client.probe(&ours.url("/m")).await.unwrap();
    assert_eq!(other.header(0, "authorization"), None);
    assert_eq!(ours.header(0, "authorization").as_deref(), Some(SECRET));
    assert_eq!(ours.header(1, "authorization").as_deref(), Some(SECRET));
}

#[tokio::test]
async fn a_credential_is_never_shown() {
    let origin = Origin::playing([answer(&["401 Who", "Content-Length: 0"], b"")]).await;
    let client = known_to(&origin);
    assert!(!format!("{client:?}").contains("S3CR3T"));
    let error = client.probe(&origin.url("/m")).await.unwrap_err();
    for text in [error.to_string(), format!("{error:?}")] {
        assert!(!text.contains("S3CR3T"), "{text}");
    }
}

#[tokio::test]
async fn what_is_signed_goes_to_no_mirror() {
    let (host, mirror) = (Origin::start().await, Origin::start().await);
    let mut options = options(Duration::from_secs(5));
    let rule = format!("{}={}", host.base, mirror.base);
    options.mirrors = vec![rule.parse().unwrap()];
    let client = Client::new(options).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_static(SECRET));
    let signed = Ask { headers, ..ask(9) };
    host.play([full(b"{}", &[])]);
    mirror.play([full(b"[]", &[])]);
    let told = client.document(&host.url("/"), signed).await.unwrap();
    assert_eq!(&told.body[..], b"{}");
    let told = client.document(&host.url("/"), ask(9)).await.unwrap();
    assert_eq!(&told.body[..], b"[]");
    assert_eq!(mirror.header(0, "authorization"), None);
}
