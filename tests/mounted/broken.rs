//! Origins that fail in passing, break off, lie about lengths, or stop answering.

use std::time::{Duration, Instant};

use crate::common::{Mounting, SOON, Tar, eventually, saved_model, sha1_of};
use crate::origin::{Fault, Hop, Origin};

/// Passing faults are retried, and a Retry-After is kept to unless it is longer than the timeout.
#[test]
fn passing_faults_are_retried() {
    let origin = Origin::start();
    let model = saved_model(2, 100_000);
    let publish = |name: &str, faults: Vec<Fault>| {
        origin.publish(name, Tar::of(&model).gz()).faults(faults);
    };
    let status = |hop, code, retry_after| {
        vec![Fault::Status {
            hop,
            code,
            retry_after,
            times: 1,
        }]
    };
    publish("google/once/500", status(Hop::Hub, 500, None));
    publish("google/once/503", status(Hop::Gcs, 503, Some(1)));
    publish("google/once/429", status(Hop::Kaggle, 429, Some(1)));
    publish("google/once/4", vec![Fault::Expired { times: 1 }]);
    publish("google/long/1", status(Hop::Hub, 503, Some(3600)));
    let mount = Mounting::of(&origin).start();
    let since = Instant::now();
    let reads = [
        "google/once/500",
        "google/once/503",
        "google/once/429",
        "google/once/4",
    ]
    .map(|name| {
        (
            name,
            mount.start(&format!("{name}/saved_model.pb"), move |path| {
                (std::fs::read(path), Instant::now())
            }),
        )
    });
    let refused = mount.stat("google/long/1").unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::ETIMEDOUT), "{refused}");
    assert!(
        since.elapsed() < Duration::from_secs(2),
        "a Retry-After beyond the timeout fails at once"
    );
    for (name, read) in reads {
        let (bytes, done) = read.take(Duration::from_secs(10));
        assert_eq!(
            bytes.unwrap_or_else(|error| panic!("{name}: {error}\n{}", mount.log())),
            model.bytes("saved_model.pb")
        );
        if name.ends_with("503") || name.ends_with("429") {
            assert!(
                done - since >= Duration::from_secs(1),
                "{name}: Retry-After was not kept to"
            );
        }
    }
    assert_eq!(
        origin.hops("google/once/4")[1],
        2,
        "an expired signature is renewed"
    );
}

/// A broken transfer goes on where it was, if the object is still the same one.
#[test]
fn a_broken_transfer_resumes() {
    let origin = Origin::start();
    let model = saved_model(3, 600_000);
    let publish = |name: &str, faults: Vec<Fault>| {
        origin.publish(name, Tar::of(&model).gz()).faults(faults);
    };
    publish(
        "google/cut/1",
        vec![Fault::Cut {
            at: 300_000,
            times: 2,
        }],
    );
    publish(
        "google/norange/1",
        vec![
            Fault::Cut {
                at: 300_000,
                times: 1,
            },
            Fault::NoRange,
        ],
    );
    publish(
        "google/replaced/1",
        vec![
            Fault::Cut {
                at: 300_000,
                times: 1,
            },
            Fault::FreshEtags,
        ],
    );
    publish(
        "google/short/1",
        vec![Fault::Length { add: -1000 }, Fault::NoHash],
    );
    publish(
        "google/long/1",
        vec![Fault::Length { add: 1000 }, Fault::NoHash],
    );
    let mount = Mounting::of(&origin).start();
    let data = "variables/variables.data-00000-of-00001";
    let read = |name: &str| mount.start(&format!("{name}/{data}"), std::fs::read);
    let [cut, norange, replaced, short, long] = [
        "google/cut/1",
        "google/norange/1",
        "google/replaced/1",
        "google/short/1",
        "google/long/1",
    ]
    .map(read);
    assert!(cut.take(Duration::from_secs(15)).unwrap() == model.bytes(data));
    let downloads = origin.downloads("google/cut/1");
    assert_eq!(
        downloads[1].header("range"),
        Some("bytes=300000-"),
        "from where it broke"
    );
    let etag = downloads[1].header("if-range").unwrap();
    assert!(etag.starts_with('"'), "only the same object: {etag}");
    // The archive's tail may still be on its way when the last file is read; more than the whole would never be equal.
    let whole = Tar::of(&model).gz().len() as u64;
    eventually("every byte was sent once", SOON, || {
        origin.sent("google/cut/1") == whole
    });
    // Where the origin cannot go on, all that matters is that no wrong byte is read.
    for (name, read) in [("norange", norange), ("replaced", replaced)] {
        match read.take(Duration::from_secs(15)) {
            Ok(bytes) => assert!(bytes == model.bytes(data), "{name}: wrong bytes"),
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EIO), "{name}: {error}"),
        }
    }
    for (name, read) in [("short", short), ("long", long)] {
        if let Ok(bytes) = read.take(Duration::from_secs(15)) {
            assert!(bytes == model.bytes(data), "{name}: wrong bytes");
        }
    }
    eventually(
        "the lying lengths are refused",
        Duration::from_secs(12),
        || {
            ["google/short/1", "google/long/1"].iter().all(|name| {
                let handle = format!("https://tfhub.dev/{name}");
                mount
                    .log()
                    .lines()
                    .any(|line| line.contains("ERROR") && line.contains(&handle))
            })
        },
    );
    for name in ["google/short/1", "google/long/1"] {
        let key = sha1_of(&format!("https://tfhub.dev/{name}"));
        assert!(!mount.cache.join(key).exists(), "{name} was sealed");
    }
}

