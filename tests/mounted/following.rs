//! Reading what another process fetches, when that one does not fare well.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::common::{
    Mounting, Running, SOON, Tar, Tree, assert_errno, eventually, run, saved_model, sha1_of,
    started, within,
};
use crate::origin::{Fault, Gate, Origin};
use crate::sharing::{DATA, resolve_args};

/// A model, and its archive with a wrong checksum at the end.
fn damaged(seed: u64) -> (Tree, Vec<u8>, Vec<u8>) {
    let model = saved_model(seed, 1_000_000);
    let good = Tar::of(&model).gz();
    let mut bad = good.clone();
    let at = bad.len() - 6; // of the CRC-32 in the last eight bytes
    bad[at] ^= 1;
    (model, good, bad)
}

fn gated(origin: &Origin, name: &str, archive: Vec<u8>) -> Gate {
    let gate = Gate::new();
    let at = archive.len() as u64 * 3 / 4;
    let gate_ = gate.clone();
    let object = origin.publish(name, archive);
    object.faults(vec![Fault::Gated { at, gate: gate_ }]);
    gate
}

/// What turns out to be wrong is wrong for whoever has read it, in whichever process, and nobody fetches it again unasked.
#[test]
fn a_damaged_archive_fails_every_process_that_reads_it_once() {
    let origin = Origin::start();
    let (model, good, bad) = damaged(6);
    let gate = gated(&origin, "google/bad/1", bad);
    let one = Mounting::of(&origin).timeout("30s").start();
    let two = Mounting::of(&origin)
        .timeout("30s")
        .cache(&one.cache)
        .start();
    let first = one.start(&format!("google/bad/1/{DATA}"), std::fs::read);
    eventually("the first mount fetches", SOON, || {
        !origin.downloads("google/bad/1").is_empty()
    });
    let path = two.path(&format!("google/bad/1/{DATA}"));
    let (told, heard) = std::sync::mpsc::channel();
    let second: Running<io::Result<_>> = started(move || {
        let mut file = std::fs::File::open(path)?;
        let mut bytes = vec![0; 300_000];
        file.read_exact(&mut bytes)?;
        told.send(()).unwrap();
        let rest = file.read_to_end(&mut bytes);
        std::thread::sleep(Duration::from_secs(1));
        // What had come before the end is not to be had any more either.
        Ok((rest, file.read_at(&mut bytes[..10], 0)))
    });
    heard.recv_timeout(SOON).unwrap();
    gate.open();
    let (rest, again) = second.take(SOON).unwrap();
    drop(rest); // the end may have been read before anybody knew
    assert_errno(again, libc::EIO);
    drop(first.take(SOON));
    assert_eq!(origin.downloads("google/bad/1").len(), 1, "fetched once");
    two.assert_logged(&["the process that was fetching it has failed", "gzip stream"]);
    origin.publish("google/bad/1", good);
    let bytes = two.read(&format!("google/bad/1/{DATA}")).unwrap();
    assert!(bytes == model.bytes(DATA), "the next open starts anew");
}

#[test]
fn programs_that_wait_for_a_damaged_archive_are_told_why_and_do_not_fetch_it_in_turn() {
    let origin = Origin::start();
    let (_, _, bad) = damaged(7);
    let gate = gated(&origin, "google/bad/2", bad);
    let cache = tempfile::tempdir().unwrap();
    let programs: Vec<_> = (0..4)
        .map(|_| resolve_args(&origin, cache.path(), "https://tfhub.dev/google/bad/2"))
        .map(|args| started(move || run(args)))
        .collect();
    eventually("one of them fetches", SOON, || {
        !origin.downloads("google/bad/2").is_empty()
    });
    std::thread::sleep(Duration::from_secs(2)); // all of them have begun
    gate.open();
    for program in programs {
        let ended = program.take(SOON);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains("gzip stream"), "{ended:?}");
    }
    assert_eq!(origin.downloads("google/bad/2").len(), 1);
}

/// A process that fills a model, says how far it is, and does nothing by itself.
struct Leader {
    cache: PathBuf,
    key: String,
    journal: File,
    _lock: File,
}

const UID: &str = "0123456789abcdef0123456789abcdef";
const HANDLE: &str = "https://tfhub.dev/google/slow/1";

