//! Models leave when others need their room: the longest unused first, whole, and never one that somebody needs.

use std::fs::File;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::ranges::{OBJECT, fill, fill_all, get, limited, partial, spec};
use super::*;
use crate::config::CacheSize;
use crate::handle::Key;

const MIB: u64 = 1 << 20;

pub(super) fn url(name: &str) -> String {
    format!("https://h/{name}/1")
}

/// Seals a model of about a MiB, as if it were unpacked.
pub(super) fn put_model(cache: &Cache, name: &str) -> Result<Sealed, Error> {
    let Begin::Lead(lead) = cache.begin(&url(name)).unwrap() else {
        panic!("{name} is there already");
    };
    let filling = lead.filling();
    let bytes = vec![7; MIB as usize];
    let mut writer = filling.file("saved_model.pb", MIB, long_ago())?;
    writer.write(&bytes)?;
    writer.end()?;
    filling.names_known();
    let sealed = lead.seal();
    // Times of use are told apart.
    sleep(Duration::from_millis(20));
    sealed
}

pub(super) fn here(cache: &Cache, names: &[&str]) -> Vec<bool> {
    let is_here = |name: &&str| cache.sealed(&url(name)).unwrap().is_some();
    names.iter().map(is_here).collect()
}

#[test]
fn the_longest_unused_leaves_and_stays_known() {
    let dir = tempfile::tempdir().unwrap();
    let cache = limited(dir.path(), 3 * MIB + MIB / 2);
    for name in ["a", "b", "c"] {
        put_model(&cache, name).unwrap();
    }
    cache.record_use(&url("a"));
    put_model(&cache, "d").unwrap();
    assert_eq!(
        here(&cache, &["a", "b", "c", "d"]),
        [true, false, true, true]
    );
    let outline = cache.file_tree(&url("b")).unwrap();
    assert_eq!(outline.bytes(), MIB);
    assert!(
        !dir.path()
            .join(format!("{}.descriptor.txt", Key::of(&url("b"))))
            .exists()
    );
    // After a restart too, and it may come back.
    let again = limited(dir.path(), 3 * MIB + MIB / 2);
    assert!(again.file_tree(&url("b")).is_some());
    put_model(&again, "b").unwrap();
    assert_eq!(
        here(&again, &["a", "b", "c", "d"]),
        [true, true, false, true]
    );
}

#[test]
fn what_is_open_or_pinned_stays_and_then_that_one_model_fails() {
    let dir = tempfile::tempdir().unwrap();
    let cache = limited(dir.path(), 2 * MIB + MIB / 2);
    let open = put_model(&cache, "open").unwrap();
    put_model(&cache, "pinned").unwrap();
    let held = File::open(open.dir().join("saved_model.pb")).unwrap();
    std::fs::write(
        dir.path()
            .join(format!(".tfhub-fs/v1/pins/{}", Key::of(&url("pinned")))),
        "",
    )
    .unwrap();
    let error = put_model(&cache, "new").unwrap_err();
    assert!(matches!(&error, Error::Full { .. }), "{error}");
    assert_eq!(
        here(&cache, &["open", "pinned", "new"]),
        [true, true, false]
    );
    drop(held);
    sleep(Duration::from_millis(1100)); // nobody is asked again for a second
    put_model(&cache, "new").unwrap();
    assert_eq!(
        here(&cache, &["open", "pinned", "new"]),
        [false, true, true]
    );
}

#[test]
fn asking_again_and_again_does_not_put_eviction_off() {
    let dir = tempfile::tempdir().unwrap();
    let cache = limited(dir.path(), MIB + MIB / 2);
    let open = put_model(&cache, "open").unwrap();
    let held = File::open(open.dir().join("saved_model.pb")).unwrap();
    assert!(matches!(put_model(&cache, "new"), Err(Error::Full { .. })));
    drop(held);
    let begun = Instant::now();
    while put_model(&cache, "new").is_err() {
        assert!(begun.elapsed() < Duration::from_secs(10), "never evicted");
        sleep(Duration::from_millis(50));
    }
    assert_eq!(here(&cache, &["open", "new"]), [false, true]);
}

#[test]
fn models_of_others_leave_only_when_told() {
    for evict_foreign in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let theirs = dir.path().join(Key::of(&url("theirs")).to_string());
        std::fs::create_dir(&theirs).unwrap();
        std::fs::write(theirs.join("saved_model.pb"), vec![1; MIB as usize]).unwrap();
        let options = Options {
            dir: Some(dir.path().to_owned()),
            limit: Some(CacheSize::Bytes(MIB + MIB / 2)),
            evict_foreign,
            ..Options::default()
        };
        let cache = Cache::with(&options).unwrap();
        Upkeep::of(&cache).tidy();
        sleep(Duration::from_millis(20));
        let put = put_model(&cache, "ours");
        assert_eq!(put.is_ok(), evict_foreign, "{put:?}");
        assert_eq!(
            here(&cache, &["theirs", "ours"]),
            [!evict_foreign, evict_foreign]
        );
    }
}