/// What makes no progress is given up after `--timeout`, at most two seconds later.
#[test]
fn a_stalled_origin_is_given_up_after_the_timeout() {
    let origin = Origin::start();
    let model = saved_model(4, 600_000);
    let publish = |name: &str, fault: Fault| {
        origin
            .publish(name, Tar::of(&model).gz())
            .faults(vec![fault]);
    };
    publish("google/stall/1", Fault::Stall { at: 200_000 });
    publish("google/silent-hub/1", Fault::Silence { hop: Hop::Hub });
    publish("google/silent-bucket/1", Fault::Silence { hop: Hop::Gcs });
    let mount = Mounting::of(&origin).timeout("3s").start();
    let data = "google/stall/1/variables/variables.data-00000-of-00001";
    for path in [data, "google/silent-hub/1", "google/silent-bucket/1"].map(|path| {
        (
            path,
            mount.start(path, |path| {
                let since = Instant::now();
                let result = if path.ends_with("1") && !path.ends_with("00001") {
                    std::fs::metadata(path).map(|_| ())
                } else {
                    std::fs::read(path).map(|_| ())
                };
                (result, since.elapsed())
            }),
        )
    }) {
        let (name, running) = path;
        let (result, after) = running.take(Duration::from_secs(12));
        let error = result.unwrap_err();
        assert_eq!(
            error.raw_os_error(),
            Some(libc::ETIMEDOUT),
            "{name}: {error}\n{}",
            mount.log()
        );
        let late = after.saturating_sub(Duration::from_secs(3));
        assert!(
            after >= Duration::from_millis(2900) && late <= Duration::from_secs(2),
            "{name}: after {after:?}"
        );
    }
    origin.publish("google/stall/1", Tar::of(&model).gz());
    let again = mount.read(data).unwrap();
    assert!(
        again == model.bytes("variables/variables.data-00000-of-00001"),
        "the next open tries again"
    );
}

/// "A download may take days, but nothing may be silent for longer than `--timeout`."
#[test]
fn a_slow_origin_is_not_given_up() {
    let origin = Origin::start();
    let model = saved_model(5, 600_000);
    let slow = Fault::Rate {
        bytes_per_second: 150_000,
    };
    origin
        .publish("google/slow/1", Tar::of(&model).gz())
        .faults(vec![slow]);
    let mount = Mounting::of(&origin).timeout("2s").start();
    let since = Instant::now();
    mount.on("google/slow/1", move |root| model.assert_at(&root));
    assert!(since.elapsed() > Duration::from_secs(3), "it was slow");
}
