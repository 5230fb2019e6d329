//! Who waits can be interrupted, and never holds up anybody else.

use std::time::{Duration, Instant};

use crate::common::{Mount, Mounting, Reader, SOON, Tar, Tree, saved_model};
use crate::origin::{Fault, Hop, Origin};

const DATA: &str = "variables/variables.data-00000-of-00001";

/// A hub with a good model, one that stalls in the middle of its bytes, and one whose hub never answers.
fn stalling() -> (Origin, Mount, Tree) {
    let origin = Origin::start();
    let model = saved_model(1, 2_000_000);
    let archive = Tar::of(&model).gz();
    let at = archive.len() as u64 / 2;
    origin.publish("google/good/1", archive.clone());
    origin.publish("google/cold/1", archive.clone());
    origin
        .publish("google/stalled/1", archive.clone())
        .faults(vec![Fault::Stall { at }]);
    origin
        .publish("google/silent/1", archive)
        .faults(vec![Fault::Silence { hop: Hop::Hub }]);
    let mount = Mounting::of(&origin).timeout("60s").start();
    (origin, mount, model)
}

/// "Ctrl-C or kill while waiting: the call returns within a second."
#[test]
fn a_signal_ends_every_wait_within_a_second() {
    let (_origin, mount, _) = stalling();
    let paths = [
        (
            "a lookup of the model",
            "google/silent/1/saved_model.pb".to_owned(),
        ),
        (
            "a lookup of a name that may still come",
            "google/stalled/1/not_yet_seen".to_owned(),
        ),
        ("a read", format!("google/stalled/1/{DATA}")),
    ];
    for (what, path) in paths {
        for name in ["INT", "TERM", "KILL"] {
            let mut reader = Reader::cat(&mount.path(&path));
            reader.wait_until_stuck();
            std::thread::sleep(Duration::from_millis(50));
            let since = Instant::now();
            reader.signal(name);
            let status = reader.ended(SOON);
            let after = since.elapsed();
            assert!(
                after <= Duration::from_secs(1),
                "{what}: SIG{name} took {after:?}"
            );
            assert!(!status.success(), "{what}: SIG{name}");
        }
    }
    let mut listing =
        Reader::of(std::process::Command::new("ls").arg(mount.path("google/stalled/1")));
    listing.wait_until_stuck();
    listing.signal("INT");
    listing.ended(Duration::from_secs(1));
}

/// "One stalled origin never delays a read of another model", also with 64 readers that wait.
#[test]
fn stalled_models_delay_nobody_else() {
    let (_origin, mount, model) = stalling();
    mount.on("google/good/1", {
        let model = model.clone();
        move |root| model.assert_at(&root)
    });
    let mut stuck: Vec<Reader> = (0..64)
        .map(|number| match number % 8 {
            0 => Reader::cat(&mount.path("google/silent/1/saved_model.pb")),
            _ => Reader::cat(&mount.path(&format!("google/stalled/1/{DATA}"))),
        })
        .collect();
    // Not all of them sit in FUSE: the kernel queues lookups of one name behind each other.
    stuck[1].wait_until_stuck();
    std::thread::sleep(Duration::from_secs(1));
    let limit = Duration::from_secs(5);
    let fast = |what: &str, path: &str, wanted: &[u8]| {
        let since = Instant::now();
        let bytes = mount.start(path, std::fs::read).take(limit).unwrap();
        assert!(bytes == wanted, "{what}");
        since.elapsed()
    };
    for round in 0..20 {
        let took = fast(
            "sealed",
            &format!("google/good/1/{DATA}"),
            model.bytes(DATA),
        );
        assert!(took < Duration::from_secs(2), "round {round}: {took:?}");
    }
    fast(
        "a cold one",
        &format!("google/cold/1/{DATA}"),
        model.bytes(DATA),
    );
    fast(
        "what has arrived of the stalled one",
        "google/stalled/1/saved_model.pb",
        model.bytes("saved_model.pb"),
    );
    mount
        .start("", |root| std::fs::read_dir(root).unwrap().count())
        .take(limit);
    let space = std::process::Command::new("stat")
        .args(["-f", "-c", "%T"])
        .arg(&mount.at)
        .output()
        .unwrap();
    assert!(space.status.success(), "{space:?}");
    for reader in &mut stuck {
        assert!(
            reader.is_alive(),
            "a reader of a stalled model has got an answer"
        );
        reader.signal("KILL");
    }
    let since = Instant::now();
    for reader in &mut stuck {
        reader.ended(SOON);
    }
    assert!(
        since.elapsed() < Duration::from_secs(3),
        "64 killed readers took {:?}",
        since.elapsed()
    );
}
