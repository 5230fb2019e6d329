//! Caches that earlier releases wrote (`tests/fixtures`, which says how) are read as before.

use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::common::{
    Mount, Mounting, SOON, Tar, Tree, eventually, files_below, gone_pid, run, sha1_of,
};
use crate::origin::{Hop, Origin};

/// What an archive of `tests/fixtures` holds: directories of caches, and below `models` what is in them.
struct Fixture(tempfile::TempDir);

impl Fixture {
    fn unpack(name: &str) -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let mut tar = Command::new("tar");
        tar.args(["--extract", "--xz", "--same-owner", "--numeric-owner"]);
        tar.arg("--file")
            .arg(archive.join(format!("{name}.tar.xz")));
        tar.arg("--directory").arg(dir.path());
        assert!(tar.status().unwrap().success(), "GNU tar and xz unpack it");
        Fixture(dir)
    }

    fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    fn model(&self, name: &str) -> Tree {
        let root = self.path(&format!("models/fixture/{name}/1"));
        let mut files = files_below(&root);
        files.sort();
        files.into_iter().fold(Tree::new(), |tree, file| {
            let bytes = std::fs::read(root.join(&file)).unwrap();
            tree.with(&file, bytes)
        })
    }
}

fn handle(name: &str) -> String {
    format!("https://tfhub.dev/fixture/{name}/1")
}

#[track_caller]
fn assert_reads(mount: &Mount, path: &str, model: &Tree) {
    let model = model.clone();
    mount.on(path, move |root| model.assert_at(&root));
}

/// Models from an archive and from a bucket, one of tensorflow_hub, one that was evicted, and one of which a block is there.
#[test]
fn a_cache_is_read_without_a_network() {
    let fixture = Fixture::unpack("cache");
    let cache = format!("--cache-dir={}", fixture.path("cache").display());
    let listed = run(["cache", "list", "--json", &cache]);
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    let told: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            let text = |field: &str| item[field].as_str().unwrap().to_owned();
            let pinned = item["pinned"].as_bool().unwrap();
            (text("handle"), text("state"), pinned)
        })
        .collect();
    let theirs = "http://127.0.0.1:18473/fixture/theirs/1";
    let row = |handle: &str, state: &str, pinned| (handle.to_owned(), state.to_owned(), pinned);
    assert_eq!(
        told,
        [
            row(theirs, "adopted", false),
            row(&handle("archive"), "sealed", true),
            row(&handle("evicted"), "evicted", false),
            row(&handle("parts"), "partial", false),
            row(&handle("streamed"), "sealed", false),
        ]
    );
    let verified = run(["cache", "verify", "--all", &cache]);
    assert_eq!(verified.code, Some(0), "{verified:?}");
    let right = |line: &str| line.starts_with("right ");
    assert_eq!(
        verified.stdout.lines().filter(|line| right(line)).count(),
        3
    );

    let mounting = Mounting::bare().cache(&fixture.path("cache"));
    let mount = mounting.arg("--offline").start();
    for (path, name) in [
        ("fixture/archive/1", "archive"),
        ("fixture/streamed/1", "streamed"),
        ("http:/127.0.0.1:18473/fixture/theirs/1", "theirs"),
    ] {
        assert_reads(&mount, path, &fixture.model(name));
    }
    // Its names are still known.
    for (file, bytes) in fixture.model("evicted").files() {
        let path = format!("fixture/evicted/1/{file}");
        assert_eq!(mount.stat(&path).unwrap().len(), bytes.len() as u64);
    }
    assert!(mount.read("fixture/evicted/1/saved_model.pb").is_err());
}

