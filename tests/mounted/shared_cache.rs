//! Hosts that share a bucket: whoever fetches a model first leaves it there for the others.

use std::path::PathBuf;

use crate::common::{
    Mount, Mounting, SOON, Tar, Tree, as_other, eventually, files_below, program, run, run_with,
    saved_model, sha1_of,
};
use crate::origin::{Hop, Origin, Shape};
use crate::sharing::DATA;

/// A bucket that hosts may write, and a hub.
struct Hosts {
    origin: Origin,
    /// Another host, whose link may be a slow one.
    bucket: Origin,
    dir: tempfile::TempDir,
    name: &'static str,
    model: Tree,
}

impl Hosts {
    fn with(variables: usize, link: &str) -> Hosts {
        let (origin, name) = (Origin::start(), "google/shared/1");
        let model = saved_model(7, variables);
        origin.publish(name, Tar::of(&model).gz());
        let dir = tempfile::tempdir().unwrap();
        let bucket = Origin::over(Shape::read(link), [0; 3]);
        bucket.bucket_in("cache", &dir.path().join("bucket"));
        Hosts {
            origin,
            bucket,
            dir,
            name,
            model,
        }
    }

    fn flags(&self) -> [String; 2] {
        [
            String::from("--shared-cache=gs://cache/hub"),
            format!("--gcs-endpoint={}", self.bucket.url(Hop::Gcs)),
        ]
    }

    /// A host with a cache of its own.
    fn host(&self) -> Mount {
        let [shared, endpoint] = self.flags();
        let mounting = Mounting::of(&self.origin).timeout("20s");
        mounting.arg(shared).arg(endpoint).start()
    }

    fn in_bucket(&self, end: &str) -> PathBuf {
        let sha1 = sha1_of(&format!("https://tfhub.dev/{}", self.name));
        self.dir.path().join(format!("bucket/hub/{sha1}{end}"))
    }

    #[track_caller]
    fn read_all(&self, mount: &Mount) {
        for (file, bytes) in self.model.files() {
            let read = mount.read(&format!("{}/{file}", self.name)).unwrap();
            assert!(read == *bytes, "{file}");
        }
    }

    #[track_caller]
    fn is_published(&self) {
        eventually("the model is in the bucket", SOON, || {
            self.in_bucket(".descriptor.txt").exists() && !self.in_bucket(".lock").exists()
        });
        self.model.assert_at(&self.in_bucket(""));
    }
}

/// The hub sees one download. The second host reads the same bytes, sizes and names from the bucket.
#[test]
fn the_second_host_reads_what_the_first_has_fetched() {
    let hosts = Hosts::with(20_000_000, "");
    let first = hosts.host();
    hosts.read_all(&first);
    hosts.is_published();
    first.assert_logged(&["the model is in the shared cache", "gs://cache/hub"]);
    let (sent, asked) = (
        hosts.origin.sent(hosts.name),
        hosts.origin.about(hosts.name).len(),
    );
    let second = hosts.host();
    hosts.read_all(&second);
    assert_eq!(hosts.origin.sent(hosts.name), sent);
    assert_eq!(
        hosts.origin.about(hosts.name).len(),
        asked,
        "the hub is not even asked"
    );
    assert_eq!(
        first.list(hosts.name).unwrap(),
        second.list(hosts.name).unwrap()
    );
    let source = second.on(hosts.name, |path| {
        let mut command = std::process::Command::new("getfattr");
        command.args(["--only-values", "--name=user.tfhub.source"]);
        command.arg(path).output()
    });
    let source = source.expect("getfattr runs; scripts/setup installs it");
    let source = String::from_utf8_lossy(&source.stdout);
    assert!(source.starts_with("gs://cache/hub/"), "{source}");
}

/// A host dies while it uploads. Nobody takes what it left for a model, and the next one who fetches completes it.
#[test]
fn an_upload_that_was_killed_is_completed_by_another_host() {
    let hosts = Hosts::with(60_000_000, "latency=60ms");
    let mut first = hosts.host();
    let data = format!("{}/{DATA}", hosts.name);
    first.read(&data).unwrap();
    eventually("an upload", SOON, || hosts.in_bucket(".lock").exists());
    first.signal("KILL");
    first.ended(SOON);
    assert!(hosts.in_bucket(".lock").exists());
    assert!(!hosts.in_bucket("/saved_model.pb").exists());
    assert!(!hosts.in_bucket(".descriptor.txt").exists());
    let before = hosts.origin.downloads(hosts.name).len();
    let second = hosts.host();
    hosts.read_all(&second);
    assert_eq!(hosts.origin.downloads(hosts.name).len(), before + 1);
    hosts.is_published();
    let third = hosts.host();
    hosts.read_all(&third);
    assert_eq!(hosts.origin.downloads(hosts.name).len(), before + 1);
}

