//! A cache with an end: models leave, stay known, and come back.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use crate::common::{
    Mount, Mounting, Outcome, SOON, Tar, Tree, eventually, run, saved_model, sha1_of,
};
use crate::disk::SmallDisk;
use crate::origin::Origin;
use crate::sharing::DATA;

const SIZE: usize = 1_000_000;

fn hosted(origin: &Origin, name: &str, seed: u64) -> Tree {
    let model = saved_model(seed, SIZE);
    origin.host(&format!("google/{name}/1"), Tar::of(&model).gz());
    model
}

fn cache_command(cache: &Path, args: &[&str]) -> Outcome {
    let dir = format!("--cache-dir={}", cache.display());
    run([&["cache"], args, &[dir.as_str()]].concat())
}

fn state(mount: &Mount, model: &str) -> String {
    let path = mount.path(model);
    crate::common::within(SOON, move || {
        crate::common::xattr(&path, "user.tfhub.state").unwrap_or_default()
    })
}

fn handle(name: &str) -> String {
    format!("https://tfhub.dev/google/{name}/1")
}

/// What has left is listed, has its sizes, and is fetched again by the first read, also by a mount that began later.
#[test]
fn models_that_left_stay_visible_and_come_back() {
    let origin = Origin::start();
    let model = hosted(&origin, "gone", 1);
    let cache = tempfile::tempdir().unwrap();
    let before = Mounting::of(&origin).cache(cache.path()).start();
    before.read("google/gone/1/saved_model.pb").unwrap();
    eventually("sealed", SOON, || {
        state(&before, "google/gone/1") == "sealed"
    });
    let left = cache_command(cache.path(), &["clean", "--older-than=0s"]);
    assert!(
        left.stdout
            .contains("evicted  https://tfhub.dev/google/gone/1"),
        "{left:?}"
    );
    let after = Mounting::of(&origin).cache(cache.path()).start();
    let asked = origin.seen().len();
    let listed = after.list("google/gone/1").unwrap();
    assert_eq!(listed, before.list("google/gone/1").unwrap());
    let size = after.stat(&format!("google/gone/1/{DATA}")).unwrap().len();
    assert_eq!(size, model.bytes(DATA).len() as u64);
    assert_eq!(state(&after, "google/gone/1"), "evicted");
    let absent = after.stat("google/gone/1/tfhub_module.pb").unwrap_err();
    assert_eq!(absent.raw_os_error(), Some(libc::ENOENT));
    eventually("listed above, too", SOON, || {
        after.list("google").unwrap() == ["gone"]
    });
    assert_eq!(origin.seen().len(), asked, "names cost no request");
    for mount in [&before, &after] {
        let wanted = model.clone();
        mount.on("google/gone/1", move |root| wanted.assert_at(&root));
        eventually("sealed again", SOON, || {
            state(mount, "google/gone/1") == "sealed"
        });
    }
}

/// With a limit the longest unused model leaves; one that is open does not; and a model for which nothing may leave is
/// ENOSPC while everything else goes on.
#[test]
fn a_full_cache_lets_go_of_what_nobody_uses() {
    let origin = Origin::start();
    let models: Vec<Tree> = (1..=4)
        .map(|number| hosted(&origin, &format!("m{number}"), number))
        .collect();
    let mount = Mounting::of(&origin)
        .arg("--cache-size=2500KiB")
        .arg("--load-format=compressed")
        .start();
    let wanted = |number: usize| format!("google/m{number}/1");
    for number in [1, 2] {
        let model = models[number - 1].clone();
        mount.on(&wanted(number), move |root| model.assert_at(&root));
        eventually("sealed", SOON, || {
            state(&mount, &wanted(number)) == "sealed"
        });
        std::thread::sleep(Duration::from_millis(20));
    }
    let open = std::fs::File::open(mount.path(&format!("{}/{DATA}", wanted(1)))).unwrap();
    let model = models[2].clone();
    mount.on(&wanted(3), move |root| model.assert_at(&root));
    let here = |name: &str| mount.cache.join(sha1_of(&handle(name))).exists();
    eventually("the older one that is open stays", SOON, || {
        here("m1") && !here("m2") && here("m3")
    });
    let also = std::fs::File::open(mount.path(&format!("{}/{DATA}", wanted(3)))).unwrap();
    let full = mount.read(&format!("{}/{DATA}", wanted(4))).unwrap_err();
    assert_eq!(full.raw_os_error(), Some(libc::ENOSPC), "{full}");
    mount.assert_logged(&["google/m4/1", "--cache-size"]);
    let model = models[0].clone();
    mount.on(&wanted(1), move |root| model.assert_at(&root));
    drop((open, also));
    eventually("there is room again", SOON, || {
        mount.read(&format!("{}/{DATA}", wanted(4))).is_ok()
    });
    let model = models[1].clone();
    mount.on(&wanted(2), move |root| model.assert_at(&root));
}

