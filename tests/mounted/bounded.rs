//! What any user may ask for without end takes a bounded amount of the daemon's memory.

use std::fs::ReadDir;
use std::process::Command;
use std::time::Duration;

use crate::common::{Mount, Mounting, Reader, SOON, as_other, eventually};
use crate::origin::Origin;

const MIB: u64 = 1 << 20;

/// How many names are looked up; many more by hand.
fn names() -> u64 {
    let asked = std::env::var("NAMES").ok();
    asked.map_or(300_000, |names| names.parse().unwrap())
}

/// The daemon's resident memory, in bytes.
fn memory(mount: &Mount) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", mount.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() << 10
}

/// Has an ordinary user run a Perl script in the mount, whose `$n` is `count`.
fn run(mount: &Mount, count: u64, script: &str) -> Reader {
    let mut perl = Command::new("perl");
    perl.current_dir(&mount.at)
        .args(["-e", &format!("my $n = {count}; {script}")]);
    Reader::of(as_other(&mut perl))
}

/// Names that nobody knows, above models, looked up by a user who has nothing to do with the mount.
#[test]
fn lookups_of_unknown_names() {
    let origin = Origin::start();
    let mount = Mounting::of(&origin).arg("--memory=32MiB").start();
    mount.list("").unwrap();
    // Somebody is at work in a directory like those.
    let mut at_work = Command::new("perl");
    at_work
        .current_dir(mount.path("at/work"))
        .args(["-e", "sleep 1 while -d '.'"]);
    let at_work = Reader::of(&mut at_work);
    let idle = memory(&mount);
    let flood = |what: &str, script: &str| {
        let readers: Vec<Reader> = (0..4)
            .map(|part| {
                let script = script.replace("1..$n", &format!("$n*{part}+1..$n*({part}+1)"));
                run(&mount, names() / 16, &script)
            })
            .collect();
        for mut reader in readers {
            assert!(reader.ended(Duration::from_secs(3600)).success(), "{what}");
        }
        let now = memory(&mount);
        eprintln!("{what}: {} MiB above idle", now.saturating_sub(idle) / MIB);
        assert!(
            now < idle + 24 * MIB,
            "{what}: {} MiB at rest, {} MiB after {} names",
            idle / MIB,
            now / MIB,
            names()
        );
    };
    let at_work = || std::fs::read_link(format!("/proc/{}/cwd", at_work.pid())).unwrap();
    flood("two levels", "for (1..$n) { stat(\"x$_/y\") }");
    flood("one level", "for (1..$n) { stat(\"y$_\") }");
    flood(
        "long ones",
        "my $l = 'l' x 200; for (1..$n) { stat(\"$l$_/$l/$l/$l\") if $_ % 20 == 0 }",
    );
    assert_eq!(
        at_work(),
        mount.path("at/work"),
        "a directory in use has gone"
    );
    flood("absent ones", "for (1..$n) { stat(\"z$_/.no\") }");
    mount.stat("at/work").unwrap();
    assert_eq!(at_work(), mount.path("at/work"));
    // Everything is found as before.
    mount.stat("x17/y").unwrap();
    assert!(mount.list("x17").unwrap().is_empty());
    mount.assert_not_logged("panic");
}

/// Directories that are held open.
#[test]
fn open_directories_share_their_listing() {
    let origin = Origin::start();
    let catalog = tempfile::NamedTempFile::new().unwrap();
    let lines: String = (0..20_000)
        .map(|number| format!("https://tfhub.dev/google/a-model-with-a-name-{number}/1\n"))
        .collect();
    std::fs::write(catalog.path(), lines).unwrap();
    let mount = Mounting::of(&origin)
        .arg("--catalog")
        .arg(catalog.path())
        .start();
    eventually("the catalog is listed", SOON, || {
        mount.list("google").unwrap().len() == 20_000
    });
    let idle = memory(&mount);
    let open: Vec<ReadDir> = (0..100)
        .map(|_| {
            let mut dir = std::fs::read_dir(mount.path("google")).unwrap();
            dir.next().unwrap().unwrap();
            dir
        })
        .collect();
    let now = memory(&mount);
    assert!(
        now < idle + 24 * MIB,
        "{} MiB, and {} MiB with 100 directories open",
        idle / MIB,
        now / MIB
    );
    for dir in open {
        assert_eq!(dir.count(), 20_000 - 1);
    }
}