/// What was here before there was a bucket, or was not sent to its end, is sent when it is used again.
#[test]
fn a_model_that_was_here_before_is_left_for_the_others() {
    let hosts = Hosts::with(100_000, "");
    let alone = Mounting::of(&hosts.origin).timeout("20s").start();
    hosts.read_all(&alone);
    assert!(!hosts.in_bucket("").exists());
    let [shared, endpoint] = hosts.flags();
    let later = Mounting::of(&hosts.origin)
        .cache(&alone.cache)
        .arg(shared)
        .arg(endpoint)
        .start();
    later.list(hosts.name).unwrap();
    hosts.read_all(&later);
    hosts.is_published();
}

/// What is written is what tensorflow_hub would have written, and one object of ours.
#[test]
fn the_bucket_has_the_layout_of_tensorflow_hub() {
    let hosts = Hosts::with(100_000, "");
    let cache = tempfile::tempdir().unwrap();
    let hub = hosts.origin.url(Hop::Hub);
    let handle = format!("https://tfhub.dev/{}", hosts.name);
    let [shared, endpoint] = hosts.flags();
    let args = [
        String::from("resolve"),
        format!("--cache-dir={}", cache.path().display()),
        format!("--mirror=https://tfhub.dev={hub}"),
        shared,
        endpoint,
        handle.clone(),
    ];
    let resolved = run(args);
    assert_eq!(resolved.code, Some(0), "{}", resolved.stderr);
    // Nothing is left to wait for: the command has seen to it.
    let mut there = files_below(&hosts.dir.path().join("bucket/hub"));
    let mut local = files_below(cache.path());
    there.retain(|name| !name.starts_with(".tfhub-fs/"));
    local.retain(|name| !name.starts_with(".tfhub-fs/"));
    assert_eq!(there, local);
    let text = |path: PathBuf| std::fs::read_to_string(path).unwrap();
    let lines = |text: String| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let ours = lines(text(hosts.in_bucket(".descriptor.txt")));
    let sha1 = sha1_of(&handle);
    let theirs = lines(text(cache.path().join(format!("{sha1}.descriptor.txt"))));
    assert_eq!((&ours[0], &ours[2]), (&theirs[0], &theirs[2]));
    assert_eq!((ours.len(), ours[1].len() / 8), (3, theirs[1].len() / 8));
}

/// What was fetched before a command fails is left for the others.
#[test]
fn a_command_that_fails_leaves_what_it_has_fetched() {
    let hosts = Hosts::with(3_000_000, "latency=50ms");
    let cache = tempfile::tempdir().unwrap();
    let hub = hosts.origin.url(Hop::Hub);
    let [shared, endpoint] = hosts.flags();
    let args = [
        String::from("resolve"),
        format!("--cache-dir={}", cache.path().display()),
        format!("--mirror=https://tfhub.dev={hub}"),
        shared,
        endpoint,
        format!("https://tfhub.dev/{}", hosts.name),
        String::from("https://tfhub.dev/google/unknown/1"),
    ];
    let resolved = run(args);
    assert_eq!(resolved.code, Some(1), "{}", resolved.stderr);
    assert!(resolved.stderr.contains("unknown"), "{}", resolved.stderr);
    hosts.model.assert_at(&hosts.in_bucket(""));
    assert!(hosts.in_bucket(".descriptor.txt").exists());
}

