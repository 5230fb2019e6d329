//! One cache, many who use it: processes, mounts, `resolve`, tensorflow_hub, and those who died at it.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use crate::common::{
    Mounting, Reader, SOON, Tar, assert_errno, entries, eventually, program, run, saved_model,
    sha1_of, started,
};
use crate::origin::{Fault, Gate, Hop, Origin};

pub const DATA: &str = "variables/variables.data-00000-of-00001";

pub fn resolve_args(origin: &Origin, cache: &Path, handle: &str) -> Vec<String> {
    let mirror = format!("--mirror=https://tfhub.dev={}", origin.url(Hop::Hub));
    [
        "resolve".to_owned(),
        format!("--cache-dir={}", cache.display()),
        mirror,
        handle.to_owned(),
    ]
    .to_vec()
}

/// 64 plain readers of one cold model: the archive leaves the origin once, and all of them read it right.
#[test]
fn many_readers_of_a_cold_model_share_one_fetch() {
    let origin = Origin::start();
    let model = saved_model(1, 3_000_000);
    let archive = Tar::of(&model).gz();
    let size = archive.len() as u64;
    origin
        .publish("google/cold/1", archive)
        .faults(vec![Fault::Rate {
            bytes_per_second: 6_000_000,
        }]);
    let mount = Mounting::of(&origin).timeout("30s").start();
    let sum = Command::new("md5sum").arg("--version").output();
    assert!(sum.is_ok(), "md5sum is needed");
    let scratch = tempfile::tempdir().unwrap();
    let plain = scratch.path().join("plain");
    std::fs::write(&plain, model.bytes(DATA)).unwrap();
    let wanted = md5(&plain);
    let readers: Vec<_> = (0..64)
        .map(|_| {
            let path = mount.path(&format!("google/cold/1/{DATA}"));
            started(move || md5(&path))
        })
        .collect();
    for reader in readers {
        assert_eq!(reader.take(Duration::from_secs(60)), wanted);
    }
    assert_eq!(origin.hops("google/cold/1"), [1, 1, 2]);
    assert_eq!(
        origin.sent("google/cold/1"),
        size,
        "the archive's bytes leave the origin once"
    );
}

fn md5(path: &Path) -> String {
    let output = Command::new("md5sum").arg("-b").arg(path).output().unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .to_owned()
}

/// Two mounts and a `resolve` on one cache directory fetch a model once.
#[test]
fn two_mounts_and_a_resolve_fetch_a_model_once() {
    let origin = Origin::start();
    let model = saved_model(2, 1_000_000);
    let archive = Tar::of(&model).gz();
    let gate = Gate::new();
    let at = archive.len() as u64 / 2;
    origin
        .publish("google/shared/1", archive)
        .faults(vec![Fault::Gated {
            at,
            gate: gate.clone(),
        }]);
    let one = Mounting::of(&origin).timeout("30s").start();
    let two = Mounting::of(&origin)
        .timeout("30s")
        .cache(&one.cache)
        .start();
    let first = one.start(&format!("google/shared/1/{DATA}"), std::fs::read);
    eventually("the first mount fetches", SOON, || {
        !origin.downloads("google/shared/1").is_empty()
    });
    let second = two.start(&format!("google/shared/1/{DATA}"), std::fs::read);
    let args = resolve_args(&origin, &one.cache, "https://tfhub.dev/google/shared/1");
    let third = started(move || run(args));
    assert!(
        second.is_waiting_after(Duration::from_millis(500))
            && third.is_waiting_after(Duration::ZERO)
    );
    gate.open();
    assert!(first.take(SOON).unwrap() == model.bytes(DATA));
    assert!(second.take(SOON).unwrap() == model.bytes(DATA));
    let resolved = third.take(SOON);
    assert_eq!(resolved.code, Some(0), "{resolved:?}");
    let sealed = one.cache.join(sha1_of("https://tfhub.dev/google/shared/1"));
    assert_eq!(
        Path::new(resolved.stdout.trim_end()),
        sealed,
        "the path that hub.resolve gives"
    );
    model.assert_at(&sealed);
    assert_eq!(origin.downloads("google/shared/1").len(), 1, "fetched once");
    assert_layout(&one.cache, "https://tfhub.dev/google/shared/1");
}

