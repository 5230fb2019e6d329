//! TLS: whom the program believes, and that it never goes on without TLS once it had it.

use std::time::{Duration, Instant};

use crate::common::{Mount, Mounting, Tar, Tree, saved_model};
use crate::origin::{Hop, Origin, Tls};

fn origin() -> (Origin, Tls, Tree) {
    let origin = Origin::start();
    let model = saved_model(1, 20_000);
    origin.host("google/x/1", Tar::of(&model).gz());
    origin.publish("google/down/1", Tar::of(&model).gz());
    let tls = Tls::before(&origin.url(Hop::Hub));
    (origin, tls, model)
}

fn mount(tls: &Tls, env: &[(&str, &str)]) -> Mount {
    let mounting = Mounting::bare()
        .arg(format!("--hub-url={}", tls.url))
        .arg("--timeout=8s");
    env.iter()
        .fold(mounting, |mounting, (name, value)| {
            mounting.env(name, *value)
        })
        .start()
}

/// `SSL_CERT_FILE` names the authorities that are believed; a redirect to plain http is not followed.
#[test]
fn authorities_come_from_the_environment() {
    let (origin, tls, model) = origin();
    let mount = mount(&tls, &[("SSL_CERT_FILE", tls.authority.to_str().unwrap())]);
    let wanted = model.clone();
    mount.on("google/x/1", move |root| wanted.assert_at(&root));
    // The hub redirects to a Kaggle that speaks plain http: legal for a host of loopback, not after https.
    let error = mount.stat("google/down/1").unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EIO), "{error}");
    let asked = origin.about("google/down/1");
    assert!(
        asked.iter().all(|seen| seen.hop == Hop::Hub),
        "HTTP was reached from HTTPS: {asked:?}"
    );
    mount.assert_logged(&["google/down/1", "http://127.0.0.1:"]);
}

/// An unknown authority is refused at once, with what to do; only the exact `true` of tensorflow_hub's switch lifts it.
#[test]
fn unknown_authorities_are_refused() {
    let (origin, tls, model) = origin();
    let strict = mount(&tls, &[("TFHUB_DISABLE_CERT_VALIDATION", "TRUE")]);
    let since = Instant::now();
    let error = strict.stat("google/x/1").unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EIO), "{error}");
    assert!(
        since.elapsed() < Duration::from_secs(4),
        "asking again changes nothing: {:?}",
        since.elapsed()
    );
    strict.assert_logged(&["google/x/1", "certificate", "SSL_CERT_FILE"]);
    assert!(origin.seen().is_empty(), "nothing was said to a stranger");
    let loose = mount(&tls, &[("TFHUB_DISABLE_CERT_VALIDATION", "true")]);
    assert_eq!(
        loose.read("google/x/1/saved_model.pb").unwrap(),
        model.bytes("saved_model.pb")
    );
    loose.assert_logged(&["WARN", "TFHUB_DISABLE_CERT_VALIDATION"]);
}
