//! The table of names, row by row, and what each refusal says.

use super::*;

fn tfhub() -> Names {
    names("https://tfhub.dev")
}

fn model(url: &str, inside: &str) -> Place {
    Place::Model {
        handle: handle(url),
        inside: inside.to_owned(),
        certain: true,
    }
}

fn uncertain(url: &str) -> Place {
    Place::Model {
        handle: handle(url),
        inside: String::new(),
        certain: false,
    }
}

fn link(target: &str) -> Place {
    Place::Link(target.to_owned())
}

fn versions(url: &str) -> Place {
    Place::Versions(handle(url))
}

fn bucket(url: &str) -> Place {
    Place::Bucket(BucketPath::parse(url).unwrap())
}

#[track_caller]
fn check(names: &Names, table: &[(&str, Place)]) {
    for (path, want) in table {
        assert_eq!(names.place(&split(path)).as_ref(), Ok(want), "{path}");
    }
}

#[test]
fn the_table_of_names() {
    let x = "https://tfhub.dev/google/x";
    let x1 = "https://tfhub.dev/google/x/1";
    let kaggle = "https://www.kaggle.com/models/g/n/tensorFlow2/400";
    let long = "https://kaggle.com/models/g/n/frameworks/TfLite/variations/v";
    check(
        &tfhub(),
        &[
            ("", Place::Dir),
            ("google", Place::Dir),
            ("google/x", versions(x)),
            ("google/x/latest", Place::Latest(handle(x))),
            ("google/x/latest/a/b", model(x, "a/b")),
            ("google/x/1", model(x1, "")),
            (
                "google/x/1/variables/variables.index",
                model(x1, "variables/variables.index"),
            ),
            ("google/x/1/we?rd", model(x1, "we?rd")),
            ("model.tar.gz", model("https://tfhub.dev/model.tar.gz", "")),
            ("tfhub.dev", link(".")),
            ("TFHUB.dev:443", link(".")),
            ("https:", Place::Dir),
            ("HTTPS:", link("https:")),
            ("https:/tfhub.dev", link("..")),
            ("https:/Models.Example.com", link("../models.example.com")),
            ("Models.Example.com", link("models.example.com")),
            ("models.example.com", Place::Dir),
            (
                "models.example.com/a/b",
                versions("https://models.example.com/a/b"),
            ),
            (
                "models.example.com/a/b/1",
                uncertain("https://models.example.com/a/b/1"),
            ),
            ("localhost/a/b/1", uncertain("https://localhost/a/b/1")),
            (
                "modelserver/a/1",
                model("https://tfhub.dev/modelserver/a/1", ""),
            ),
            (
                "https:/modelserver/a/b/1",
                uncertain("https://modelserver/a/b/1"),
            ),
            (
                "example.com/x/model.tar.gz/a",
                model("https://example.com/x/model.tar.gz", "a"),
            ),
            ("gs:", Place::Buckets(Scheme::Gs)),
            ("GS:", link("gs:")),
            ("s3:", Place::Buckets(Scheme::S3)),
            ("gs:/bucket", bucket("gs://bucket")),
            (
                "gs:/bucket/a/.b/c?d/4/saved_model.pb",
                bucket("gs://bucket/a/.b/c?d/4/saved_model.pb"),
            ),
            (
                "s3:/bucket/x/m.tar.gz/a/b",
                model("s3://bucket/x/m.tar.gz", "a/b"),
            ),
            ("http:", Place::Dir),
            (
                "http:/127.0.0.1:8080/a/b/1",
                uncertain("http://127.0.0.1:8080/a/b/1"),
            ),
            (
                "http:/allowed.example:8/a/b/1",
                uncertain("http://allowed.example:8/a/b/1"),
            ),
            ("http:/[0::1]:80", link("[::1]")),
            ("google/x/1?tfhub-redirect=true", link("1")),
            ("google/x/1/?tfhub-redirect=true", link(".")),
            ("google/x?a=b", link("x")),
            ("google/x#top", link("x")),
            (
                "www.kaggle.com/models/g/n/tensorFlow2/400",
                versions(kaggle),
            ),
            (
                "www.kaggle.com/models/g/n/tensorFlow2/400/2",
                model(&format!("{kaggle}/2"), ""),
            ),
            (
                "kaggle.com/models/g/n/frameworks/TfLite/variations/v",
                Place::Dir,
            ),
            (
                "kaggle.com/models/g/n/frameworks/TfLite/variations/v/versions",
                versions(long),
            ),
            (
                "kaggle.com/models/g/n/frameworks/TfLite/variations/v/versions/3/x",
                model(&format!("{long}/versions/3"), "x"),
            ),
            (
                "hub.tensorflow.google.cn/google/bit/s-r50x1/1",
                model("https://hub.tensorflow.google.cn/google/bit/s-r50x1/1", ""),
            ),
        ],
    );
}

