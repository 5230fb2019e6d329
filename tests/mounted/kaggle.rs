//! Kaggle's models: what its API lists can be browsed and streamed, and its credentials stay with it.

use std::time::{Duration, Instant};

use crate::common::{SOON, Tar, Tree, assert_errno, eventually, saved_model, sha1_of};
use crate::origin::{ALWAYS, Fault, Hop, Origin, Version, Wording};
use crate::stream::{DATA, uncompressed, with_buckets};

const ROOT: &str = "www.kaggle.com/models";

fn publish(origin: &Origin, name: &str, model: &Tree) -> std::sync::Arc<Version> {
    origin.kaggle(name, model.files(), Tar::of(model).gz())
}

/// An owner with two models, one of which has two frameworks and three versions.
fn google(origin: &Origin, model: &Tree) {
    for name in [
        "google/bit/tensorFlow2/s-r50x1/1",
        "google/bit/tensorFlow2/s-r50x1/3",
        "google/bit/tensorFlow2/m-r50x1/1",
        "google/bit/tfJs/small/1",
        "google/yamnet/tensorFlow2/yamnet/1",
    ] {
        publish(origin, name, model);
    }
}

/// "`ls /mnt/tfhub/www.kaggle.com/models/google` shows what exists."
#[test]
fn what_exists_is_listed() {
    let origin = Origin::start();
    google(&origin, &saved_model(1, 20_000));
    let mount = with_buckets(&origin).start();
    let list = |path: &str| mount.list(&format!("{ROOT}/{path}")).unwrap();
    assert_eq!(list("google"), ["bit", "yamnet"]);
    let frameworks = list("google/bit");
    for framework in ["tensorFlow2", "tfJs"] {
        assert!(frameworks.contains(&framework.to_owned()), "{frameworks:?}");
    }
    let variations = list("google/bit/tensorFlow2");
    for variation in ["m-r50x1", "s-r50x1"] {
        assert!(variations.contains(&variation.to_owned()), "{variations:?}");
    }
    assert_eq!(list("google/bit/tensorFlow2/s-r50x1"), ["1", "3", "latest"]);
    let latest = mount
        .real(&format!("{ROOT}/google/bit/tensorFlow2/s-r50x1/latest"))
        .unwrap();
    assert!(latest.ends_with("s-r50x1/3"), "{latest}");
}

/// An owner's models are listed whole, however many pages they are.
#[test]
fn listings_come_in_pages() {
    let origin = Origin::start();
    let model = saved_model(2, 100);
    for number in 0..120 {
        publish(
            &origin,
            &format!("many/model-{number:03}/tensorFlow2/x/1"),
            &model,
        );
    }
    let mount = with_buckets(&origin).start();
    assert_eq!(mount.list(&format!("{ROOT}/many")).unwrap().len(), 120);
}

/// Both URL forms and any case lead to the model, whose files come one by one from signed URLs. Each spelling has bytes of
/// its own, because tensorflow_hub's cache has.
#[test]
fn files_are_streamed_one_by_one() {
    let origin = Origin::start();
    let model = saved_model(3, 3_000_000);
    publish(&origin, "google/bit/tensorFlow2/s-r50x1/1", &model);
    let mount = uncompressed(&origin).start();
    for path in [
        "google/bit/tensorFlow2/s-r50x1/1",
        "google/bit/TensorFlow2/s-r50x1/1",
        "google/bit/frameworks/tensorFlow2/variations/s-r50x1/versions/1",
    ] {
        let wanted = model.clone();
        mount.on(&format!("{ROOT}/{path}"), move |root| {
            wanted.assert_at(&root)
        });
    }
    let name = "google/bit/tensorFlow2/s-r50x1/1";
    assert_eq!(origin.sent(&format!("{name}.tar.gz")), 0, "no archive");
    let sent = origin.sent(&format!("{name}/{DATA}"));
    assert!(sent <= 3 * 3_000_000 * 102 / 100, "{sent} bytes");
    let asked = origin.about(name).len();
    assert!(
        asked <= 60,
        "{asked} calls of the API for three times five files"
    );
    let sealed = mount
        .cache
        .join(sha1_of(&format!("https://www.kaggle.com/models/{name}")));
    eventually("it is sealed", SOON, || sealed.is_dir());
    assert_no_secrets(&origin, &mount.log());
}

fn assert_no_secrets(origin: &Origin, log: &str) {
    let leaked = origin
        .secrets()
        .iter()
        .any(|secret| log.contains(&secret[..32]));
    assert!(!leaked, "a signature in the log:\n{log}");
}

/// A signed URL that expires in mid-file is renewed, and one that is about to is not waited for.
#[test]
fn expiring_urls_are_renewed() {
    let origin = Origin::start();
    let model = saved_model(4, 12_000_000);
    let cases = [
        ("expired", vec![Fault::Expired { times: 1 }]),
        (
            "short",
            vec![
                Fault::Lifetime {
                    seconds: 3600,
                    age: 3598,
                },
                Fault::Rate {
                    bytes_per_second: 4_000_000,
                },
            ],
        ),
        (
            "old-form",
            vec![Fault::SignedV2, Fault::Expired { times: 1 }],
        ),
    ];
    let mount = uncompressed(&origin).timeout("10s").start();
    for (variation, faults) in cases {
        let name = format!("google/bit/tensorFlow2/{variation}/1");
        let version = publish(&origin, &name, &model);
        version.file(DATA).unwrap().faults(faults);
        let got = mount
            .start(&format!("{ROOT}/{name}/{DATA}"), std::fs::read)
            .take(SOON);
        assert!(got.unwrap() == model.bytes(DATA), "{variation}");
        assert_eq!(
            origin.sent_again(&format!("{name}/{DATA}")),
            0,
            "{variation}"
        );
    }
    assert_no_secrets(&origin, &mount.log());
}