/// tensorflow_hub's layout: the directory, the descriptor with its three lines, and no lock or staging left.
#[track_caller]
fn assert_layout(cache: &Path, handle: &str) {
    let key = sha1_of(handle);
    assert_eq!(
        entries(cache),
        [key.clone(), format!("{key}.descriptor.txt")],
        "nothing else in the cache"
    );
    let text = std::fs::read_to_string(cache.join(format!("{key}.descriptor.txt"))).unwrap();
    let lines: Vec<&str> = text.split('\n').collect();
    let [module, time, host] = lines.as_slice() else {
        panic!("three lines, no newline at the end: {text:?}")
    };
    assert_eq!(*module, format!("Module: {handle}"));
    let stamp = time
        .strip_prefix("Download Time: ")
        .unwrap_or_else(|| panic!("{text:?}"));
    assert!(
        stamp.len() >= 19 && stamp.as_bytes()[10] == b' ' && stamp.as_bytes()[4] == b'-',
        "{stamp:?}"
    );
    assert!(
        host.starts_with("Downloader Hostname: ") && host.contains(" (PID:") && host.ends_with(')'),
        "{host:?}"
    );
}

/// Whoever waits takes over from a fetcher that died, and nothing of the dead one is left.
#[test]
fn a_killed_fetcher_is_taken_over() {
    let origin = Origin::start();
    let model = saved_model(3, 1_000_000);
    let archive = Tar::of(&model).gz();
    let at = archive.len() as u64 / 2;
    for name in ["google/a/1", "google/b/1"] {
        origin
            .publish(name, archive.clone())
            .faults(vec![Fault::Stall { at }]);
    }
    let waiter = Mounting::of(&origin).timeout("30s").start();
    // A `resolve` dies in mid-fetch, then a mount does.
    let mut resolve = Reader::of(&mut program(resolve_args(
        &origin,
        &waiter.cache,
        "https://tfhub.dev/google/a/1",
    )));
    let other = Mounting::of(&origin)
        .timeout("30s")
        .cache(&waiter.cache)
        .start();
    let dying = other.start(&format!("google/b/1/{DATA}"), std::fs::read);
    for name in ["google/a/1", "google/b/1"] {
        eventually("the fetch has begun", SOON, || origin.sent(name) >= at);
        origin.publish(name, archive.clone());
    }
    let reads = ["google/a/1", "google/b/1"]
        .map(|name| waiter.start(&format!("{name}/{DATA}"), std::fs::read));
    assert!(
        reads[0].is_waiting_after(Duration::from_millis(300))
            && reads[1].is_waiting_after(Duration::ZERO)
    );
    let since = Instant::now();
    resolve.signal("KILL");
    resolve.ended(SOON);
    other.signal("KILL");
    assert!(dying.take(SOON).is_err());
    for read in reads {
        assert!(read.take(SOON).unwrap() == model.bytes(DATA));
    }
    assert!(
        since.elapsed() < Duration::from_secs(8),
        "a kernel lock goes with its holder: {:?}",
        since.elapsed()
    );
    eventually("only the two models are left", SOON, || {
        entries(&waiter.cache).len() == 4
    });
}

