//! What of a filling by ranges is there in the next run, and what is not.

use std::fs;
use std::os::unix::fs::{FileExt, symlink};
use std::path::PathBuf;

use super::ranges::{BLOCK, OBJECT, data, fill, fill_all, get, partial, read, spec};
use super::*;
use crate::cache::layout::Key;

fn parts(root: &Path) -> PathBuf {
    root.join(".tfhub-fs/v1/parts")
}

fn home(root: &Path) -> PathBuf {
    parts(root).join(Key::of(OBJECT).to_string())
}

fn files() -> Vec<FileSpec> {
    vec![spec("a/big", 5 * BLOCK + 9), spec("small", 100)]
}

/// What is missing of the big file in a new run.
fn missing_next(cache: &Cache, files: &[FileSpec]) -> Vec<std::ops::Range<u64>> {
    let partial = partial(cache, OBJECT, files);
    let big = get(&partial, "a/big");
    let missing = big.missing(0..big.size());
    for file in partial.filling().files() {
        let here = (0..file.size())
            .step_by(50)
            .filter(|at| file.present(*at..*at + 50));
        for at in here.collect::<Vec<_>>() {
            assert!(read(file, at..at + 50).is_some());
        }
    }
    missing
}

/// A cache with the blocks 1 to 3 of the big file, and nobody who has them open.
fn left_behind() -> (tempfile::TempDir, Cache) {
    let (dir, cache) = cache();
    let partial = partial(&cache, OBJECT, &files());
    fill(&get(&partial, "a/big"), BLOCK - 10..4 * BLOCK + 10);
    fill(&get(&partial, "small"), 0..100);
    (dir, cache)
}

#[test]
fn whole_blocks_are_there_again() {
    let (dir, cache) = left_behind();
    let left = [0..BLOCK, 4 * BLOCK..5 * BLOCK + 9];
    assert_eq!(missing_next(&cache, &files()), left);
    assert_eq!(
        missing_next(&Cache::open(dir.path()).unwrap(), &files()),
        left
    );
    let again = partial(&cache, OBJECT, &files());
    fill_all(&again);
    drop(again);
    assert_eq!(missing_next(&cache, &files()), []);
    assert_eq!(names(&parts(dir.path())).len(), 1);
}

#[test]
fn only_the_same_name_size_and_version_are_used_again() {
    let all = 0..5 * BLOCK + 9;
    for change in [
        |file: &mut FileSpec| file.version = "18".into(),
        |file: &mut FileSpec| file.size -= 1,
        |file: &mut FileSpec| file.hashes.crc32c = Some(1),
        |file: &mut FileSpec| file.path = "a/other".into(),
    ] {
        let (dir, cache) = left_behind();
        let mut changed = files();
        change(&mut changed[0]);
        let next = partial(&cache, OBJECT, &changed);
        let first = next.filling().files()[0].clone();
        assert_eq!(first.missing(0..first.size()), [0..first.size()]);
        assert!(get(&next, "small").is_complete(), "the others stay");
        assert!(!home(dir.path()).join("data/a/big").exists());
        drop((next, first));
        assert_eq!(
            missing_next(&cache, &files()),
            std::slice::from_ref(&all),
            "gone for good"
        );
    }
    let untold = || {
        let mut files = files();
        (files[0].version, files[0].hashes) = (String::new(), Default::default());
        files
    };
    let (_dir, cache) = cache();
    let once = partial(&cache, OBJECT, &untold());
    fill(&get(&once, "a/big"), 0..BLOCK);
    drop(once);
    assert_eq!(
        missing_next(&cache, &untold()),
        [all],
        "nobody can say that it is the same"
    );
}

#[test]
fn after_another_boot_only_what_was_synced_is_trusted() {
    let (dir, cache) = cache();
    let first = partial(&cache, OBJECT, &files());
    let big = get(&first, "a/big");
    fill(&big, 0..BLOCK);
    first.sync().unwrap();
    fill(&big, BLOCK..3 * BLOCK);
    drop((first, big));
    let rebooted = || {
        let mut cache = Cache::open(dir.path()).unwrap();
        cache.boot_as(format!("boot {:?}", std::time::Instant::now()));
        cache
    };
    let left = [BLOCK..5 * BLOCK + 9];
    assert_eq!(missing_next(&rebooted(), &files()), left);
    assert_eq!(
        missing_next(&rebooted(), &files()),
        [0..5 * BLOCK + 9],
        "not synced again"
    );
    let mut nowhere = Cache::open(dir.path()).unwrap();
    nowhere.boot_as(String::new());
    let last = partial(&nowhere, OBJECT, &files());
    fill_all(&last);
    drop(last);
    assert_eq!(
        missing_next(&nowhere, &files()),
        [0..5 * BLOCK + 9],
        "boots that cannot be told apart"
    );
}