/// "Credentials as kagglehub finds them ... never sent to any host but Kaggle's."
#[test]
fn credentials_are_kaggles_alone() {
    let model = saved_model(5, 100_000);
    let name = "google/gated/tensorFlow2/x/1";
    let cases: [(&[(&str, &str)], &str); 2] = [
        (
            &[("KAGGLE_USERNAME", "me"), ("KAGGLE_KEY", "secret-key")],
            "Basic bWU6c2VjcmV0LWtleQ==",
        ),
        (
            &[("KAGGLE_API_TOKEN", "KGAT_secret-key")],
            "Bearer KGAT_secret-key",
        ),
    ];
    for (variables, header) in cases {
        let origin = Origin::start();
        origin.require(header);
        publish(&origin, name, &model);
        let mut mount = uncompressed(&origin);
        for (variable, value) in variables {
            mount = mount.env(variable, *value);
        }
        let mount = mount.start();
        let wanted = model.clone();
        mount.on(&format!("{ROOT}/{name}"), move |root| {
            wanted.assert_at(&root)
        });
        assert!(
            origin
                .authorizations(Hop::Kaggle)
                .iter()
                .all(|given| given == header)
        );
        assert!(!origin.authorizations(Hop::Kaggle).is_empty());
        for hop in [Hop::Hub, Hop::Gcs] {
            assert_eq!(origin.authorizations(hop), Vec::<String>::new(), "{hop:?}");
        }
        assert!(
            !mount.log().contains("secret-key"),
            "a credential in the log"
        );
    }
}

/// Without the credentials that it wants, and with terms that nobody has accepted, the log says what to do.
#[test]
fn what_is_refused_says_what_to_do() {
    let origin = Origin::start();
    let model = saved_model(6, 1_000);
    let mount = uncompressed(&origin).start();
    for (variation, wording) in [
        ("flat", Wording::Flat),
        ("gateway", Wording::Gateway),
        ("inside", Wording::Inside200),
    ] {
        let name = format!("google/gated/tensorFlow2/{variation}/1");
        let version = publish(&origin, &name, &model);
        version.faults(vec![Fault::Consent, Fault::Wording(wording)]);
        // The page of a gated model asks to sign in.
        version.archive.faults(vec![Fault::Html]);
        assert_errno(mount.stat(&format!("{ROOT}/{name}")), libc::EACCES);
        mount.assert_logged(&[
            &name,
            "accept",
            "https://www.kaggle.com/models/google/gated",
        ]);
    }
    origin.require("Bearer other");
    publish(&origin, "google/private/tensorFlow2/x/1", &model)
        .archive
        .faults(vec![Fault::Html]);
    assert!(
        mount
            .stat(&format!("{ROOT}/google/private/tensorFlow2/x/1"))
            .is_err()
    );
    mount.assert_logged(&["google/private", "KAGGLE_API_TOKEN"]);
}

/// "429 is waited out within --timeout."
#[test]
fn limits_are_waited_out() {
    let origin = Origin::start();
    let model = saved_model(7, 50_000);
    let limited = |retry_after, times| Fault::Status {
        hop: Hop::Kaggle,
        code: 429,
        retry_after,
        times,
    };
    let name = |variation: &str| format!("google/limited/tensorFlow2/{variation}/1");
    publish(&origin, &name("told"), &model).faults(vec![limited(Some(1), 1)]);
    publish(&origin, &name("untold"), &model).faults(vec![limited(None, 1)]);
    let never = publish(&origin, &name("never"), &model);
    never.faults(vec![limited(Some(3600), ALWAYS)]);
    never.archive.faults(vec![limited(Some(3600), ALWAYS)]);
    let mount = uncompressed(&origin).start();
    for variation in ["told", "untold"] {
        let wanted = model.clone();
        mount.on(&format!("{ROOT}/{}", name(variation)), move |root| {
            wanted.assert_at(&root)
        });
    }
    let since = Instant::now();
    assert!(mount.stat(&format!("{ROOT}/{}", name("never"))).is_err());
    assert!(
        since.elapsed() < Duration::from_secs(3),
        "an hour is not waited for"
    );
    mount.assert_logged(&[&name("never"), "429"]);
}

/// What kagglehub has downloaded is read where it lies.
#[test]
fn kagglehubs_cache_is_read() {
    let origin = Origin::start();
    let model = saved_model(8, 40_000);
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("models/google/bit/tensorFlow2/s-r50x1");
    model.write_to(&place.join("1"));
    std::fs::write(place.join("1.complete"), "").unwrap();
    let mount = uncompressed(&origin)
        .env("KAGGLEHUB_CACHE", dir.path().to_str().unwrap())
        .start();
    let wanted = model.clone();
    mount.on(
        &format!("{ROOT}/google/bit/tensorFlow2/s-r50x1/1"),
        move |root| wanted.assert_at(&root),
    );
    assert!(origin.seen().is_empty(), "{:?}", origin.seen());
}