/// A second process waits until the first has sealed the model.
#[test]
fn a_second_mount_waits_for_the_seal() {
    let origin = Origin::start();
    let model = saved_model(4, 1_000_000);
    let archive = Tar::of(&model).gz();
    let gate = Gate::new();
    let at = archive.len() as u64 * 3 / 4;
    origin
        .publish("google/shared/2", archive)
        .faults(vec![Fault::Gated {
            at,
            gate: gate.clone(),
        }]);
    let one = Mounting::of(&origin).timeout("30s").start();
    let two = Mounting::of(&origin)
        .timeout("30s")
        .cache(&one.cache)
        .start();
    let first = one.start(&format!("google/shared/2/{DATA}"), std::fs::read);
    eventually("the first mount fetches", SOON, || {
        !origin.downloads("google/shared/2").is_empty()
    });
    let listed = two.start("google/shared/2", |path| {
        std::io::Result::Ok(entries(&path))
    });
    let second = two.start(&format!("google/shared/2/{DATA}"), std::fs::read);
    assert!(second.is_waiting_after(Duration::from_millis(500)));
    assert!(listed.is_waiting_after(Duration::ZERO));
    gate.open();
    assert!(first.take(SOON).unwrap() == model.bytes(DATA));
    assert!(second.take(SOON).unwrap() == model.bytes(DATA));
    assert!(listed.take(SOON).unwrap().len() > 1);
    assert_eq!(origin.downloads("google/shared/2").len(), 1, "fetched once");
}

/// A process that holds a model's lock and does nothing by itself.
struct Holder {
    staging: PathBuf,
    locks: [PathBuf; 2],
    kernel: File,
}

impl Holder {
    fn of(cache: &Path, handle: &str) -> Holder {
        let key = sha1_of(handle);
        let uid = "0123456789abcdef0123456789abcdef";
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        let text = format!("{}.{}.{uid}", host.trim(), std::process::id());
        let locks = [
            cache.join(".tfhub-fs/v1/locks").join(&key),
            cache.join(format!("{key}.lock")),
        ];
        let kernel = File::create(&locks[0]).unwrap();
        kernel.try_lock().unwrap();
        (&kernel).write_all(text.as_bytes()).unwrap();
        std::fs::write(&locks[1], text).unwrap();
        let staging = cache.join(format!("{key}.{uid}.tmp"));
        std::fs::create_dir(&staging).unwrap();
        Holder {
            staging,
            locks,
            kernel,
        }
    }

    fn grow(&self, bytes: usize) {
        std::fs::write(self.staging.join("variables"), vec![1; bytes]).unwrap();
    }

    fn gives_up(self) {
        std::fs::remove_dir_all(&self.staging).unwrap();
        for lock in &self.locks {
            std::fs::remove_file(lock).unwrap();
        }
        drop(self.kernel);
    }
}

/// A waiter's deadline moves with the staging directory and with the holder's sealing, and the log names a holder that hangs.
#[test]
fn a_wait_for_another_process_ends_when_nothing_moves() {
    let origin = Origin::start();
    let (name, model) = ("google/slow/1", saved_model(8, 1000));
    origin.publish(name, Tar::of(&model).gz());
    let mount = Mounting::of(&origin).timeout("2s").start();
    let holder = Holder::of(&mount.cache, &format!("https://tfhub.dev/{name}"));
    let read = mount.start(&format!("{name}/{DATA}"), std::fs::read);
    for bytes in 1..6 {
        assert!(read.is_waiting_after(Duration::from_secs(1)), "{bytes}");
        holder.grow(bytes);
    }
    for beat in 0..5 {
        assert!(read.is_waiting_after(Duration::from_secs(1)), "{beat}");
        holder.kernel.set_modified(SystemTime::now()).unwrap();
    }
    assert_errno(read.take(SOON), libc::ETIMEDOUT);
    let who = format!("process {} on ", std::process::id());
    mount.assert_logged(&["holds its lock and has made no progress", &who]);
    holder.gives_up();
    let bytes = mount.start(&format!("{name}/{DATA}"), std::fs::read);
    assert!(
        bytes.take(SOON).unwrap() == model.bytes(DATA),
        "tried again"
    );
    assert_eq!(origin.downloads(name).len(), 1);
}
