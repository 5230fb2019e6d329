//! tensorflow_hub's cache: its entries, its leftovers, its locks, and where `resolve` looks.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::common::{
    Mount, Mounting, Reader, SOON, Tar, Tree, assert_errno, entries, eventually, gone_pid, run,
    run_alone, saved_model, sha1_of, signal,
};
use crate::origin::{Hop, Origin};
use crate::sharing::{DATA, resolve_args};

/// Writes an entry as tensorflow_hub leaves it.
fn by_hand(cache: &Path, handle: &str, model: &Tree) -> PathBuf {
    let dir = cache.join(sha1_of(handle));
    model.write_to(&dir);
    let text = format!(
        "Module: {handle}\nDownload Time: 2025-10-18 13:30:13.000001\nDownloader Hostname: host (PID:1)"
    );
    std::fs::write(
        cache.join(format!("{}.descriptor.txt", sha1_of(handle))),
        text,
    )
    .unwrap();
    dir
}

/// "Does not exist" ends with what it was said of: a name that was added to a model is found, once the change is noticed.
#[test]
fn a_name_that_is_added_is_found() {
    let origin = Origin::start();
    let cache = tempfile::tempdir().unwrap();
    let url = "https://tfhub.dev/google/cached/1";
    let dir = by_hand(cache.path(), url, &saved_model(4, 30_000));
    // Only a file whose checksum is known can be told from another once its time has changed.
    let cache_dir = cache.path().to_str().unwrap();
    let verified = run(["cache", "verify", "--all", "--cache-dir", cache_dir]);
    assert_eq!(verified.code, Some(0), "{}", verified.stderr);
    let mount = Mounting::of(&origin).cache(cache.path()).start();
    let added = ["extra.txt", "variables/extra.txt"].map(|name| format!("google/cached/1/{name}"));
    for name in &added {
        assert_errno(mount.stat(name), libc::ENOENT);
    }
    // Somebody works in the model, and has a file of it open.
    let graph = mount.path("google/cached/1/saved_model.pb");
    let _open = std::fs::File::open(&graph).unwrap();
    for name in ["extra.txt", "variables/extra.txt"] {
        std::fs::write(dir.join(name), "more").unwrap();
    }
    // What makes it be noticed: an open of a file whose time has changed.
    let touched = std::fs::File::options()
        .append(true)
        .open(dir.join("saved_model.pb"));
    let now = std::time::SystemTime::now();
    touched.unwrap().set_modified(now).unwrap();
    for name in &added {
        eventually("it is found", SOON, || {
            let _ = std::fs::read(&graph);
            mount.read(name).is_ok_and(|bytes| bytes == b"more")
        });
    }
    assert!(
        mount
            .list("google/cached/1")
            .unwrap()
            .contains(&"extra.txt".to_owned())
    );
}

/// What tensorflow_hub has cached is served without a request, also when there is no origin at all.
#[test]
fn tensorflow_hubs_entries_are_served_without_a_request() {
    let origin = Origin::start();
    let cache = tempfile::tempdir().unwrap();
    let models = [4, 5].map(|seed| saved_model(seed, 30_000));
    by_hand(
        cache.path(),
        "https://tfhub.dev/google/cached/1",
        &models[0],
    );
    by_hand(cache.path(), "https://tfhub.dev/google/cached", &models[1]);
    let mount = Mounting::of(&origin).cache(cache.path()).start();
    let model = models[0].clone();
    mount.on("google/cached/1", move |root| model.assert_at(&root));
    eventually("what is cached is listed", SOON, || {
        mount.list("google").unwrap() == ["cached"]
    });
    let key = sha1_of("https://tfhub.dev/google/cached/1");
    let resolved = run(resolve_args(
        &origin,
        cache.path(),
        "https://tfhub.dev/google/cached/1",
    ));
    assert_eq!(
        resolved.stdout.trim_end(),
        cache.path().join(key).to_str().unwrap()
    );
    assert!(origin.seen().is_empty(), "{:?}", origin.seen());
    reads_as_other(&mount);
}

/// "A mount made by root is readable by every user", and nobody but root may change its cache.
fn reads_as_other(mount: &Mount) {
    use std::os::unix::fs::PermissionsExt;
    let path = mount.path(&format!("google/cached/1/{DATA}"));
    assert!(
        Reader::cat_as_other(&path).ended(SOON).success(),
        "another user cannot read the mount"
    );
    let own = Mounting::bare().arg("--hub-url=http://127.0.0.1:9").start();
    let mode = std::fs::metadata(&own.cache).unwrap().permissions().mode();
    assert_eq!(
        mode & 0o022,
        0,
        "root's cache is writable by others: {mode:o}"
    );
    let private = Mounting::bare()
        .arg("--hub-url=http://127.0.0.1:9")
        .arg("--allow-other=false")
        .start();
    assert!(
        !Reader::of(crate::common::as_other(Command::new("ls").arg(&private.at)))
            .ended(SOON)
            .success()
    );
}

