//! Kaggle's API in both forms, its errors, and URLs that do not live for ever.

use serde_json::{Value, json};

use super::{get, location, post};
use crate::origin::{Fault, Hop, Origin, Wording};

fn files(count: usize) -> Vec<(String, Vec<u8>)> {
    let file = |number| (format!("dir/{number:02}.bin"), vec![number as u8; 10]);
    (0..count).map(file).collect()
}

/// Two versions of one model, another framework and another model of the same owner.
fn origin() -> Origin {
    let origin = Origin::start();
    for (name, count) in [
        ("google/bit/tensorFlow2/s-r50x1/1", 3),
        ("google/bit/tensorFlow2/s-r50x1/3", 30),
        ("google/bit/tfLite/small/1", 1),
        ("google/yamnet/tensorFlow2/yamnet/1", 2),
    ] {
        origin.kaggle(name, &files(count), &b"an archive"[..]);
    }
    origin
}

fn rest(origin: &Origin, path: &str) -> Value {
    let (head, body) = get(
        &format!("{}/api/v1/models/{path}", origin.url(Hop::Kaggle)),
        "",
    );
    assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
    serde_json::from_slice(&body).unwrap()
}

fn rpc(origin: &Origin, method: &str, ask: &Value) -> (String, Vec<u8>) {
    let url = format!(
        "{}/api/v1/models.ModelApiService/{method}",
        origin.url(Hop::Kaggle)
    );
    post(&url, &ask.to_string())
}

#[test]
fn both_forms_tell_the_same() {
    let origin = origin();
    let models = rest(&origin, "list?owner=google&pageSize=1");
    assert_eq!(models["models"][0]["ref"], "google/bit");
    assert_eq!(models["totalResults"], 2);
    let next = models["nextPageToken"].as_str().unwrap();
    let models = rest(
        &origin,
        &format!("list?owner=google&pageSize=1&pageToken={next}"),
    );
    assert_eq!(models["models"][0]["slug"], "yamnet");
    assert_eq!(models["nextPageToken"], "", "the end is an empty token");
    let model = rest(&origin, "google/BiT/get");
    assert_eq!(model["instances"].as_array().unwrap().len(), 2, "{model}");
    let variations = rest(&origin, "google/bit/list");
    assert_eq!(variations["instances"][0]["framework"], "TensorFlow2");
    let newest = rest(&origin, "google/bit/TENSORFLOW2/s-r50x1/get");
    assert_eq!(newest["versionNumber"], 3);
    let versions = rest(&origin, "google/bit/tensorFlow2/s-r50x1/list");
    assert_eq!(
        versions["versionList"]["versions"][0]["versionNumber"], 3,
        "{versions}"
    );

    let of = json!({"ownerSlug": "google", "modelSlug": "bit", "framework": "MODEL_FRAMEWORK_TENSOR_FLOW_2",
        "instanceSlug": "s-r50x1"});
    let (_, body) = rpc(&origin, "GetModelInstance", &of);
    let newest: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(newest["framework"], "MODEL_FRAMEWORK_TENSOR_FLOW_2");
    assert_eq!(newest["versionNumber"], 3);
}