#[test]
fn a_hub_in_plain_http_owns_the_short_names() {
    check(
        &names("http://127.0.0.1:9"),
        &[
            ("google/x/1", model("http://127.0.0.1:9/google/x/1", "")),
            ("127.0.0.1:9", link(".")),
            ("http:/127.0.0.1:9", link("..")),
            (
                "https:/127.0.0.1:9/a/b/1",
                uncertain("https://127.0.0.1:9/a/b/1"),
            ),
            (
                "tfhub.dev/google/x/1",
                uncertain("https://tfhub.dev/google/x/1"),
            ),
        ],
    );
    check(
        &names("http://hub.example"),
        &[
            ("hub.example:80", link(".")),
            (
                "http:/hub.example:8080/a/b/1",
                uncertain("http://hub.example:8080/a/b/1"),
            ),
        ],
    );
}

#[test]
fn a_hub_may_have_a_path() {
    check(
        &names("https://corp.example/hub/v/1/"),
        &[
            (
                "google/x/1",
                model("https://corp.example/hub/v/1/google/x/1", ""),
            ),
            (
                "google/x",
                versions("https://corp.example/hub/v/1/google/x"),
            ),
            ("corp.example", Place::Dir),
            ("corp.example/hub/v", Place::Dir),
            ("corp.example/hub/v/1", link("../../..")),
            (
                "corp.example/other/v/1",
                uncertain("https://corp.example/other/v/1"),
            ),
            ("https:/corp.example", link("../corp.example")),
        ],
    );
    check(
        &names("http://[::1]:8080/m"),
        &[
            ("[::1]:8080", link("http:/[::1]:8080")),
            ("http:/[::1]:8080", Place::Dir),
            ("http:/[::1]:8080/m", link("../..")),
            (
                "http:/[::1]:8080/n/a/1",
                uncertain("http://[::1]:8080/n/a/1"),
            ),
        ],
    );
}

#[test]
fn uncertain_roots_can_be_refused() {
    let names = tfhub();
    let path = split("google/tfjs-model/spice/2/default/1");
    let spice = "https://tfhub.dev/google/tfjs-model/spice/2";
    assert_eq!(names.place_beyond(&path[..4], 0), Ok(uncertain(spice)));
    assert_eq!(names.place_beyond(&path[..4], 1), Ok(versions(spice)));
    assert_eq!(
        names.place_beyond(&path[..5], 1),
        Ok(versions(
            "https://tfhub.dev/google/tfjs-model/spice/2/default"
        ))
    );
    assert_eq!(
        names.place_beyond(&path, 1),
        Ok(uncertain(
            "https://tfhub.dev/google/tfjs-model/spice/2/default/1"
        ))
    );
    let certain = split("google/x/1/2");
    assert_eq!(
        names.place_beyond(&certain, 9),
        Ok(model("https://tfhub.dev/google/x/1", "2"))
    );
}

#[test]
fn what_can_never_be_a_handle_is_no_name() {
    let names = tfhub();
    for path in [
        ".git",
        "google/.hidden",
        "saved_model.pb",
        "google/x/saved_model.pb",
        "google/x/variables.index",
        "a b",
        "google/100%",
        "google/x/99999999999999999999",
        "google/x/..",
        "gs:/Bucket",
        "s3:/b",
        "gs:/bucket/a\nb",
        "ftp:",
        "v1.0",
        "host.example:0/a",
        "http:/tfhub.dev/google/x/1",
        "http:/one.example/a",
        "https:/.git",
        "tfhub.dev/google/x/1",
        "www.kaggle.com/datasets",
        "google/sa ved?x",
    ] {
        let components: Vec<&str> = path.split('/').collect();
        assert!(names.place(&components).is_err(), "{path}");
    }
    let long = "a".repeat(256);
    assert!(names.place(&["google", &long]).is_err());
    for host in ["one.example:81", "two.example", "two.example:80"] {
        assert!(names.place(&["http:", host]).is_ok(), "{host}");
    }
    assert!(names.place(&["http:", "two.example:81"]).is_err());
}

