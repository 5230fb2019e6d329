//! The hosting protocol in compressed form: what is asked, how often, and what each answer becomes.

use std::time::Duration;

use crate::common::{Mounting, Tar, assert_errno, saved_model};
use crate::origin::{ALWAYS, Fault, Hop, Origin, Unknown};

/// A stat costs one request for each hop, headers only; the download reuses the answer.
#[test]
fn a_stat_costs_one_request_per_hop_and_the_download_one_more() {
    let origin = Origin::start();
    let model = saved_model(1, 300_000);
    origin.publish("google/a/1", Tar::of(&model).gz());
    let mount = Mounting::of(&origin).start();
    for _ in 0..3 {
        assert!(mount.stat("google/a/1").unwrap().is_dir());
    }
    let about = origin.about("google/a/1");
    assert_eq!(origin.hops("google/a/1"), [1, 1, 1]);
    assert!(
        about
            .iter()
            .all(|seen| seen.method == "GET" && seen.is_probe()),
        "headers only: {about:?}"
    );
    assert_eq!(about[0].target, "/google/a/1?tf-hub-format=compressed");
    assert_eq!(
        about[1].target,
        "/models/google/a/tensorFlow2/a/1?tf-hub-format=compressed&tfhub-redirect=true"
    );
    // The bucket refuses a signed URL of which a single byte is another, and any cookie or Authorization.
    assert_eq!(about[2].status, 206);
    assert!(about[2].sent() <= 1, "no body was asked for");
    assert!(about.iter().all(|seen| {
        seen.header("accept-encoding")
            .is_none_or(|value| !value.contains("br"))
    }));

    assert_eq!(
        mount.list("google/a/1").unwrap(),
        ["assets", "fingerprint.pb", "saved_model.pb", "variables"]
    );
    let wanted = model.clone();
    mount.on("google/a/1", move |root| wanted.assert_at(&root));
    assert_eq!(
        origin.hops("google/a/1"),
        [1, 1, 2],
        "exactly one request more"
    );
    assert_eq!(
        origin.downloads("google/a/1")[0].target,
        about[2].target,
        "the same signed URL"
    );
    let log = mount.log();
    assert!(
        origin
            .secrets()
            .iter()
            .all(|secret| !log.contains(&secret[..32])),
        "no signature in the log:\n{log}"
    );
}

/// What each status becomes, and that the log says model, URL, status and what to do, without secrets.
#[test]
fn every_status_has_its_errno_and_its_line_in_the_log() {
    let origin = Origin::start();
    let cases = [
        (404, Hop::Hub, libc::ENOENT),
        (410, Hop::Hub, libc::ENOENT),
        (401, Hop::Kaggle, libc::EACCES),
        (403, Hop::Kaggle, libc::EACCES),
        (404, Hop::Gcs, libc::ENOENT),
        (403, Hop::Gcs, libc::EACCES),
        (429, Hop::Kaggle, libc::EIO),
        (500, Hop::Hub, libc::EIO),
        (503, Hop::Gcs, libc::EIO),
    ];
    let name = |code: u16, hop: Hop| format!("google/status-{code}-{hop:?}/1").to_lowercase();
    for (code, hop, _) in cases {
        let model = origin.publish(&name(code, hop), Tar::of(&saved_model(1, 1_000)).gz());
        model.faults(vec![Fault::Status {
            hop,
            code,
            retry_after: None,
            times: ALWAYS,
        }]);
    }
    let mount = Mounting::of(&origin).start();
    let running = cases.map(|(code, hop, errno)| {
        (
            code,
            hop,
            errno,
            mount.start(&name(code, hop), std::fs::metadata),
        )
    });
    for (code, hop, errno, stat) in running {
        let error = stat.take(Duration::from_secs(12)).unwrap_err();
        assert_eq!(
            error.raw_os_error(),
            Some(errno),
            "{code} from {hop:?}: {error}\n{}",
            mount.log()
        );
        let handle = format!("https://tfhub.dev/{}", name(code, hop));
        mount.assert_logged(&[&handle, &code.to_string(), "http://127.0.0.1:"]);
    }
    mount.assert_logged(&[
        "https://tfhub.dev/google/status-404-hub/1",
        "kaggle.com/models",
    ]);
    let log = mount.log();
    for secret in origin.secrets() {
        assert!(
            !log.contains(&secret[..32]),
            "a signature in the log:\n{log}"
        );
    }
    let signed = origin
        .about(&name(403, Hop::Gcs))
        .iter()
        .filter(|seen| seen.hop == Hop::Gcs)
        .count();
    assert!(
        signed <= 2,
        "a refused signature is renewed once, not for ever: {signed}"
    );
    let gone = origin.hops(&name(404, Hop::Hub));
    assert_errno(mount.stat(&name(404, Hop::Hub)), libc::ENOENT);
    assert_eq!(
        origin.hops(&name(404, Hop::Hub)),
        gone,
        "remembered for a short time"
    );
}

