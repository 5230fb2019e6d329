//! A handle is a path: every spelling reaches one model, and names that cannot be handles cost nothing.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use crate::common::{
    Mount, Mounting, SOON, Tar, assert_errno, eventually, run, saved_model, sha1_of,
};
use crate::origin::{Hop, Origin};

fn canonical(mount: &Mount, spelling: &str) -> String {
    mount
        .real(spelling)
        .unwrap_or_else(|error| panic!("{spelling}: {error}"))
}

/// "One model has one directory and one inode, whichever spelling was used: `realpath` gives the canonical path."
#[test]
fn every_spelling_of_a_hub_model_is_one_directory() {
    let origin = Origin::start();
    let model = saved_model(1, 5_000);
    origin.publish("google/nnlm-en-dim128/2", Tar::of(&model).gz());
    let mount = Mounting::of(&origin).start();
    let inode = mount.stat("google/nnlm-en-dim128/2").unwrap().ino();
    for spelling in [
        "google/nnlm-en-dim128/2",
        "tfhub.dev/google/nnlm-en-dim128/2",
        "https:/tfhub.dev/google/nnlm-en-dim128/2",
        "https://tfhub.dev/google/nnlm-en-dim128/2",
        "https://tfhub.dev/google/nnlm-en-dim128/2/",
        "https://tfhub.dev/google/nnlm-en-dim128/2?tfhub-redirect=true",
        "google/nnlm-en-dim128/2?tf-hub-format=compressed",
    ] {
        assert_eq!(
            canonical(&mount, spelling),
            "google/nnlm-en-dim128/2",
            "{spelling}"
        );
        assert_eq!(mount.stat(spelling).unwrap().ino(), inode, "{spelling}");
    }
    assert_eq!(
        origin.hops("google/nnlm-en-dim128/2"),
        [1, 1, 1],
        "one model, one answer, however it is spelled"
    );
    let pasted = mount
        .read("https://tfhub.dev/google/nnlm-en-dim128/2/saved_model.pb")
        .unwrap();
    assert_eq!(pasted, model.bytes("saved_model.pb"));
    assert_eq!(
        canonical(&mount, "https:/tfhub.dev/google/nnlm-en-dim128/2/variables"),
        "google/nnlm-en-dim128/2/variables"
    );
}

/// With `--hub-url` the short names are that hub's, and its cache keys too.
#[test]
fn another_hub_owns_the_short_names() {
    let origin = Origin::start();
    let model = saved_model(2, 5_000);
    origin.host("a/deep/name_1.0/3", Tar::of(&model).gz());
    let mount = Mounting::bare()
        .arg(format!("--hub-url={}", origin.url(Hop::Hub)))
        .start();
    let hub = origin.authority();
    for spelling in [
        "a/deep/name_1.0/3".to_owned(),
        format!("{hub}/a/deep/name_1.0/3"),
        format!("http:/{hub}/a/deep/name_1.0/3"),
        format!("http://{hub}/a/deep/name_1.0/3"),
    ] {
        assert_eq!(
            canonical(&mount, &spelling),
            "a/deep/name_1.0/3",
            "{spelling}"
        );
    }
    mount.on("a/deep/name_1.0/3", move |root| model.assert_at(&root));
    let key = sha1_of(&format!("http://{hub}/a/deep/name_1.0/3"));
    eventually(
        "the cache key is tensorflow_hub's for the same URL",
        SOON,
        || mount.cache.join(&key).is_dir(),
    );
}

/// Other hosts, archives by URL and Kaggle's two forms are paths too; a mirror changes where bytes come from and nothing else.
#[test]
fn other_hosts_archives_and_kaggle_are_paths() {
    let origin = Origin::start();
    let [one, two, three] = [3, 4, 5].map(|seed| saved_model(seed, 5_000));
    origin.host("a/b/1", Tar::of(&one).gz());
    origin.host("x/model.tar.gz", Tar::of(&two).gz());
    origin.publish("google/bit/s-r50x1/1", Tar::of(&three).gz());
    let hub = origin.url(Hop::Hub);
    let mount = Mounting::of(&origin)
        .arg(format!("--mirror=https://models.example.com={hub}"))
        .arg(format!("--mirror=https://example.com={hub}"))
        .start();
    let kaggle = "www.kaggle.com/models/google";
    let plain = format!("http:/{}/x/model.tar.gz", origin.authority());
    for (path, model) in [
        ("models.example.com/a/b/1", &one),
        ("https://models.example.com/a/b/1", &one),
        ("example.com/x/model.tar.gz", &two),
        ("https://example.com/x/model.tar.gz", &two),
        (&plain, &two),
        (
            &format!("{kaggle}/bit-s-r50x1/tensorFlow2/bit-s-r50x1/1"),
            &three,
        ),
        (
            &format!(
                "{kaggle}/bit-s-r50x1/frameworks/tensorFlow2/variations/bit-s-r50x1/versions/1"
            ),
            &three,
        ),
        (
            &format!("https://{kaggle}/bit-s-r50x1/tensorFlow2/bit-s-r50x1/1"),
            &three,
        ),
        ("hub.tensorflow.google.cn/google/bit/s-r50x1/1", &three),
    ] {
        let model = model.clone();
        mount.on(path, move |root| model.assert_at(&root));
    }
    for handle in [
        "https://models.example.com/a/b/1",
        "https://example.com/x/model.tar.gz",
        "https://hub.tensorflow.google.cn/google/bit/s-r50x1/1",
    ] {
        let sealed = mount.cache.join(sha1_of(handle));
        eventually(
            &format!("{handle}: kept under its canonical name"),
            SOON,
            || sealed.is_dir(),
        );
    }
    let chinese = origin
        .seen()
        .into_iter()
        .find(|seen| seen.target.starts_with("/tfhub-modules/"))
        .unwrap();
    assert_eq!(
        chinese.target, "/tfhub-modules/google/bit/s-r50x1/1.tar.gz",
        "rewritten without any query"
    );
}