#[test]
fn what_was_given_back_after_a_sync_is_not_trusted_after_a_boot() {
    let (dir, cache) = cache();
    let first = partial(&cache, OBJECT, &files());
    fill_all(&first);
    first.sync().unwrap();
    let filling = first.filling();
    let stake = filling.shared.stake.as_ref().unwrap();
    assert!(stake.room.spare(1) > 0);
    std::mem::forget(first); // as `kill -9` would
    assert!(
        !names(&home(dir.path()))
            .iter()
            .any(|name| name.starts_with("synced"))
    );
}

#[test]
fn a_second_process_has_parts_of_its_own_until_it_ends() {
    let (dir, first) = cache();
    let second = Cache::open(dir.path()).unwrap();
    let one = partial(&first, OBJECT, &files());
    let two = partial(&second, OBJECT, &files());
    fill(&get(&one, "a/big"), 0..BLOCK);
    fill(&get(&two, "a/big"), BLOCK..2 * BLOCK);
    assert!(read(&get(&one, "a/big"), BLOCK..BLOCK + 1).is_none());
    assert!(read(&get(&two, "a/big"), BLOCK..BLOCK + 1).is_some());
    assert_eq!(names(&parts(dir.path())).len(), 2);
    drop(two);
    assert_eq!(names(&parts(dir.path())), [Key::of(OBJECT).to_string()]);
    let two = partial(&second, OBJECT, &files());
    drop(one);
    assert_eq!(missing_next(&first, &files()), [BLOCK..5 * BLOCK + 9]);
    // What a dead process leaves is nobody's.
    let dead = parts(dir.path()).join(format!("{}.{}", Key::of(OBJECT), "0".repeat(32)));
    fs::create_dir(&dead).unwrap();
    Cache::open(dir.path()).unwrap();
    assert!(!dead.exists());
    assert!(read(&get(&two, "small"), 0..1).is_none() && names(&parts(dir.path())).len() == 2);
}

/// What somebody does to the parts, and its name.
type Damage<'a> = (&'a str, &'a dyn Fn(&Path));

#[test]
fn damage_is_a_new_beginning_and_never_an_error_or_a_wrong_byte() {
    let all = 0..5 * BLOCK + 9;
    let map = |home: &Path| {
        let name = names(home)
            .into_iter()
            .find(|name| name.starts_with("map."));
        home.join(name.unwrap())
    };
    let damages: [Damage; 9] = [
        ("no plan", &|home| {
            fs::remove_file(home.join("plan.json")).unwrap()
        }),
        ("half a plan", &|home| {
            let text = fs::read(home.join("plan.json")).unwrap();
            fs::write(home.join("plan.json"), &text[..text.len() / 2]).unwrap();
        }),
        ("a plan that leads away", &|home| {
            let text = fs::read_to_string(home.join("plan.json")).unwrap();
            let uid = &map(home).file_name().unwrap().to_str().unwrap()[4..].to_owned();
            fs::write(
                home.join("plan.json"),
                text.replace(uid, "../../../../../x"),
            )
            .unwrap();
        }),
        ("no map", &|home| fs::remove_file(map(home)).unwrap()),
        ("a short map", &|home| fs::write(map(home), b"").unwrap()),
        ("a deleted file", &|home| {
            fs::remove_file(home.join("data/a/big")).unwrap()
        }),
        ("a link for a file", &|home| {
            fs::remove_file(home.join("data/a/big")).unwrap();
            symlink("/etc/passwd", home.join("data/a/big")).unwrap();
        }),
        ("a link for the files", &|home| {
            fs::rename(home.join("data"), home.join("../../../../elsewhere")).unwrap();
            symlink("../../../../elsewhere", home.join("data")).unwrap();
        }),
        ("a link for the claim", &|home| {
            fs::remove_file(home.join("claim")).unwrap();
            symlink("/etc/passwd", home.join("claim")).unwrap();
        }),
    ];
    for (what, damage) in damages {
        let (dir, cache) = left_behind();
        damage(&home(dir.path()));
        assert_eq!(
            missing_next(&cache, &files()),
            std::slice::from_ref(&all),
            "{what}"
        );
        let again = partial(&cache, OBJECT, &files());
        fill_all(&again);
        assert!(read(&get(&again, "a/big"), all.clone()).is_some(), "{what}");
        drop(again);
        assert_eq!(missing_next(&cache, &files()), [], "{what}");
    }
}

