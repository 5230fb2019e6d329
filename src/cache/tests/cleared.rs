//! Any part of the cache is taken away at any moment.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use super::ranges::{BLOCK, OBJECT, fill, fill_all, get, limited, partial, read, spec};
use super::*;
use crate::handle::Key;

/// What is taken away under a model that is read by ranges: all of it comes again, and the model can be sealed.
#[test]
fn a_streamed_model_begins_anew_wherever_it_was_cleared() {
    type Clear = fn(&Path);
    let clear: [(&str, Clear); 6] = [
        ("its parts", |root| {
            let parts = root.join(".tfhub-fs/v1/parts");
            for entry in fs::read_dir(parts).unwrap() {
                fs::remove_dir_all(entry.unwrap().path()).unwrap();
            }
        }),
        ("its data", |root| {
            let data = root
                .join(".tfhub-fs/v1/parts")
                .join(Key::of(URL).to_string())
                .join("data");
            fs::remove_dir_all(data).unwrap();
        }),
        ("a directory in it", |root| {
            let data = root
                .join(".tfhub-fs/v1/parts")
                .join(Key::of(URL).to_string())
                .join("data");
            fs::remove_dir_all(data.join("variables")).unwrap();
        }),
        ("a directory for a link", |root| {
            let data = root
                .join(".tfhub-fs/v1/parts")
                .join(Key::of(URL).to_string())
                .join("data");
            fs::remove_dir_all(data.join("variables")).unwrap();
            std::os::unix::fs::symlink("/nowhere", data.join("variables")).unwrap();
        }),
        ("all of ours", |root| {
            fs::remove_dir_all(root.join(".tfhub-fs")).unwrap()
        }),
        ("the cache", |root| fs::remove_dir_all(root).unwrap()),
    ];
    for (what, clear) in clear {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("cache");
        let cache = Cache::open(&root).unwrap();
        let files = [
            spec("saved_model.pb", 1000),
            spec("variables/data", 5 * BLOCK),
        ];
        let partial = partial(&cache, URL, &files);
        let data = get(&partial, "variables/data");
        // While it is idle, and while somebody has it open.
        for held in [false, true] {
            assert!(fill(&data, 0..2 * BLOCK), "{what}");
            let open = held.then(|| data.open().unwrap());
            clear(&root);
            let begun = std::time::Instant::now();
            assert!(fill(&data, 3 * BLOCK..4 * BLOCK), "{what}");
            assert!(read(&data, 3 * BLOCK..4 * BLOCK).is_some(), "{what}");
            let _ = read(&data, 0..2 * BLOCK); // right, or not there
            drop(open);
            assert!(begun.elapsed() < Duration::from_secs(5), "{what}");
        }
        let mut tries = 0;
        let sealed = loop {
            fill_all(&partial);
            match partial.seal() {
                Ok(Sealing::Sealed(sealed)) => break sealed,
                Err(Error::TooShort { .. }) if tries < 4 => tries += 1,
                other => panic!("{what}: {other:?}"),
            }
        };
        assert_eq!(sealed.bytes(), 1000 + 5 * BLOCK, "{what}");
        assert_eq!(cache.sealed(URL).unwrap().unwrap().bytes(), sealed.bytes());
    }
}

/// Whoever comes after that has other parts of the same name, which are not the first one's to remove.
#[test]
fn the_parts_of_another_with_the_same_name_stay() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path()).unwrap();
    let first = partial(&cache, OBJECT, &[spec("x", BLOCK)]);
    fill_all(&first);
    fs::remove_dir_all(dir.path().join(".tfhub-fs/v1/parts")).unwrap();
    let second = partial(&cache, OBJECT, &[spec("x", BLOCK)]);
    fill_all(&second);
    first.discard(Arc::new(Error::Abandoned));
    drop(first);
    assert!(read(&get(&second, "x"), 0..BLOCK).is_some());
    drop(second);
    let third = partial(&cache, OBJECT, &[spec("x", BLOCK)]);
    assert!(read(&get(&third, "x"), 0..BLOCK).is_some(), "it was kept");
}

/// Parts whose `claim` was removed are still whose they are: nobody else takes them, or removes them, while they are open.
#[test]
fn parts_without_a_claim_stay_their_holders() {
    const MIB: u64 = 1 << 20;
    let dir = tempfile::tempdir().unwrap();
    let cache = limited(dir.path(), 4 * MIB);
    let files = [spec("x", 3 * MIB)];
    let first = partial(&cache, OBJECT, &files);
    fill_all(&first);
    let home = dir.path().join(".tfhub-fs/v1/parts");
    let home = home.join(Key::of(OBJECT).to_string());
    fs::remove_file(home.join("claim")).unwrap();
    // Another process.
    let other = Cache::open(dir.path()).unwrap();
    let second = partial(&other, OBJECT, &files);
    let theirs = get(&second, "x");
    assert!(fill(&theirs, 0..BLOCK));
    // The first gives back blocks of what it has.
    let next = partial(&cache, URL, &[spec("y", 3 * MIB)]);
    fill_all(&next);
    for block in 0..3 * MIB / BLOCK {
        let _ = read(&theirs, block * BLOCK..(block + 1) * BLOCK); // right, or not there
    }
    assert!(read(&theirs, 0..BLOCK).is_some());
    assert_eq!(theirs.missing(0..u64::MAX), [BLOCK..3 * MIB]);
    drop(second);
    assert!(!super::super::space::idle::discard(
        &super::super::layout::Layout::new(dir.path().to_path_buf()),
        &Key::of(OBJECT).to_string()
    ));
    assert!(home.is_dir());
    drop(first);
    let kept = get(&partial(&other, OBJECT, &files), "x").missing(0..u64::MAX);
    assert_ne!(kept, [0..3 * MIB], "what the first has left is used next");
}

/// A staging directory whose record was cleared goes when the cache is opened next; one that is held stays.
#[test]
fn a_staging_directory_without_a_record_goes() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    Cache::open(root).unwrap();
    let held = Key::of("https://h/held/1").to_string();
    let (uid, other) = ("1".repeat(32), "2".repeat(32));
    fs::write(
        root.join(format!("{held}.lock")),
        format!("elsewhere.1.{uid}"),
    )
    .unwrap();
    let names = [format!("{held}.{uid}.tmp"), format!("{held}.{other}.tmp")];
    for name in &names {
        fs::create_dir(root.join(name)).unwrap();
        fs::write(root.join(name).join("saved_model.pb"), "x").unwrap();
    }
    fs::create_dir(root.join("notes.tmp")).unwrap();
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
    for name in &names {
        fs::File::open(root.join(name))
            .unwrap()
            .set_modified(long_ago)
            .unwrap();
        fs::File::open(root.join(name).join("saved_model.pb"))
            .unwrap()
            .set_modified(long_ago)
            .unwrap();
    }
    Cache::open(root).unwrap();
    let here = |name: &str| root.join(name).exists();
    assert_eq!(names.map(|name| here(&name)), [true, false]);
    assert!(here("notes.tmp"), "not ours");
}