impl Leader {
    /// In a cache directory that has been used.
    fn of(cache: &Path) -> Leader {
        let key = sha1_of(HANDLE);
        let own = cache.join(".tfhub-fs/v1");
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let text = format!("{}.{}.{UID}", host.trim(), std::process::id());
        let lock = File::create(own.join("locks").join(&key)).unwrap();
        lock.try_lock().unwrap();
        (&lock).write_all(text.as_bytes()).unwrap();
        std::fs::write(cache.join(format!("{key}.lock")), text).unwrap();
        std::fs::create_dir(cache.join(format!("{key}.{UID}.tmp"))).unwrap();
        let journal = own.join("tmp").join(format!("{key}.journal"));
        let leader = Leader {
            cache: cache.to_owned(),
            key,
            journal: File::create(journal).unwrap(),
            _lock: lock,
        };
        let boot = boot.trim();
        leader.tell(&format!(r#"{{"fill":{{"uid":"{UID}","boot":"{boot}"}}}}"#));
        leader.tell(r#"{"from":{"identity":null}}"#);
        leader
    }

    fn tell(&self, line: &str) {
        writeln!(&self.journal, "{line}").unwrap();
    }

    fn staged(&self, path: &str) -> PathBuf {
        self.cache
            .join(format!("{}.{UID}.tmp", self.key))
            .join(path)
    }

    /// Begins a file of this size.
    fn file(&self, path: &str, size: usize, bytes: &[u8]) {
        std::fs::write(self.staged(path), bytes).unwrap();
        self.tell(&format!(
            r#"{{"file":{{"path":"{path}","size":{size},"mtime":0}}}}"#
        ));
    }

    /// Gives the model its name and goes.
    fn seal(self) {
        let model = self.cache.join(&self.key);
        let descriptor =
            format!("Module: {HANDLE}\nDownload Time: x\nDownloader Hostname: x (PID:1)");
        std::fs::write(model.with_extension("descriptor.txt"), descriptor).unwrap();
        std::fs::rename(self.staged(""), model).unwrap();
        std::fs::remove_file(self.cache.join(format!("{}.lock", self.key))).unwrap();
    }

    fn name() -> String {
        format!("process {} on ", std::process::id())
    }
}

/// Verifying and syncing take their time, and nothing grows meanwhile.
#[test]
fn what_is_complete_can_be_read_for_as_long_as_its_filler_takes_to_seal_it() {
    let origin = Origin::start();
    origin.publish("google/slow/1", Tar::of(&saved_model(8, 1000)).gz());
    let mount = Mounting::of(&origin).timeout("1s").start();
    let leader = Leader::of(&mount.cache);
    leader.file("saved_model.pb", 5, b"graph");
    leader.tell("\"named\"");
    let path = mount.path("google/slow/1/saved_model.pb");
    let reads = within(SOON, move || {
        let file = File::open(&path).unwrap();
        for _ in 0..4 {
            let (mut open, mut anew) = ([0; 5], Vec::new());
            file.read_exact_at(&mut open, 0)?;
            File::open(&path)?.read_to_end(&mut anew)?;
            assert_eq!((&open[..], &anew[..]), (&b"graph"[..], &b"graph"[..]));
            std::thread::sleep(Duration::from_secs(1));
        }
        io::Result::Ok(file)
    });
    let file = reads.unwrap();
    // Who needs all of it waits for a filler that says that it lives, and not for one that does not.
    let mut args = resolve_args(&origin, &mount.cache, HANDLE);
    args.push(String::from("--timeout=2s"));
    let silent = run(&args);
    assert_eq!(silent.code, Some(1), "{silent:?}");
    assert!(silent.stderr.contains(&Leader::name()), "{silent:?}");
    let resolving = started(move || run(args));
    for _ in 0..8 {
        leader.tell("\"sealing\"");
        assert!(resolving.is_waiting_after(Duration::from_millis(500)));
    }
    leader.seal();
    let resolved = resolving.take(SOON);
    assert_eq!(resolved.code, Some(0), "{resolved:?}");
    within(SOON, move || file.read_exact_at(&mut [0; 5], 0)).unwrap();
    assert!(origin.downloads("google/slow/1").is_empty());
}

/// Waits end, what is there stays, and the rest may still come.
#[test]
fn a_filler_that_hangs_ends_the_waits_for_what_is_not_there() {
    let origin = Origin::start();
    origin.publish("google/slow/1", Tar::of(&saved_model(9, 1000)).gz());
    let mount = Mounting::of(&origin).timeout("1s").start();
    let leader = Leader::of(&mount.cache);
    leader.file("saved_model.pb", 5, b"graph");
    leader.file("late", 4, b"la");
    let root = mount.path("google/slow/1");
    let (here, late) = within(SOON, move || {
        let (here, late) = (root.join("saved_model.pb"), root.join("late"));
        (File::open(here).unwrap(), File::open(late).unwrap())
    });
    let (here, late) = within(SOON, move || {
        for _ in 0..2 {
            assert_errno(late.read_exact_at(&mut [0; 4], 0), libc::ETIMEDOUT);
            here.read_exact_at(&mut [0; 5], 0).unwrap();
        }
        (here, late)
    });
    mount.assert_logged(&["holds its lock and has made no progress", &Leader::name()]);
    std::fs::write(leader.staged("late"), b"late").unwrap();
    let mut bytes = [0; 4];
    within(SOON, move || {
        late.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"late");
        here.read_exact_at(&mut [0; 5], 0).unwrap();
    });
}