#[test]
fn bits_without_bytes_are_no_zeros() {
    let (dir, cache) = left_behind();
    let home = home(dir.path());
    let map = names(&home)
        .into_iter()
        .find(|name| name.starts_with("map."))
        .unwrap();
    let map = home.join(map);
    let len = fs::metadata(&map).unwrap().len() as usize;
    fs::write(&map, vec![0xff; len]).unwrap();
    let big = fs::OpenOptions::new()
        .write(true)
        .open(home.join("data/a/big"));
    big.unwrap().set_len(3 * BLOCK + 5).unwrap();
    let missing = missing_next(&cache, &files());
    assert_eq!(missing, [0..BLOCK, 3 * BLOCK..5 * BLOCK + 9]);
}

#[test]
fn a_file_that_a_cleaner_takes_away_is_fetched_again() {
    let (dir, cache) = left_behind();
    let next = partial(&cache, OBJECT, &files());
    let big = get(&next, "a/big");
    let path = home(dir.path()).join("data/a/big");
    assert!(read(&big, BLOCK..2 * BLOCK).is_some());
    fs::remove_file(&path).unwrap();
    assert_eq!(read(&big, BLOCK..2 * BLOCK), None);
    fill(&big, 0..BLOCK);
    assert_eq!(
        read(&big, BLOCK..2 * BLOCK),
        None,
        "no zeros of the new file"
    );
    assert!(read(&big, 0..BLOCK).is_some());
    // Cut off, while it is held open.
    fill(&big, BLOCK..3 * BLOCK);
    let held = big.open().unwrap();
    held.set_len(BLOCK + 5).unwrap();
    assert_eq!(read(&big, BLOCK..2 * BLOCK), None);
    assert!(fill(&big, BLOCK..2 * BLOCK) && read(&big, BLOCK..2 * BLOCK).is_some());
    // Another file in its place.
    drop(held);
    fs::rename(&path, dir.path().join("away")).unwrap();
    fs::write(&path, vec![0; 5 * BLOCK as usize + 9]).unwrap();
    assert_eq!(read(&big, BLOCK..2 * BLOCK), None);
    fill_all(&next);
    assert!(read(&big, 0..5 * BLOCK + 9).is_some());
    fs::remove_dir_all(home(dir.path()).join("data/a")).unwrap();
    assert_eq!(read(&big, 0..1), None);
    fill_all(&next);
    assert!(read(&big, 0..5 * BLOCK + 9).is_some());
}

#[test]
fn a_model_whose_file_was_taken_away_is_not_sealed_before_it_is_back() {
    let (dir, cache) = cache();
    let partial = partial(&cache, URL, &files());
    fill_all(&partial);
    let big = get(&partial, "a/big");
    let held = big.open().unwrap();
    partial.verify().unwrap();
    let home = parts(dir.path()).join(Key::of(URL).to_string());
    fs::remove_file(home.join("data/a/big")).unwrap();
    fs::write(home.join("data/planted"), "x").unwrap();
    assert!(matches!(partial.seal(), Err(Error::TooShort { .. })));
    assert!(big.complete().is_none());
    drop(held);
    fill_all(&partial);
    let Ok(Sealing::Sealed(sealed)) = partial.seal() else {
        panic!("it is back");
    };
    let bytes = fs::File::open(sealed.dir().join("a/big")).unwrap();
    let mut buf = vec![0; 100];
    bytes.read_exact_at(&mut buf, BLOCK).unwrap();
    assert_eq!(buf, data("a/big", BLOCK..BLOCK + 100));
    assert!(!sealed.dir().join("planted").exists());
}
