//! `gs:/` as directories: any readable bucket is browsed page by page and streamed, archives in it are unpacked.

use std::time::Duration;

use crate::common::{Mounting, SOON, Tar, assert_errno, gzip, saved_model};
use crate::origin::{Fault, Hop, Origin, TOKEN};
use crate::stream::with_buckets;

/// Directories at any depth, objects with their sizes and bytes, and nothing where there is nothing.
#[test]
fn a_bucket_is_a_tree_of_directories() {
    let origin = Origin::start();
    let model = saved_model(1, 2_000_000);
    let bucket = origin.bucket("my-bucket");
    bucket.put_all("models/google/a/1/", model.files());
    bucket.put("models/README.md", "# models\n");
    bucket.put("empty/", "");
    let mount = with_buckets(&origin).start();
    assert_eq!(mount.list("gs:/my-bucket").unwrap(), ["empty", "models"]);
    assert_eq!(
        mount.list("gs:/my-bucket/models").unwrap(),
        ["README.md", "google"]
    );
    assert!(
        mount.list("gs:/my-bucket/empty").unwrap().is_empty(),
        "a placeholder is a directory"
    );
    assert_eq!(
        mount.stat("gs:/my-bucket/models/README.md").unwrap().len(),
        9
    );
    let wanted = model.clone();
    mount.on("gs:/my-bucket/models/google/a/1", move |root| {
        wanted.assert_at(&root)
    });
    for missing in [
        "gs:/my-bucket/none",
        "gs:/my-bucket/models/google/a/1/none.pb",
        "gs:/no-such-bucket/x",
    ] {
        assert_errno(mount.stat(missing), libc::ENOENT);
    }
    assert!(
        mount.list("gs:").unwrap().contains(&"my-bucket".to_owned()),
        "opened buckets are listed"
    );
}

/// Empty pages, small pages, placeholders, an object and a prefix of one name.
#[test]
fn odd_listings_are_listings() {
    let origin = Origin::start();
    let bucket = origin.bucket("bucket");
    for key in [
        "d/a",
        "d/b",
        "d/b/c",
        "d/e/",
        "d/f g&h",
        "d/../x",
        "d//y",
        "d/new\nline",
    ] {
        bucket.put(key, key);
    }
    bucket.faults(vec![Fault::Pages { size: 1 }, Fault::EmptyPages]);
    let mount = with_buckets(&origin).start();
    let names = mount.list("gs:/bucket/d").unwrap();
    assert!(
        names.iter().filter(|name| *name == "b").count() == 1,
        "an object and a prefix of one name are one entry: {names:?}"
    );
    let names: Vec<_> = names.into_iter().filter(|name| name != "b").collect();
    assert_eq!(names, ["a", "e", "f g&h"]);
    assert_eq!(mount.read("gs:/bucket/d/f g&h").unwrap(), b"d/f g&h");
    let log = mount.log();
    assert_eq!(
        log.lines().filter(|line| line.contains("WARN")).count(),
        1,
        "{log}"
    );
}

#[test]
fn a_hundred_thousand_objects_are_listed() {
    let origin = Origin::start();
    let bucket = origin.bucket("bucket");
    for number in 0..100_000 {
        bucket.put(&format!("many/{number:06}"), "x");
    }
    let mount = with_buckets(&origin).timeout("30s").start();
    let names = mount.start("gs:/bucket/many", |path| crate::common::names(&path));
    assert_eq!(names.take(Duration::from_secs(60)).unwrap().len(), 100_000);
    assert!(
        origin.about("gs://bucket").len() < 220,
        "{} requests",
        origin.about("gs://bucket").len()
    );
}

/// Archives in buckets are directories, as everywhere.
#[test]
fn an_archive_in_a_bucket_is_the_unpacked_directory() {
    let origin = Origin::start();
    let model = saved_model(2, 300_000);
    origin
        .bucket("bucket")
        .put("dir/x.tar.gz", Tar::of(&model).gz());
    let mount = with_buckets(&origin).start();
    mount.on("gs:/bucket/dir/x.tar.gz", move |root| {
        model.assert_at(&root)
    });
}