/// What a program has mapped stays, though it has closed it; and what is to stay free of the disk stays free.
#[test]
fn a_mapped_model_stays_and_the_disk_keeps_its_free_space() {
    let origin = Origin::start();
    for (number, name) in ["mapped", "old", "new"].iter().enumerate() {
        let model = saved_model(number as u64, 6_000_000);
        origin.publish(&format!("google/{name}/1"), Tar::of(&model).gz());
    }
    let disk = SmallDisk::of("24m");
    let mount = Mounting::of(&origin)
        .cache(disk.cache())
        .arg("--min-free=10MiB")
        .start();
    let data = |name: &str| format!("google/{name}/1/{DATA}");
    let here = |name: &str| disk.cache().join(sha1_of(&handle(name))).exists();
    mount.read(&data("mapped")).unwrap();
    eventually("sealed", SOON, || here("mapped"));
    let script = "import mmap, sys, time\n\
        with open(sys.argv[1], 'rb') as f: m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)\n\
        print(m[0], flush=True); time.sleep(60)";
    let mut mapping = std::process::Command::new("python3");
    mapping
        .args(["-c", script])
        .arg(mount.path(&data("mapped")));
    mapping.stdout(std::process::Stdio::piped());
    let mut mapping = mapping.spawn().unwrap();
    let mut first = [0];
    let mut told = mapping.stdout.take().unwrap();
    told.read_exact(&mut first).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    mount.read(&data("old")).unwrap();
    eventually("sealed", SOON, || here("old"));
    std::thread::sleep(Duration::from_millis(20));
    mount.read(&data("new")).unwrap();
    eventually("the older one stays, being mapped", SOON, || {
        here("mapped") && !here("old") && here("new")
    });
    mapping.kill().unwrap();
    mapping.wait().unwrap();
    std::thread::sleep(Duration::from_millis(1100));
    mount.read(&data("old")).unwrap();
    eventually("it may leave when nobody has it", SOON, || {
        !here("mapped") && here("old") && here("new")
    });
}

/// With --offline nothing is asked: what is here is served, what is not is ENOENT and says why.
#[test]
fn offline_serves_what_it_has_and_asks_nobody() {
    let origin = Origin::start();
    let (model, _) = (hosted(&origin, "kept", 1), hosted(&origin, "left", 2));
    let cache = tempfile::tempdir().unwrap();
    let online = Mounting::of(&origin).cache(cache.path()).start();
    for name in ["kept", "left"] {
        online.read(&format!("google/{name}/1/{DATA}")).unwrap();
        let model = format!("google/{name}/1");
        eventually("sealed", SOON, || state(&online, &model) == "sealed");
    }
    drop(online);
    cache_command(cache.path(), &["pin", &handle("kept")]);
    cache_command(cache.path(), &["clean", "--to-size=0"]);
    let asked = origin.seen().len();
    let mount = Mounting::of(&origin)
        .cache(cache.path())
        .arg("--offline")
        .start();
    mount.on("google/kept/1", move |root| model.assert_at(&root));
    let latest = mount.real("google/kept/latest").unwrap();
    assert!(latest.ends_with("google/kept/1"), "{latest}");
    assert!(mount.stat("google/left/1/saved_model.pb").is_ok());
    for path in [
        "google/left/1/saved_model.pb",
        "google/never/1/saved_model.pb",
    ] {
        let error = mount.read(path).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT), "{path}");
    }
    mount.assert_logged(&["google/never/1", "--offline"]);
    assert_eq!(origin.seen().len(), asked, "somebody was asked");
}

/// A flipped bit in the cache is found by reading it through now and then, and healed by the next open.
#[test]
fn a_flipped_bit_is_found_and_healed() {
    let origin = Origin::start();
    let model = hosted(&origin, "bits", 1);
    let cache = tempfile::tempdir().unwrap();
    let first = Mounting::of(&origin).cache(cache.path()).start();
    first.read(&format!("google/bits/1/{DATA}")).unwrap();
    eventually("sealed", SOON, || {
        state(&first, "google/bits/1") == "sealed"
    });
    drop(first);
    let at = cache.path().join(sha1_of(&handle("bits"))).join(DATA);
    let mtime = std::fs::metadata(&at).unwrap().modified().unwrap();
    let mut bytes = std::fs::read(&at).unwrap();
    bytes[SIZE / 2] ^= 1;
    std::fs::write(&at, bytes).unwrap();
    let file = std::fs::File::options().write(true).open(&at).unwrap();
    file.set_modified(mtime).unwrap();
    let second = Mounting::of(&origin).cache(cache.path()).start();
    eventually("set aside", SOON, || !at.exists());
    eventually("said", SOON, || second.log().contains("other bytes"));
    second.assert_logged(&["google/bits/1", "other bytes"]);
    second.on("google/bits/1", move |root| model.assert_at(&root));
}