/// Unknown models end on a page for people, or in a 404; neither is a model.
#[test]
fn unknown_models_do_not_exist() {
    let origin = Origin::start();
    let mount = Mounting::of(&origin).start();
    assert_errno(mount.stat("google/nowhere/1"), libc::ENOENT);
    mount.assert_logged(&["https://tfhub.dev/google/nowhere/1", "kaggle.com/models"]);
    origin.unknown(Unknown::NotFound);
    assert_errno(mount.stat("google/nowhere/2"), libc::ENOENT);
    let page = origin.publish("google/page/1", Tar::of(&saved_model(1, 1_000)).gz());
    page.faults(vec![Fault::Html]);
    assert_errno(mount.stat("google/page/1"), libc::ENOENT);
    let circle = origin.publish("google/circle/1", Tar::of(&saved_model(1, 1_000)).gz());
    circle.faults(vec![Fault::Loop]);
    assert_errno(mount.stat("google/circle/1"), libc::EIO);
    mount.assert_logged(&["google/circle/1", "redirect"]);
    assert!(origin.about("google/circle/1").len() <= 24, "a loop ends");
    assert_errno(mount.stat("google/nowhere/1/saved_model.pb"), libc::ENOENT);
    // Of a path that does not exist the nearest directory above tells.
    let told = mount
        .on("google", |path| {
            crate::common::xattr(&path, "user.tfhub.error")
        })
        .unwrap();
    assert!(
        told.contains("https://tfhub.dev/google/nowhere/1"),
        "the last error below: {told}"
    );
}

/// Proxies come from the environment: plain requests go to it whole, TLS by CONNECT.
#[test]
fn proxies_of_the_environment_are_used() {
    let origin = Origin::start();
    let model = saved_model(5, 5_000);
    origin.host("google/proxied/1", Tar::of(&model).gz());
    let proxy = origin.url(Hop::Hub);
    let mount = Mounting::bare()
        .arg("--hub-url=http://hub.invalid")
        .arg("--timeout=3s")
        .env("http_proxy", &proxy)
        .env("HTTPS_PROXY", &proxy)
        .start();
    assert_eq!(
        mount.read("google/proxied/1/saved_model.pb").unwrap(),
        model.bytes("saved_model.pb")
    );
    let seen = origin.about("google/proxied/1");
    assert!(
        seen.iter().all(|seen| seen
            .target
            .starts_with("http://hub.invalid/google/proxied/1")),
        "{seen:?}"
    );
    let refused = mount.stat("models.example.com/a/b/1").unwrap_err();
    assert!(
        matches!(refused.raw_os_error(), Some(libc::EIO | libc::ETIMEDOUT)),
        "{refused}"
    );
    let asked = origin.seen();
    assert!(
        asked
            .iter()
            .any(|seen| seen.method == "CONNECT" && seen.target == "models.example.com:443"),
        "{asked:?}"
    );
}