#[test]
fn streamed_models_push_older_ones_out_unless_they_never_fit() {
    let dir = tempfile::tempdir().unwrap();
    let cache = limited(dir.path(), 3 * MIB + MIB / 2);
    for name in ["a", "b", "c"] {
        put_model(&cache, name).unwrap();
    }
    let large = partial(&cache, OBJECT, &[spec("big", 64 * MIB)]);
    assert!(fill(&get(&large, "big"), 0..MIB));
    assert_eq!(here(&cache, &["a", "b", "c"]), [true; 3]);
    large.discard(std::sync::Arc::new(Error::Abandoned));
    let fits = partial(&cache, &url("d"), &[spec("saved_model.pb", MIB)]);
    fill_all(&fits);
    assert!(matches!(fits.seal(), Ok(Sealing::Sealed(_))));
    assert_eq!(
        here(&cache, &["a", "b", "c", "d"]),
        [false, true, true, true]
    );
}

#[test]
fn a_lower_limit_and_models_of_others_are_tidied_up() {
    let dir = tempfile::tempdir().unwrap();
    let cache = limited(dir.path(), 10 * MIB);
    for name in ["a", "b", "c"] {
        put_model(&cache, name).unwrap();
    }
    let lower = limited(dir.path(), MIB + MIB / 2);
    assert_eq!(Upkeep::of(&lower).tidy(), 2 * MIB);
    assert_eq!(here(&lower, &["a", "b", "c"]), [false, false, true]);
    assert_eq!(Upkeep::of(&lower).tidy(), 0);
}

#[test]
fn to_verify_or_to_mend_is_no_use() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        dir: Some(dir.path().to_owned()),
        evict_foreign: true,
        ..Options::default()
    };
    let cache = Cache::with(&options).unwrap();
    for name in ["a", "b", "c"] {
        let at = dir.path().join(Key::of(&url(name)).to_string());
        std::fs::create_dir(&at).unwrap();
        std::fs::write(at.join("saved_model.pb"), name).unwrap();
        cache.record_use(&url(name));
        sleep(Duration::from_millis(20));
    }
    let oldest = || {
        cache.look_again();
        cache.next_to_leave()[0]
    };
    assert_eq!(oldest(), Key::of(&url("a")));
    let verified = Integrity::of(&cache).verify(&Key::of(&url("a"))).unwrap();
    assert_eq!(verified, Verified::Recorded);
    assert_eq!(oldest(), Key::of(&url("a")));
    let file = dir
        .path()
        .join(Key::of(&url("a")).to_string())
        .join("saved_model.pb");
    File::options()
        .write(true)
        .open(file)
        .unwrap()
        .set_modified(long_ago())
        .unwrap();
    assert!(cache.mend(&url("a")).unwrap().is_some());
    assert_eq!(oldest(), Key::of(&url("a")));
}

#[test]
fn what_tensorflow_hub_left_is_recorded_and_judged_like_ours() {
    let (dir, cache) = cache();
    let at = dir.path().join(Key::of(URL).to_string());
    std::fs::create_dir(&at).unwrap();
    std::fs::write(at.join("saved_model.pb"), "graph").unwrap();
    std::fs::write(at.join("extra.txt"), "x").unwrap();
    cache.record_use(URL);
    std::fs::remove_file(at.join("extra.txt")).unwrap();
    assert!(cache.sealed(URL).unwrap().is_none(), "an asset is missing");
    assert_eq!(cache.file_tree(URL).unwrap().bytes(), 6);
    // Filled again by tensorflow_hub.
    std::fs::write(
        dir.path().join(format!("{}.descriptor.txt", Key::of(URL))),
        "Module: another",
    )
    .unwrap();
    assert!(cache.sealed(URL).unwrap().is_some());
}

/// A model that somebody copies here piece by piece, or links here from elsewhere, loses nothing.
#[test]
fn what_is_added_to_others_models_is_theirs() {
    for linked in [false, true] {
        let (dir, cache) = cache();
        let name = dir.path().join(Key::of(URL).to_string());
        let at = match linked {
            true => dir.path().join("elsewhere"),
            false => name.clone(),
        };
        std::fs::create_dir(&at).unwrap();
        std::fs::write(at.join("saved_model.pb"), "graph").unwrap();
        if linked {
            std::os::unix::fs::symlink(&at, &name).unwrap();
        }
        cache.record_use(URL);
        std::fs::create_dir(at.join("assets")).unwrap();
        std::fs::write(at.join("assets/vocab.txt"), "words").unwrap();
        std::os::unix::fs::symlink("/etc/hostname", at.join("link")).unwrap();
        assert!(cache.sealed(URL).unwrap().is_none(), "to be looked at");
        let sealed = cache.mend(URL).unwrap().unwrap();
        assert_eq!(sealed.bytes(), 10);
        assert!(cache.sealed(URL).unwrap().is_some());
        assert_eq!(names(&at), ["assets", "link", "saved_model.pb"]);
        let verified = Integrity::of(&cache).verify(&Key::of(URL)).unwrap();
        assert_eq!(verified, Verified::Recorded);
    }
}