#[test]
fn files_come_in_pages_and_each_by_a_redirect() {
    let origin = origin();
    let place = "google/bit/tensorFlow2/s-r50x1";
    let mut names = Vec::new();
    let mut token = String::new();
    loop {
        let page = rest(&origin, &format!("{place}/3/files?pageToken={token}"));
        let files = page["files"].as_array().unwrap();
        names.extend(
            files
                .iter()
                .map(|file| file["name"].as_str().unwrap().to_owned()),
        );
        token = page["nextPageToken"].as_str().unwrap().to_owned();
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(names.len(), 30);
    let url = format!(
        "{}/api/v1/models/{place}/3/download/dir/07.bin",
        origin.url(Hop::Kaggle)
    );
    let (head, _) = get(&url, "Authorization: Bearer secret\r\n");
    assert!(head.starts_with("HTTP/1.1 302"), "{head}");
    let signed = location(&head);
    assert_eq!(get(signed, "Range: bytes=2-4\r\n").1, [7, 7, 7]);
    assert!(
        get(signed, "Authorization: Bearer secret\r\n")
            .0
            .starts_with("HTTP/1.1 403")
    );
    assert_eq!(origin.authorizations(Hop::Kaggle), ["Bearer secret"]);
    assert_eq!(
        origin.authorizations(Hop::Gcs),
        ["Bearer secret"],
        "a leak is seen"
    );
    let name = "google/bit/tensorFlow2/s-r50x1/3/dir/07.bin";
    assert_eq!((origin.sent(name), origin.sent_again(name)), (3, 0));

    let ask = json!({"ownerSlug": "google", "modelSlug": "bit", "framework": "tensorFlow2",
        "instanceSlug": "s-r50x1", "versionNumber": 3});
    let (head, _) = rpc(&origin, "DownloadModelInstanceVersion", &ask);
    assert_eq!(get(location(&head), "").1, b"an archive");
}

#[test]
fn errors_come_in_three_shapes() {
    let origin = origin();
    let version = origin.kaggle("o/m/tensorFlow2/v/1", &files(1), &b"x"[..]);
    let url = format!(
        "{}/api/v1/models/o/m/tensorFlow2/v/1/files",
        origin.url(Hop::Kaggle)
    );
    let cases = [
        (Wording::Flat, "HTTP/1.1 403", "/message"),
        (Wording::Gateway, "HTTP/1.1 403", "/error/message"),
        (Wording::Inside200, "HTTP/1.1 200", "/message"),
    ];
    for (wording, status, at) in cases {
        version.faults(vec![Fault::Consent, Fault::Wording(wording)]);
        let (head, body) = get(&url, "");
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert!(head.starts_with(status), "{head}");
        assert_eq!(
            body.pointer(at).unwrap(),
            "User has not consented to terms of use."
        );
    }
    let limited = |retry_after| Fault::Status {
        hop: Hop::Kaggle,
        code: 429,
        retry_after,
        times: 1,
    };
    version.faults(vec![limited(Some(1)), limited(None)]);
    assert!(get(&url, "").0.contains("Retry-After: 1"));
    assert!(!get(&url, "").0.contains("Retry-After"));
    assert!(get(&url, "").0.starts_with("HTTP/1.1 200"));
    origin.require("Basic dTpw");
    assert!(get(&url, "").0.starts_with("HTTP/1.1 401"));
    assert!(
        get(&url, "Authorization: Basic dTpw\r\n")
            .0
            .starts_with("HTTP/1.1 200")
    );
    let none = format!("{}/api/v1/models/o/none/get", origin.url(Hop::Kaggle));
    assert!(
        get(&none, "Authorization: Basic dTpw\r\n")
            .0
            .starts_with("HTTP/1.1 404")
    );
}

#[test]
fn signed_urls_end_when_they_say() {
    let origin = origin();
    let version = origin.kaggle("o/m/tensorFlow2/v/1", &files(1), &b"0123"[..]);
    let download = format!(
        "{}/api/v1/models/o/m/tensorFlow2/v/1/download",
        origin.url(Hop::Kaggle)
    );
    for form in [None, Some(Fault::SignedV2)] {
        let set = |seconds, age| {
            let faults = [Fault::Lifetime { seconds, age }]
                .into_iter()
                .chain(form.clone());
            version.archive.faults(faults.collect());
        };
        set(60, 59);
        let url = location(&get(&download, "").0).to_owned();
        let words = if form.is_some() {
            "&Expires="
        } else {
            "X-Goog-Expires=60&"
        };
        assert!(url.contains(words), "{url}");
        set(60, 61);
        let late = location(&get(&download, "").0).to_owned();
        assert!(get(&late, "").0.starts_with("HTTP/1.1 400"), "{late}");
    }
    version.archive.faults(vec![Fault::Expired { times: 1 }]);
    let url = location(&get(&download, "").0).to_owned();
    assert!(
        get(&url, "Range: bytes=0-0\r\n")
            .0
            .starts_with("HTTP/1.1 206")
    );
    assert!(get(&url, "").0.starts_with("HTTP/1.1 400"));
    let url = location(&get(&download, "").0).to_owned();
    assert_eq!(get(&url, "").1, b"0123", "the next one lives");
}