/// The most frequent complaint of all: a cleaner of /tmp has deleted old files and left the directories.
#[test]
fn half_deleted_entries_are_fetched_again() {
    let origin = Origin::start();
    let cache = tempfile::tempdir().unwrap();
    let model = saved_model(6, 30_000);
    let victims = ["saved_model.pb", "variables/variables.index", DATA, "*"];
    for (number, victim) in victims.iter().enumerate() {
        let name = format!("google/half/{number}");
        origin.publish(&name, Tar::of(&model).gz());
        let dir = by_hand(cache.path(), &format!("https://tfhub.dev/{name}"), &model);
        match *victim {
            "*" => model
                .files()
                .iter()
                .for_each(|(path, _)| std::fs::remove_file(dir.join(path)).unwrap()),
            path => std::fs::remove_file(dir.join(path)).unwrap(),
        }
    }
    let mount = Mounting::of(&origin).cache(cache.path()).start();
    for (number, victim) in victims.iter().enumerate() {
        let (name, model) = (format!("google/half/{number}"), model.clone());
        mount.on(&name, move |root| model.assert_at(&root));
        assert_eq!(origin.downloads(&name).len(), 1, "without {victim}");
    }
}

/// tensorflow_hub at work in another process: its lock, its staging directory, and its end.
struct Foreign {
    cache: PathBuf,
    key: String,
    staging: PathBuf,
}

impl Foreign {
    fn begin(cache: &Path, handle: &str, pid: u32) -> Foreign {
        let key = sha1_of(handle);
        let uid = "0123456789abcdef0123456789abcdef";
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        let staging = cache.join(format!("{key}.{uid}.tmp"));
        std::fs::create_dir_all(&staging).unwrap();
        std::fs::write(staging.join("half"), b"half").unwrap();
        std::fs::write(
            cache.join(format!("{key}.lock")),
            format!("{}.{pid}.{uid}", host.trim_end()),
        )
        .unwrap();
        Foreign {
            cache: cache.to_owned(),
            key,
            staging,
        }
    }

    fn finish(&self, model: &Tree) {
        std::fs::remove_file(self.staging.join("half")).unwrap();
        model.write_to(&self.staging);
        std::fs::rename(&self.staging, self.cache.join(&self.key)).unwrap();
        std::fs::remove_file(self.cache.join(format!("{}.lock", self.key))).unwrap();
    }
}

/// "A foreign lock counts as dead when it names this host and boot, its pid is gone, and nothing has grown for 10 s."
#[test]
fn tensorflow_hubs_lock_is_honoured_while_it_lives() {
    let origin = Origin::start();
    let cache = tempfile::tempdir().unwrap();
    let model = saved_model(7, 30_000);
    for name in ["google/dead/1", "google/alive/1"] {
        origin.publish(name, Tar::of(&model).gz());
    }
    Foreign::begin(cache.path(), "https://tfhub.dev/google/dead/1", gone_pid());
    let holder = Reader::of(Command::new("sleep").arg("60"));
    let alive = Foreign::begin(
        cache.path(),
        "https://tfhub.dev/google/alive/1",
        holder.pid(),
    );
    let mount = Mounting::of(&origin)
        .timeout("30s")
        .cache(cache.path())
        .start();
    let waiting = mount.start("google/alive/1/saved_model.pb", std::fs::read);
    let since = Instant::now();
    let taken = mount.start("google/dead/1/saved_model.pb", move |path| {
        (std::fs::read(path), since.elapsed())
    });
    assert!(
        waiting.is_waiting_after(Duration::from_secs(1)),
        "a live holder is waited for"
    );
    alive.finish(&model);
    assert_eq!(
        waiting.take(Duration::from_secs(8)).unwrap(),
        model.bytes("saved_model.pb")
    );
    assert!(
        origin.downloads("google/alive/1").is_empty(),
        "what the holder brought is used"
    );
    let (bytes, after) = taken.take(Duration::from_secs(16));
    assert_eq!(bytes.unwrap(), model.bytes("saved_model.pb"));
    assert!(
        after >= Duration::from_secs(9),
        "taken over after only {after:?}"
    );
    eventually("nothing of the dead holder is left", SOON, || {
        entries(cache.path()).len() == 3
    });
    signal(holder.pid(), "TERM");
}