/// The bytes that are there are not fetched again, and the others are. After a reboot nothing is trusted that was not synced.
#[test]
fn parts_are_read_on() {
    const BLOCK: u64 = 64 << 10;
    const THERE: u64 = 64;
    let fixture = Fixture::unpack("cache");
    let model = fixture.model("parts");
    let origin = Origin::start();
    origin.offer("fixture/parts/1", model.files(), Tar::of(&model).gz());
    let plan = fixture.path(&format!(
        "cache/.tfhub-fs/v1/parts/{}/plan.json",
        sha1_of(&handle("parts"))
    ));
    let text = std::fs::read_to_string(&plan).unwrap();
    let (before, after) = text.split_once("\"boot\":\"").unwrap();
    let (_, after) = after.split_once('"').unwrap();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let boot = boot.trim();
    std::fs::write(&plan, format!("{before}\"boot\":\"{boot}\"{after}")).unwrap();

    let gcs = format!("--gcs-endpoint={}", origin.url(Hop::Gcs));
    let mounting = Mounting::of(&origin).cache(&fixture.path("cache")).arg(gcs);
    let streamed = mounting.arg("--load-format=uncompressed");
    let mount = streamed.arg("--prefetch=none").start();
    let block = |number: u64| {
        mount.on("fixture/parts/1/assets/table.bin", move |path| {
            let mut bytes = vec![0; BLOCK as usize];
            let table = std::fs::File::open(path).unwrap();
            table.read_exact_at(&mut bytes, number * BLOCK).unwrap();
            bytes
        })
    };
    let table = model.bytes("assets/table.bin");
    let wanted = |number: u64| &table[(number * BLOCK) as usize..][..BLOCK as usize];
    let sent = || origin.sent_below(&format!("{}/", Origin::folder("fixture/parts/1")));
    assert!(block(THERE) == wanted(THERE));
    assert_eq!(sent(), 0);
    assert!(block(3) == wanted(3));
    assert!(sent() >= BLOCK);
    assert_reads(&mount, "fixture/parts/1", &model);
    let name = format!("{}/assets/table.bin", Origin::folder("fixture/parts/1"));
    assert_eq!(origin.sent(&name), table.len() as u64 - BLOCK);
}

/// A cache of another user, and the directory of our own that holds what is missing there.
#[test]
fn a_private_cache_over_another_users_is_read() {
    let fixture = Fixture::unpack("lower");
    let lower = fixture.path("lower");
    let before = files_below(&lower).len();
    let mount = Mounting::bare()
        .cache(&lower)
        .env("CACHE_DIRECTORY", fixture.path("private").to_str().unwrap())
        .arg("--offline")
        .start();
    for name in ["lower", "private"] {
        assert_reads(&mount, &format!("fixture/{name}/1"), &fixture.model(name));
    }
    assert_eq!(files_below(&lower).len(), before);
}

/// A model that another host has uploaded; and one of whose upload only the lock is there, which the next host completes.
#[test]
fn a_shared_cache_is_read_and_completed() {
    let fixture = Fixture::unpack("shared");
    let bucket = |name: &str, end: &str| {
        let sha1 = sha1_of(&handle(name));
        fixture.path(&format!("bucket/hub/{sha1}{end}"))
    };
    // The process that held the lock has run on this host, and is gone.
    let text = std::fs::read_to_string(bucket("half", ".lock")).unwrap();
    let uid = text.rsplit('.').next().unwrap();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let text = format!("{}.{}.{uid}", host.trim(), gone_pid());
    std::fs::write(bucket("half", ".lock"), text).unwrap();

    let (origin, host) = (Origin::start(), Origin::start());
    let half = fixture.model("half");
    origin.publish("fixture/half/1", Tar::of(&half).gz());
    host.bucket_in("cache", &fixture.path("bucket"));
    let mount = Mounting::of(&origin)
        .timeout("20s")
        .arg("--shared-cache=gs://cache/hub")
        .arg(format!("--gcs-endpoint={}", host.url(Hop::Gcs)))
        .start();
    assert_reads(&mount, "fixture/shared/1", &fixture.model("shared"));
    assert_eq!(origin.seen().len(), 0, "the hub is not asked");
    assert_reads(&mount, "fixture/half/1", &half);
    eventually("the upload", SOON, || {
        bucket("half", ".descriptor.txt").exists() && !bucket("half", ".lock").exists()
    });
    half.assert_at(&bucket("half", ""));
}

#[test]
fn an_export_is_taken_in() {
    let fixture = Fixture::unpack("exported");
    let (cache, file) = (fixture.path("cache"), fixture.path("exported.tar"));
    let flag = format!("--cache-dir={}", cache.display());
    let imported = run(["cache", "import", file.to_str().unwrap(), &flag]);
    assert_eq!(imported.code, Some(0), "{imported:?}");
    let wanted = format!("imported  {}", handle("exported"));
    assert!(imported.stdout.starts_with(&wanted), "{imported:?}");
    let mount = Mounting::bare().cache(&cache).arg("--offline").start();
    assert_reads(&mount, "fixture/exported/1", &fixture.model("exported"));
}