/// What a round of damage does to a model's directory.
fn damage(at: &Path, kind: u64, pick: u64) {
    let files = crate::common::files_below(at);
    let file = at.join(&files[pick as usize % files.len()]);
    match kind {
        0 => std::fs::remove_file(&file).unwrap(),
        1 => {
            let len = std::fs::metadata(&file).unwrap().len();
            let file = std::fs::File::options().write(true).open(&file).unwrap();
            file.set_len(pick % len).unwrap();
        }
        2 => std::fs::write(at.join(format!("variables/stray-{pick}")), "x").unwrap(),
        3 => std::fs::remove_dir_all(at).unwrap(),
        6 => {
            std::fs::remove_file(&file).unwrap();
            std::os::unix::fs::symlink("/etc/hostname", &file).unwrap();
        }
        4 => {
            let mut bytes = std::fs::read(&file).unwrap();
            let place = pick as usize % bytes.len();
            bytes[place] ^= 1 << (pick % 8);
            std::fs::write(&file, bytes).unwrap();
        }
        _ => {
            let mut bytes = std::fs::read(&file).unwrap();
            let place = pick as usize % bytes.len();
            bytes[place] ^= 1 << (pick % 8);
            let mtime = std::fs::metadata(&file).unwrap().modified().unwrap();
            std::fs::write(&file, bytes).unwrap();
            let file = std::fs::File::options().write(true).open(&file).unwrap();
            file.set_modified(mtime).unwrap();
            drop(file);
            let cache = at.parent().unwrap();
            let verified = cache_command(cache, &["verify", "--all"]);
            assert_eq!(verified.code, Some(1), "{verified:?}");
        }
    }
}

/// However a model is damaged, its next reader gets right bytes. `ROUNDS` says how often this is tried.
#[test]
fn random_damage_is_healed_by_the_next_read() {
    let rounds = std::env::var("ROUNDS").map_or(60, |rounds| rounds.parse().unwrap());
    let origin = Origin::start();
    let model = saved_model(1, 60_000);
    origin.host("google/hurt/1", Tar::of(&model).gz());
    let cache = tempfile::tempdir().unwrap();
    let mut mount = Mounting::of(&origin).cache(cache.path()).start();
    let at = cache.path().join(sha1_of(&handle("hurt")));
    let mut random = 7_u64;
    for round in 0..rounds {
        let wanted = model.clone();
        mount.on("google/hurt/1", move |root| wanted.assert_at(&root));
        eventually("sealed", SOON, || {
            state(&mount, "google/hurt/1") == "sealed"
        });
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let (kind, pick) = ((random >> 33) % 7, random >> 40);
        damage(&at, kind, pick);
        // What was added is seen by a mount that looks for the first time.
        if kind == 2 {
            drop(mount);
            mount = Mounting::of(&origin).cache(cache.path()).start();
        }
        if std::env::var_os("ROUNDS").is_some() && round % 100 == 99 {
            eprintln!("{} rounds", round + 1);
        }
    }
    let model = model.clone();
    mount.on("google/hurt/1", move |root| model.assert_at(&root));
}

/// Killed at any moment under load, with a cache too small for everything, the daemon leaves nothing wrong: every complete
/// model is right by its checksums, and the next start clears the rest. `KILLS` says how often this is tried.
#[test]
fn killed_at_random_moments_nothing_wrong_is_left() {
    let kills = std::env::var("KILLS").map_or(8, |kills| kills.parse().unwrap());
    let origin = Origin::start();
    let models: Vec<Tree> = (1..=5)
        .map(|number| hosted(&origin, &format!("k{number}"), number))
        .collect();
    let cache = tempfile::tempdir().unwrap();
    let start = || {
        Mounting::of(&origin)
            .cache(cache.path())
            .arg("--cache-size=3500KiB")
            .start()
    };
    let mut random = 11_u64;
    let mut complete = 0;
    for _ in 0..kills {
        let mut mount = start();
        let readers: Vec<_> = (1..=5)
            .map(|number| {
                let path = mount.path(&format!("google/k{number}/1/{DATA}"));
                crate::common::started(move || std::fs::read(path).map(|bytes| bytes.len()))
            })
            .collect();
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        std::thread::sleep(Duration::from_millis((random >> 33) % 500));
        mount.signal("KILL");
        mount.ended(SOON);
        for reader in readers {
            let _ = reader.take(SOON);
        }
        drop(mount);
        for (number, model) in models.iter().enumerate() {
            let sealed = cache
                .path()
                .join(sha1_of(&handle(&format!("k{}", number + 1))));
            if sealed.exists() {
                model.assert_at(&sealed);
            }
        }
        let verified = cache_command(cache.path(), &["verify", "--all"]);
        assert_eq!(verified.code, Some(0), "{verified:?}");
        complete += verified
            .stdout
            .lines()
            .filter(|line| line.starts_with("right"))
            .count();
        let left = crate::common::entries(cache.path());
        assert!(
            left.iter()
                .all(|name| !name.ends_with(".tmp") && !name.ends_with(".lock")),
            "{left:?}"
        );
        for corner in ["tmp", "trash", "locks", "parts"] {
            let corner = cache.path().join(".tfhub-fs/v1").join(corner);
            assert_eq!(crate::common::entries(&corner), [""; 0], "{corner:?}");
        }
    }
    assert!(complete > 0, "no model was ever complete");
    let mount = start();
    for (number, model) in models.into_iter().enumerate() {
        let path = format!("google/k{}/1", number + 1);
        mount.on(&path, move |root| model.assert_at(&root));
    }
}