/// A reader that has read enough is no failure, and no panic.
#[test]
fn a_reader_that_has_gone_is_no_failure_of_resolve() {
    let mut command = program(["resolve", "--remote", "gs://bucket/a", "/"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let outcome = command.stdout(writer).output().unwrap();
    let told = String::from_utf8_lossy(&outcome.stderr).into_owned();
    assert!(!told.contains("panicked"), "{told}");
    let mut command = program(["resolve", "/", "/tmp"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let outcome = command.stdout(writer).output().unwrap();
    let told = String::from_utf8_lossy(&outcome.stderr).into_owned();
    assert_eq!((outcome.status.code(), told.as_str()), (Some(0), ""));
}

/// A bit that has flipped on a host's disk does not reach the others. The host finds out, and fetches the model again.
#[test]
fn a_copy_that_was_damaged_here_is_not_left_for_the_others() {
    let hosts = Hosts::with(3_000_000, "");
    let alone = Mounting::of(&hosts.origin).timeout("20s").start();
    hosts.read_all(&alone);
    let sha1 = sha1_of(&format!("https://tfhub.dev/{}", hosts.name));
    let data = alone.cache.join(sha1).join(DATA);
    eventually("the model is sealed", SOON, || data.exists());
    flip(&data);
    let [shared, endpoint] = hosts.flags();
    let later = Mounting::of(&hosts.origin)
        .timeout("20s")
        .cache(&alone.cache)
        .arg(shared)
        .arg(endpoint)
        .start();
    later
        .read(&format!("{}/saved_model.pb", hosts.name))
        .unwrap();
    eventually("the damage is told", SOON, || {
        let log = later.log();
        log.contains("set aside") && log.contains("CRC-32C")
    });
    later.assert_logged(&[DATA, "CRC-32C"]);
    assert!(!hosts.in_bucket(".descriptor.txt").exists());
    assert!(!hosts.in_bucket(&format!("/{DATA}")).exists());
    hosts.read_all(&later);
    hosts.is_published();
}

/// Another content of the same size and times, as a failing disk makes it.
fn flip(path: &std::path::Path) {
    use std::os::unix::fs::FileExt;
    let times = std::fs::metadata(path).unwrap().modified().unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(path, mode).unwrap();
    let file = std::fs::OpenOptions::new()
        .write(true)
        .read(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 1000).unwrap();
    file.write_all_at(&[byte[0] ^ 1], 1000).unwrap();
    file.set_modified(times).unwrap();
}

/// A bucket that is gone costs a warning and no model.
#[test]
fn without_its_bucket_a_host_asks_the_hub() {
    let hosts = Hosts::with(100_000, "");
    let mounting = Mounting::of(&hosts.origin).timeout("20s");
    let gone = mounting
        .arg("--shared-cache=gs://nowhere-at-all/hub")
        .arg(format!("--gcs-endpoint={}", hosts.bucket.url(Hop::Gcs)))
        .start();
    hosts.read_all(&gone);
    gone.assert_logged(&["WARN", "the shared cache is not used for", "nowhere-at-all"]);
}

/// What is no bucket is said to be none.
#[test]
fn a_shared_cache_that_is_none_is_a_usage_error() {
    for typed in ["/dir", "hdfs://x/y", "gs://", "gs://UPPER/x", "s3://b"] {
        let mut command = program(["resolve", "--shared-cache", typed]);
        let outcome = command
            .arg("https://tfhub.dev/google/x/1")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&outcome.stderr).into_owned();
        assert_eq!(outcome.status.code(), Some(2), "{typed}: {told}");
        assert!(told.contains("--shared-cache"), "{told}");
    }
}

/// `TFHUB_CACHE_DIR=gs://...`, as TensorFlow Hub's documentation has it: a shared cache with the default directory before it.
#[test]
fn a_bucket_named_as_tensorflow_hubs_cache_is_the_shared_one() {
    let hosts = Hosts::with(20_000, "");
    let temp = hosts.dir.path().join("temp");
    std::fs::create_dir(&temp).unwrap();
    std::fs::set_permissions(&temp, std::os::unix::fs::PermissionsExt::from_mode(0o1777)).unwrap();
    std::fs::set_permissions(
        hosts.dir.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let handle = format!("https://tfhub.dev/{}", hosts.name);
    let mut prefetch = program(["prefetch", &handle]);
    prefetch
        .arg(format!(
            "--mirror=https://tfhub.dev={}",
            hosts.origin.url(Hop::Hub)
        ))
        .arg(format!("--gcs-endpoint={}", hosts.bucket.url(Hop::Gcs)))
        .env("TFHUB_CACHE_DIR", "gs://cache/hub")
        .env("TMPDIR", &temp)
        .env("HOME", &temp);
    // A user's default directory is tensorflow_hub's; root's is one for all of the system.
    as_other(&mut prefetch);
    let fetched = run_with(prefetch);
    assert_eq!(fetched.code, Some(0), "{fetched:?}");
    hosts.is_published();
    let here = temp.join("tfhub_modules").join(sha1_of(&handle));
    assert_eq!(fetched.stdout.trim(), here.to_str().unwrap());
    hosts.model.assert_at(&here);
}
