//! The origin itself, asked by hand: a fake that is too kind would prove nothing.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::origin::{Fault, Form, Gate, Hop, Origin, Route};

#[path = "tests/bucket.rs"]
mod bucket;
#[path = "tests/kaggle.rs"]
mod kaggle;
#[path = "tests/written.rs"]
mod written;

/// One GET; the head of the answer and whatever came of its body.
fn get(url: &str, headers: &str) -> (String, Vec<u8>) {
    ask("GET", url, headers, "")
}

/// One POST of a JSON document.
fn post(url: &str, body: &str) -> (String, Vec<u8>) {
    let length = body.len();
    ask(
        "POST",
        url,
        &format!("Content-Type: application/json\r\nContent-Length: {length}\r\n"),
        body,
    )
}

fn ask(method: &str, url: &str, headers: &str, body: &str) -> (String, Vec<u8>) {
    let (authority, path) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let mut stream = TcpStream::connect(authority).unwrap();
    write!(
        stream,
        "{method} /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n{headers}\r\n{body}"
    )
    .unwrap();
    let _ = stream.set_read_timeout(Some(std::time::Duration::from_secs(1)));
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = stream.read(&mut piece) {
        answer.extend_from_slice(&piece[..read]);
    }
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap()
        + 4;
    let body = answer.split_off(end);
    (String::from_utf8(answer).unwrap(), body)
}

fn location(head: &str) -> &str {
    head.lines()
        .find_map(|line| line.strip_prefix("Location: "))
        .unwrap_or_else(|| panic!("no Location: {head}"))
}

/// The signed URL of a model, by way of Kaggle.
fn signed(origin: &Origin, name: &str) -> String {
    let (head, _) = get(
        &format!("{}/{name}?tf-hub-format=compressed", origin.url(Hop::Hub)),
        "",
    );
    let kaggle = location(&head).to_owned();
    assert!(
        kaggle.ends_with("?tf-hub-format=compressed&tfhub-redirect=true"),
        "{kaggle}"
    );
    location(&get(&kaggle, "").0).to_owned()
}

#[test]
fn only_what_was_signed_is_accepted() {
    let origin = Origin::start();
    origin.publish("google/a/1", &b"0123456789"[..]);
    let url = signed(&origin, "google/a/1");
    let (head, body) = get(&url, "");
    assert!(
        head.starts_with("HTTP/1.1 200") && body == b"0123456789",
        "{head}"
    );
    assert_eq!(head.matches("x-goog-hash: ").count(), 2, "{head}");
    let others = [
        url.replace("%2f", "%2F"),
        url.replace("%3d", "="),
        url.replace("&blank=&", "&blank&"),
        format!("{url}&tf-hub-format=compressed"),
    ];
    for other in others {
        assert!(
            other == url || get(&other, "").0.starts_with("HTTP/1.1 403"),
            "{other}"
        );
    }
    for header in [
        "Authorization: Basic eA==",
        "Cookie: ka_sessionid=1",
        "x-goog-user-project: p",
    ] {
        assert!(
            get(&url, &format!("{header}\r\n"))
                .0
                .starts_with("HTTP/1.1 403"),
            "{header}"
        );
    }
    let (head, body) = get(&url, "Range: bytes=2-4\r\n");
    assert!(
        head.contains("206") && head.contains("Content-Range: bytes 2-4/10") && body == b"234",
        "{head}"
    );
    assert!(
        get(&url, "Range: bytes=10-\r\n")
            .0
            .starts_with("HTTP/1.1 416")
    );
    assert!(
        get(&url, "Range: bytes=2-\r\nIf-Range: \"other\"\r\n")
            .0
            .starts_with("HTTP/1.1 200")
    );
    assert_eq!(origin.hops("google/a/1")[..2], [1, 1]);
}

#[test]
fn faults_strike_where_they_should() {
    let origin = Origin::start();
    let model = origin.host("google/a/1", &b"0123456789"[..]);
    let url = format!(
        "{}/google/a/1?tf-hub-format=compressed",
        origin.url(Hop::Hub)
    );
    let body = |faults: Vec<Fault>| {
        model.faults(faults);
        get(&url, "").1
    };
    assert_eq!(body(vec![Fault::Cut { at: 4, times: 1 }]), b"0123");
    assert_eq!(get(&url, "").1, b"0123456789", "it struck once");
    assert_eq!(body(vec![Fault::Stall { at: 7 }]), b"0123456");
    assert_eq!(body(vec![Fault::Flip { bit: 9 }]), b"0323456789");
    let gate = Gate::new();
    assert_eq!(
        body(vec![Fault::Gated {
            at: 5,
            gate: gate.clone()
        }]),
        b"01234"
    );
    gate.open();
    assert_eq!(get(&url, "").1, b"0123456789");
    assert_eq!(
        get(&url, "Range: bytes=6-\r\n").1,
        b"6789",
        "positions are the object's"
    );
    assert_eq!(
        body(vec![Fault::Silence { hop: Hop::Kaggle }]),
        b"0123456789",
        "not on its way"
    );
    model.faults(vec![Fault::Status {
        hop: Hop::Hub,
        code: 503,
        retry_after: Some(7),
        times: 1,
    }]);
    let (head, _) = get(&url, "");
    assert!(
        head.starts_with("HTTP/1.1 503") && head.contains("Retry-After: 7"),
        "{head}"
    );
    assert!(get(&url, "").0.starts_with("HTTP/1.1 200"));
    let (head, page) = get(&format!("{}/google/none/1", origin.url(Hop::Hub)), "");
    assert!(
        location(&head).ends_with("/models?tfhub-redirect=true") && page.starts_with(b"<html>")
    );
    origin.die();
    assert!(
        TcpStream::connect(origin.authority()).is_err(),
        "a dead origin refuses"
    );
}

#[test]
fn each_form_answers_its_own_query() {
    let origin = Origin::start();
    let all = [
        (Form::SavedModel, "tf-hub-format=compressed"),
        (Form::TfLite, "lite-format=tflite"),
        (Form::TfJs, "tfjs-format=compressed"),
    ];
    for (form, query) in all {
        origin.publish_as("google/a/1", &b"0123"[..], Route::Kaggle, form);
        for (_, asked) in all {
            let url = format!("{}/google/a/1?{asked}", origin.url(Hop::Hub));
            let kaggle = location(&get(&url, "").0).to_owned();
            let (head, page) = get(&kaggle, "");
            if asked == query {
                assert_eq!(get(location(&head), "").1, b"0123", "{asked}");
            } else {
                assert!(page.starts_with(b"<!DOCTYPE html>"), "{form:?}: {asked}");
            }
        }
    }
}
