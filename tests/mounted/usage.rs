//! Wrong usage: told apart from failure, and told what to type instead.

use std::path::Path;

use crate::common::{Background, Mounting, is_mounted, program, run, run_with};
use crate::origin::Origin;

/// What is typed wrongly is exit code 2 and says what to type instead; what does not work is 1.
#[test]
fn wrong_usage_is_told_apart_from_failure() {
    let place = Background::new();
    let at = place.at.to_str().unwrap();
    let cases: [(&[&str], i32, &[&str]); 14] = [
        (&[], 2, &["Usage"]),
        (&["mount"], 2, &["MOUNTPOINT"]),
        (&["fly", "x"], 2, &["fly"]),
        (&["mount", at, "--no-such-flag"], 2, &["--no-such-flag"]),
        (
            &["mount", at, "--hub-url", "tfhub.dev"],
            2,
            &["tfhub.dev", "https://"],
        ),
        (
            &["mount", at, "--mirror", "tfhub.dev"],
            2,
            &["tfhub.dev", "="],
        ),
        (
            &["mount", at, "--timeout", "soon"],
            2,
            &["--timeout", "soon"],
        ),
        (
            &["mount", at, "--load-format", "tarball"],
            2,
            &["tarball", "auto", "compressed"],
        ),
        (
            &["mount", at, "--shared-cache", "ftp://bucket/cache"],
            2,
            &["gs://", "--shared-cache"],
        ),
        (&["mount", at, "--max-model-size", "big"], 2, &["big"]),
        (
            &["resolve", "--cache-dir", at, "ftp://tfhub.dev/google/x/1"],
            2,
            &["ftp://"],
        ),
        (
            &["resolve", "--cache-dir", at, "google/x/1"],
            1,
            &["google/x/1", "https://"],
        ),
        (&["serve", "/no/such/dir"], 1, &["/no/such/dir"]),
        (&["unmount", at], 1, &[at]),
    ];
    for (args, code, words) in cases {
        let outcome = run(args);
        assert_eq!(outcome.code, Some(code), "{args:?}: {outcome:?}");
        assert!(
            words.iter().all(|word| outcome.stderr.contains(word)),
            "{args:?}: {}",
            outcome.stderr
        );
        assert!(
            outcome.stdout.is_empty(),
            "talk belongs on stderr: {outcome:?}"
        );
    }
    let mut cloud = program(["mount", at]);
    cloud.env("TFHUB_CACHE_DIR", "hdfs://bucket/cache");
    let outcome = run_with(cloud);
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(
        outcome.stderr.contains("hdfs") && outcome.stderr.contains("TFHUB_CACHE_DIR"),
        "{outcome:?}"
    );
    assert!(
        !is_mounted(&place.at) && !Path::new(at).exists(),
        "nothing was made"
    );
    let help = run(["--help"]);
    assert_eq!(help.code, Some(0));
    assert!(help.stdout.contains("mount") && help.stdout.contains("demo"));
}

/// "Never inside itself": neither a cache in a mount nor a mountpoint in the cache.
#[test]
fn never_inside_itself() {
    let origin = Origin::start();
    let mount = Mounting::of(&origin).start();
    let place = Background::new();
    let at = place.at.to_str().unwrap();
    let inside = mount.path(".tfhub_modules").to_str().unwrap().to_owned();
    let refused = run(["mount", at, "--cache-dir", &inside]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.stderr.contains("inside") && refused.stderr.contains(&inside),
        "{refused:?}"
    );
    let cache = place.cache.to_str().unwrap();
    let within_cache = format!("{cache}/mnt");
    let refused = run(["mount", &within_cache, "--cache-dir", cache]);
    assert!(matches!(refused.code, Some(1 | 2)), "{refused:?}");
    assert!(refused.stderr.contains(&within_cache), "{refused:?}");
    assert!(!is_mounted(Path::new(&within_cache)));
    // tensorflow_hub's own variable may point into the mount; that is ignored with a notice.
    let mut resolve = program(["resolve", "/"]);
    resolve.env("TFHUB_CACHE_DIR", &inside);
    let ignored = run_with(resolve);
    assert_eq!(ignored.code, Some(0), "{ignored:?}");
    assert!(ignored.stderr.contains(&inside), "{ignored:?}");
}