#[test]
fn handles_without_a_path_say_what_to_type() {
    let names = tfhub();
    for (url, part) in [
        ("http://evil.example/a/b/1", "--allow-http evil.example"),
        (
            "https://tfhub.dev/google/x/1/2",
            "inside the model `https://tfhub.dev/google/x/1`",
        ),
        (
            "https://tfhub.dev/google/x/latest",
            "newest version of `https://tfhub.dev/google/x`",
        ),
        ("https://tfhub.dev/a.b/x/1", "`a.b` would be read as a host"),
    ] {
        let error = names.path(&handle(url)).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn the_hub_is_no_model() {
    for hub in ["https://corp.example/hub/v/1", "http://[::1]:8080/m"] {
        let error = names(hub).path(&handle(hub)).unwrap_err().to_string();
        assert!(error.contains("and no model"), "{error}");
    }
    let above = handle("https://corp.example/hub/v");
    let path = names("https://corp.example/hub/v/1").path(&above);
    assert_eq!(path.as_deref(), Ok("corp.example/hub/v/latest"));
}

#[test]
fn texts_that_are_no_handles_say_what_to_type() {
    for (text, part) in [
        ("google/x/1", "did you mean `https://tfhub.dev/google/x/1`"),
        (
            "tfhub.dev/google/x/1",
            "did you mean `https://tfhub.dev/google/x/1`",
        ),
        (
            "https:/tfhub.dev/google/x/1",
            "did you mean `https://tfhub.dev/google/x/1`",
        ),
        ("", "no scheme"),
        ("ftp://bucket/model", "not from `ftp://`"),
        ("gs://bucket", "and no model"),
        ("gs://Bucket/model", "names no bucket"),
        ("gs://bucket/a//b", "type one slash"),
        ("https://tfhub.dev", "and no model"),
        ("https://tfhub.dev//?a", "and no model"),
        ("https://tfhub.dev/a//b/1", "type one slash"),
        ("https://tfhub.dev/a/../b/1", "`..` is no name"),
        ("https://tfhub.dev/a/%2e%2E/1", "is no name"),
        ("https://tfhub.dev/a b/1", "percent-encoded"),
        ("https://tfhub.dev/a/b%/1", "%25"),
        (
            "https://tfhub.dev/a/b/1/saved_model.pb",
            "type its model's URL",
        ),
        ("https://tfhub.dev/a/b/1?x=\u{fc}", "leave out the `?`"),
        ("https://a..b/a/b/1", "not a host name"),
        ("https://user:pw@tfhub.dev/a/b/1", "up to the `@`"),
        ("https://www.kaggle.com/models/google/nnlm", "OWNER/MODEL"),
        (
            "https://www.kaggle.com/models/google/nnlm/tf/v/1/2",
            "OWNER/MODEL",
        ),
        ("https://kaggle.com/datasets/a/b.tar.gz", "OWNER/MODEL"),
    ] {
        let error = Handle::parse(text).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let long = format!("https://tfhub.dev/google/{}", "a".repeat(256));
    assert!(
        Handle::parse(&long)
            .unwrap_err()
            .to_string()
            .contains("256 bytes")
    );
}

#[test]
fn hubs_are_checked() {
    for hub in [
        "tfhub.dev",
        "ftp://a",
        "https://a..b",
        "https://h/?q",
        "https://kaggle.com/models",
        "https://h/.x",
    ] {
        assert!(Names::new(hub, HttpHosts::default()).is_err(), "{hub}");
    }
    for hub in HUBS {
        assert_eq!(names(hub).hub(), hub.trim_end_matches('/'));
    }
}

#[test]
fn links_are_relative_to_where_they_are() {
    let names = tfhub();
    let at = ["google", "x", "latest"];
    for (url, target) in [
        ("https://tfhub.dev/google/x/4", "4"),
        ("https://tfhub.dev/google/y/4", "../y/4"),
        (
            "https://www.kaggle.com/models/g/n/f/v/2",
            "../../www.kaggle.com/models/g/n/f/v/2",
        ),
    ] {
        assert_eq!(names.link(&at, &handle(url)).as_deref(), Ok(target));
    }
}
