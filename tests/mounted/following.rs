//! Reading what another process fetches, when that one does not fare well.

use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use crate::common::{
    Mounting, Running, SOON, Tar, Tree, assert_errno, eventually, run, saved_model, started,
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
