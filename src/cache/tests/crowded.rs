//! A cache that is full all the time: what comes at once, what lies about its size, what others have, and what died.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::evicting::{here, put_model, url};
use super::ranges::{OBJECT, fill, get, limited, partial, spec};
use super::*;
use crate::handle::Key;

const MIB: u64 = 1 << 20;
const KIB: u64 = 1 << 10;

fn put_small(cache: &Cache, name: &str) -> Result<Sealed, Error> {
    let Begin::Lead(lead) = cache.begin(&url(name))? else {
        panic!("{name} is there already");
    };
    let filling = lead.filling();
    let mut writer = filling.file("saved_model.pb", 20 * KIB, long_ago())?;
    writer.write(&vec![7; 20 << 10])?;
    writer.end()?;
    filling.names_known();
    lead.seal()
}

/// Each finds somebody to push out, whoever looks at the disk meanwhile.
#[test]
fn many_come_into_a_full_cache_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let cache = limited(dir.path(), 4 * MIB);
    for number in 0..190 {
        put_small(&cache, &format!("old-{number}")).unwrap();
    }
    let failed = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let (cache, failed) = (&cache, &failed);
            scope.spawn(move || {
                for number in 0..25 {
                    cache.look_again();
                    if put_small(cache, &format!("new-{worker}-{number}")).is_err() {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(failed.into_inner(), 0);
}

/// One wrong number in a manifest is not a reason to empty the cache.
#[test]
fn a_manifest_that_lies_about_its_size_pushes_nobody_out() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        put_model(&limited(dir.path(), 5 * MIB), name).unwrap();
    }
    for (from, to) in [
        ("1048576", "99999999999"),
        ("1048576", "18446744073709551615"),
    ] {
        put_model(&limited(dir.path(), 5 * MIB), "liar").unwrap();
        let manifest = dir
            .path()
            .join(format!(".tfhub-fs/v1/manifests/{}", Key::of(&url("liar"))));
        let text = std::fs::read_to_string(&manifest).unwrap();
        assert!(text.contains(from));
        std::fs::write(&manifest, text.replace(from, to)).unwrap();
        let cache = limited(dir.path(), 5 * MIB);
        Upkeep::of(&cache).tidy();
        put_model(&cache, "new").unwrap();
        assert_eq!(here(&cache, &["a", "b", "new"]), [true; 3]);
        for name in ["liar", "new"] {
            Upkeep::of(&cache)
                .remove(&Key::of(&url(name)), true)
                .unwrap()
                .unwrap();
        }
    }
}

/// Reading a model through takes long, and is no use of it.
#[test]
fn what_is_scrubbed_may_leave() {
    let dir = tempfile::tempdir().unwrap();
    let cache = limited(dir.path(), MIB + MIB / 2);
    put_model(&cache, "old").unwrap();
    let key = Key::of(&url("old"));
    let mut pieces = 0;
    Integrity::of(&cache)
        .scrub(&key, |_| {
            pieces += 1;
            put_model(&cache, "new").unwrap();
        })
        .unwrap();
    assert_eq!(pieces, 1);
    assert_eq!(here(&cache, &["old", "new"]), [false, true]);
}

/// The first reading-through of what others put here tells its checksums; the second finds a flipped bit.
#[test]
fn checksums_of_others_models_are_learned_slowly() {
    let (dir, cache) = cache();
    let at = dir.path().join(Key::of(URL).to_string());
    std::fs::create_dir(&at).unwrap();
    std::fs::write(at.join("saved_model.pb"), "graph").unwrap();
    Upkeep::of(&cache).record();
    let mut paced = 0;
    Integrity::of(&cache)
        .scrub(&Key::of(URL), |bytes| paced += bytes)
        .unwrap();
    assert_eq!(paced, 5);
    let file = at.join("saved_model.pb");
    let was = std::fs::metadata(&file).unwrap().modified().unwrap();
    std::fs::write(&file, "grapH").unwrap();
    let open = std::fs::File::options().write(true).open(&file).unwrap();
    open.set_modified(was).unwrap();
    drop(open);
    assert!(cache.sealed(URL).unwrap().is_some());
    Integrity::of(&cache).scrub(&Key::of(URL), |_| ()).unwrap();
    assert!(cache.sealed(URL).unwrap().is_none());
}

/// Parts that another process has open, or left later, are counted too.
#[test]
fn parts_of_other_processes_count() {
    let dir = tempfile::tempdir().unwrap();
    let ours = limited(dir.path(), 3 * MIB);
    put_model(&ours, "old").unwrap();
    let theirs = limited(dir.path(), 100 * MIB);
    let large = partial(&theirs, OBJECT, &[spec("big", 3 * MIB)]);
    assert!(fill(&get(&large, "big"), 0..3 * MIB));
    assert!(Upkeep::of(&ours).tidy() >= MIB, "it is too much now");
    assert_eq!(here(&ours, &["old"]), [false]);
    assert!(fill(&get(&large, "big"), 0..MIB), "what is open stays");
    drop(large);
    put_model(&ours, "new").unwrap();
    assert_eq!(here(&ours, &["new"]), [true]);
}

/// A process that lives on clears away after one that has died.
#[test]
fn what_died_is_cleared_away() {
    let (dir, cache) = cache();
    let key = Key::of(URL).to_string();
    let uid = "0".repeat(32);
    let staging = dir.path().join(format!("{key}.{uid}.tmp"));
    let own = |name: &str| -> PathBuf { dir.path().join(".tfhub-fs/v1").join(name) };
    let text = format!("{}.1.{uid}", crate::os::host::hostname());
    std::fs::create_dir(&staging).unwrap();
    std::fs::write(staging.join("part"), "x").unwrap();
    std::fs::write(own("locks").join(&key), &text).unwrap();
    std::fs::write(dir.path().join(format!("{key}.lock")), &text).unwrap();
    std::fs::create_dir(own("trash").join("left")).unwrap();
    Upkeep::of(&cache).tidy();
    assert_clean(dir.path());
}