/// A `resolve` without `--cache-dir` answers with the path in a live mount, else from the default cache.
#[test]
fn resolve_looks_in_live_mounts_and_then_in_the_default_cache() {
    let origin = Origin::start();
    let model = saved_model(8, 5_000);
    origin.publish("google/x/1", Tar::of(&model).gz());
    let mount = Mounting::of(&origin).start();
    let handle = "https://tfhub.dev/google/x/1";
    let resolved = run_alone(Some(&mount.at), "", &[], &["resolve", handle]);
    assert_eq!(
        resolved.stdout.trim_end(),
        mount.path("google/x/1").to_str().unwrap(),
        "{resolved:?}"
    );
    assert_eq!(
        origin.downloads("google/x/1").len(),
        0,
        "a path is not a download"
    );

    // Root's default is not the shared temp directory.
    let mirror = format!("--mirror=https://tfhub.dev={}", origin.url(Hop::Hub));
    let own = "mount -t tmpfs none /var/cache";
    let resolved = run_alone(None, own, &[], &["resolve", &mirror, handle]);
    let key = sha1_of(handle);
    assert_eq!(
        resolved.stdout.trim_end(),
        format!("/var/cache/tfhub-fs/{key}"),
        "{resolved:?}"
    );
    let told = tempfile::tempdir().unwrap();
    let env = [("TFHUB_CACHE_DIR", told.path().to_str().unwrap())];
    let resolved = run_alone(None, own, &env, &["resolve", &mirror, handle]);
    assert_eq!(
        Path::new(resolved.stdout.trim_end()),
        told.path().join(key),
        "{resolved:?}"
    );
    model.assert_at(&told.path().join(sha1_of(handle)));
    let missing = run_alone(
        None,
        own,
        &env,
        &["resolve", &mirror, "https://tfhub.dev/google/nowhere/1"],
    );
    assert_eq!(missing.code, Some(1), "{missing:?}");
    assert!(
        missing.stderr.contains("google/nowhere/1") && missing.stdout.is_empty(),
        "{missing:?}"
    );
}

/// A model that was damaged under a running mount may come back different: the kernel forgets the sizes and pages that it
/// was told to keep without end.
#[test]
fn a_model_that_comes_back_different_is_seen_as_it_is_now() {
    let origin = Origin::start();
    let (before, after) = (saved_model(11, 30_000), saved_model(12, 50_000));
    origin.publish("google/changed/1", Tar::of(&before).gz());
    let mount = Mounting::of(&origin).start();
    let first = before.clone();
    mount.on("google/changed/1", move |root| first.assert_at(&root));
    let entry = mount
        .cache
        .join(sha1_of("https://tfhub.dev/google/changed/1"));
    eventually("it is sealed", SOON, || entry.exists());
    // What was told while it was filling is asked again after a second, and then never.
    std::thread::sleep(Duration::from_millis(1200));
    let first = before.clone();
    mount.on("google/changed/1", move |root| first.assert_at(&root));
    origin.publish("google/changed/1", Tar::of(&after).gz());
    std::fs::remove_file(entry.join("saved_model.pb")).unwrap();
    mount.read("google/changed/1/saved_model.pb").unwrap();
    eventually("the new sizes and bytes are seen", SOON, || {
        let size = mount
            .stat(&format!("google/changed/1/{DATA}"))
            .unwrap()
            .len();
        size == after.bytes(DATA).len() as u64
    });
    mount.on("google/changed/1", move |root| after.assert_at(&root));
}

/// Passthrough gives every handle of a file the same bytes on the disk: while a handle of a damaged copy is open, a new open
/// must not be told that copy's bytes.
#[test]
fn a_damaged_copy_that_is_still_open_is_not_read_anew() {
    let origin = Origin::start();
    let model = saved_model(13, 60_000);
    origin.publish("google/held/1", Tar::of(&model).gz());
    let mount = Mounting::of(&origin).start();
    let name = format!("google/held/1/{DATA}");
    mount.read(&name).unwrap();
    let entry = mount.cache.join(sha1_of("https://tfhub.dev/google/held/1"));
    eventually("it is sealed", SOON, || entry.exists());
    let held = std::fs::File::open(mount.path(&name)).unwrap();
    let copy = std::fs::File::options()
        .write(true)
        .open(entry.join(DATA))
        .unwrap();
    copy.set_len(1000).unwrap();
    eventually("the damage is seen", SOON, || match mount.read(&name) {
        Ok(bytes) => {
            assert_eq!(bytes, model.bytes(DATA), "wrong bytes with success");
            true
        }
        Err(error) => error.raw_os_error() == Some(libc::EIO),
    });
    drop(held);
    eventually("the new copy is read", SOON, || {
        mount
            .read(&name)
            .is_ok_and(|bytes| bytes == model.bytes(DATA))
    });
}