/// TensorFlow Serving polls a model's directory for its versions: the hub is asked at most once a minute.
#[test]
fn versions_and_latest() {
    let origin = Origin::start();
    let models = [1, 2, 3].map(|seed| saved_model(seed, 5_000));
    for (version, model) in models.iter().enumerate() {
        origin.host(&format!("google/spice/{version}"), Tar::of(model).gz());
    }
    origin.newest("google/spice", "google/spice/2");
    origin.publish("google/moved/7", Tar::of(&models[0]).gz());
    let kaggle = format!(
        "{}/models/google/moved/tensorFlow2/moved/7",
        origin.url(Hop::Kaggle)
    );
    origin.newest("google/moved", &kaggle);
    let mount = Mounting::of(&origin).start();
    assert!(mount.stat("google/spice/1").unwrap().is_dir());
    for _ in 0..5 {
        assert_eq!(mount.list("google/spice").unwrap(), ["1", "2", "latest"]);
    }
    assert_eq!(
        mount
            .on("google/spice/latest", std::fs::read_link)
            .unwrap()
            .to_str(),
        Some("2")
    );
    assert_eq!(canonical(&mount, "google/spice/latest"), "google/spice/2");
    let bytes = mount.read("google/spice/latest/saved_model.pb").unwrap();
    assert_eq!(bytes, models[2].bytes("saved_model.pb"));
    // The hub says nothing of numbers that Kaggle gave anew, so `latest` leads to Kaggle's name.
    let moved = canonical(&mount, "google/moved/latest");
    assert_eq!(
        moved,
        "www.kaggle.com/models/google/moved/tensorFlow2/moved/7"
    );
    let asked = origin
        .seen()
        .iter()
        .filter(|seen| seen.target.split('?').next() == Some("/google/spice"))
        .count();
    assert_eq!(asked, 1, "asked at most once a minute");
    origin.die();
    assert_eq!(
        mount.list("google/spice").unwrap(),
        ["1", "2", "latest"],
        "a dead origin takes nothing back"
    );
    assert_eq!(canonical(&mount, "google/spice/latest"), "google/spice/2");
    // A mount that begins now does not wait until the hub has been tried often enough (ten seconds).
    let later = Mounting::of(&origin).cache(&mount.cache).start();
    let at = later.path("google/spice");
    let names = crate::common::within(Duration::from_secs(6), move || crate::common::names(&at));
    assert_eq!(names.unwrap(), ["2", "latest"]);
    assert_eq!(canonical(&later, "google/spice/latest"), "google/spice/2");
}

/// "Names that can never be handles do not exist, without a request", and directories above a model cost none.
#[test]
fn what_cannot_be_a_handle_costs_no_request() {
    let origin = Origin::start();
    let mount = Mounting::of(&origin).start();
    for name in [
        ".Trash",
        ".git",
        "saved_model.pb",
        "saved_model.pbtxt",
        "google/saved_model.pb",
        "google/x/saved_model.pb",
        "google/x/saved_model.pbtxt",
        "google/x/variables.index",
        "google/x/.hidden",
        "gs:/b",
        "s3:/Bucket/model",
        "goo gle/x/1",
        "example..com/x/1",
        "http:/models.example.com/a/b/1",
    ] {
        match mount.stat(name) {
            Ok(found) => panic!("{name} exists: {found:?}"),
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ENOENT), "{name}: {error}"),
        }
    }
    assert_errno(mount.stat(&"n".repeat(256)), libc::ENAMETOOLONG);
    for dir in [
        "",
        "google",
        "google/x",
        "https:",
        "models.example.com",
        "www.kaggle.com/models/google/nnlm",
    ] {
        assert!(mount.stat(dir).unwrap().is_dir(), "{dir}");
    }
    for dir in ["", "https:", "google", "models.example.com"] {
        mount.list(dir).unwrap();
    }
    let seen = origin.seen();
    assert!(seen.is_empty(), "no request for any of these: {seen:?}");
}

/// TF.js models have numbers inside their names: such a number is a directory once a model is known below it.
#[test]
fn numbers_inside_names_of_tfjs_models() {
    let origin = Origin::start();
    let model = saved_model(6, 5_000);
    origin.publish("google/tfjs-model/spice/2/default/1", Tar::of(&model).gz());
    origin.publish(
        "google/lite-model/movenet/tflite/float16/4",
        Tar::of(&model).gz(),
    );
    let mount = Mounting::of(&origin).start();
    let float16 = mount
        .read("google/lite-model/movenet/tflite/float16/4/saved_model.pb")
        .unwrap();
    assert_eq!(float16, model.bytes("saved_model.pb"));
    drop(mount);
    let cache = tempfile::tempdir().unwrap();
    let fetched = run([
        "resolve",
        &format!("--cache-dir={}", cache.path().display()),
        &format!("--mirror=https://tfhub.dev={}", origin.url(Hop::Hub)),
        "https://tfhub.dev/google/tfjs-model/spice/2/default/1",
    ]);
    assert_eq!(fetched.code, Some(0), "{fetched:?}");
    let mount = Mounting::of(&origin).cache(cache.path()).start();
    let inside = mount
        .read("google/tfjs-model/spice/2/default/1/saved_model.pb")
        .unwrap();
    assert_eq!(inside, model.bytes("saved_model.pb"));
    assert_errno(mount.stat("google/tfjs-model/spice/3"), libc::ENOENT);
}