/// Objects stored gzip-encoded are served as their stored bytes: only of those size, ranges and checksums are true.
#[test]
fn gzip_stored_objects_are_their_stored_bytes() {
    let origin = Origin::start();
    let stored = gzip(&crate::common::noise(3, 200_000));
    origin
        .bucket("bucket")
        .put_gzipped("dir/text", stored.clone());
    let mount = with_buckets(&origin).start();
    assert_eq!(
        mount.stat("gs:/bucket/dir/text").unwrap().len(),
        stored.len() as u64
    );
    assert!(mount.read("gs:/bucket/dir/text").unwrap() == stored);
}

/// Nobody's name is given before it is asked for: anonymous first, credentials after a 401.
#[test]
fn credentials_are_used_when_a_bucket_asks_for_them() {
    let origin = Origin::start();
    let metadata = origin
        .url(Hop::Gcs)
        .trim_start_matches("http://")
        .to_owned();
    origin.bucket("open").put("a", "open");
    origin
        .bucket("private")
        .put("a", "private")
        .script
        .set(vec![]);
    origin.bucket("private").faults(vec![Fault::Private]);
    let mount = with_buckets(&origin)
        .env("GCE_METADATA_HOST", &metadata)
        .start();
    assert_eq!(mount.read("gs:/open/a").unwrap(), b"open");
    assert_eq!(origin.authorizations(Hop::Gcs), Vec::<String>::new());
    assert_eq!(
        mount.read("gs:/private/a").unwrap(),
        b"private",
        "{}",
        mount.log()
    );
    let given = origin.authorizations(Hop::Gcs);
    assert!(
        given
            .iter()
            .all(|given| *given == format!("Bearer {TOKEN}")),
        "{given:?}"
    );
    assert!(!mount.log().contains(TOKEN), "a token in the log");

    let nobody = with_buckets(&origin).env("NO_GCE_CHECK", "true").start();
    assert_errno(nobody.read("gs:/private/a"), libc::EACCES);
    nobody.assert_logged(&["gs://private", "GOOGLE_APPLICATION_CREDENTIALS"]);
}

/// The emulator's variable is as good as the flag.
#[test]
fn the_emulators_variable_is_honoured() {
    let origin = Origin::start();
    origin.bucket("bucket").put("a", "bytes");
    let host = origin.url(Hop::Gcs);
    for value in [host.clone(), host.trim_start_matches("http://").to_owned()] {
        let mount = Mounting::bare()
            .env("STORAGE_EMULATOR_HOST", value)
            .arg("--timeout=4s")
            .start();
        assert_eq!(mount.read("gs:/bucket/a").unwrap(), b"bytes");
    }
}

/// A read-only tree, also where others could write.
#[test]
fn a_bucket_cannot_be_written() {
    let origin = Origin::start();
    origin.bucket("bucket").put("dir/a", "bytes");
    let mount = with_buckets(&origin).start();
    assert_errno(
        mount.on("gs:/bucket/dir/new", std::fs::create_dir),
        libc::EROFS,
    );
    assert_errno(
        mount.on("gs:/bucket/dir/a", std::fs::remove_file),
        libc::EROFS,
    );
    let ended = mount.start("gs:/bucket/dir/a", std::fs::read).take(SOON);
    assert_eq!(ended.unwrap(), b"bytes");
}

/// Objects that do not fit into memory together: what was given back of one, and could not be had again, can be read once its
/// origin is back.
#[test]
fn a_complete_object_that_failed_later_is_tried_again() {
    let origin = Origin::start();
    let bucket = origin.bucket("bucket");
    let objects = ["one", "two"].map(|name| {
        let bytes = crate::common::noise(7, 3 << 20);
        (bucket.put(name, bytes.clone()), bytes)
    });
    let mount = with_buckets(&origin)
        .arg("--cache-size=0")
        .arg("--memory=4MiB")
        .timeout("2s")
        .start();
    assert!(mount.read("gs:/bucket/one").unwrap() == objects[0].1);
    assert!(mount.read("gs:/bucket/two").unwrap() == objects[1].1);
    objects[0].0.faults(vec![Fault::Status {
        hop: Hop::Gcs,
        code: 500,
        retry_after: None,
        times: u32::MAX,
    }]);
    let error = mount.read("gs:/bucket/one").unwrap_err();
    let errno = error.raw_os_error();
    assert!(
        [Some(libc::EIO), Some(libc::ETIMEDOUT)].contains(&errno),
        "{error}"
    );
    objects[0].0.faults(Vec::new());
    assert!(mount.read("gs:/bucket/one").unwrap() == objects[0].1);
}
