//! A cache directory that is not ours to write, and a private one above it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;

use super::super::layout::Key;
use super::*;

const OTHER: &str = "https://tfhub.dev/google/y/1";

/// Somebody else's cache with one model, and the place of a private one.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let dir = tempfile::tempdir().unwrap();
        let place = Place { dir };
        seal(lead(&Cache::open(&place.lower()).unwrap()));
        place
    }

    fn lower(&self) -> PathBuf {
        self.dir.path().join("lower")
    }

    fn model(&self) -> PathBuf {
        self.lower().join(Key::of(URL).to_string())
    }

    /// Root may write everywhere and should not; other users cannot.
    fn give_away(&self) {
        match crate::os::own::uid() {
            0 => chown(self.lower(), Some(12345), None).unwrap(),
            _ => fs::set_permissions(self.lower(), PermissionsExt::from_mode(0o555)).unwrap(),
        }
    }

    fn open(&self) -> Cache {
        Cache::with(&Options {
            dir: Some(self.lower()),
            private: Some(self.dir.path().join("private")),
            ..Options::default()
        })
        .unwrap()
    }

    /// Every name below the other's cache, with its inode and times.
    fn seen(&self) -> BTreeMap<PathBuf, (u64, i64, i64)> {
        let mut seen = BTreeMap::new();
        let mut left = vec![self.lower()];
        while let Some(path) = left.pop() {
            let meta = fs::symlink_metadata(&path).unwrap();
            if meta.is_dir() {
                left.extend(fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
            }
            seen.insert(path, (meta.ino(), meta.mtime_nsec(), meta.ctime_nsec()));
        }
        seen
    }
}

fn begin(cache: &Cache, url: &str) -> Lead {
    match cache.begin(url).unwrap() {
        Begin::Lead(lead) => lead,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_there_is_served_and_what_is_missing_is_kept_above() {
    let place = Place::new();
    place.give_away();
    let before = place.seen();
    let cache = place.open();
    let sealed = cache.sealed(URL).unwrap().unwrap();
    assert_eq!(sealed.dir(), place.model());
    assert!(matches!(cache.begin(URL).unwrap(), Begin::Sealed(_)));
    let above = seal(begin(&cache, OTHER));
    assert!(above.dir().starts_with(place.dir.path().join("private")));
    cache.record_use(URL);
    Upkeep::of(&cache).tidy();
    Pins::of(&cache).pin(URL, true).unwrap();
    let handles: Vec<String> = Inventory::of(&cache)
        .items()
        .into_iter()
        .map(|item| item.handle)
        .collect();
    assert_eq!(handles, [URL, OTHER]);
    assert_eq!(Inventory::of(&cache).keys_known().len(), 2);
    assert_eq!(Inventory::of(&cache).handle_of(&Key::of(URL)).unwrap(), URL);
    assert_eq!(cache.file_tree(URL).unwrap().bytes(), 10);
    assert_eq!(place.seen(), before, "nothing was written");
}

#[test]
fn what_is_damaged_there_is_fetched_to_the_directory_above() {
    let place = Place::new();
    fs::write(place.model().join("saved_model.pb"), "gr").unwrap();
    place.give_away();
    let before = place.seen();
    let cache = place.open();
    assert!(cache.sealed(URL).unwrap().is_none());
    assert!(cache.mend(URL).unwrap().is_none());
    seal(begin(&cache, URL));
    let sealed = cache.sealed(URL).unwrap().unwrap();
    assert!(sealed.dir().starts_with(place.dir.path().join("private")));
    assert_eq!(Inventory::of(&cache).items().len(), 1, "ours is listed");
    assert_eq!(place.seen(), before);
}

#[test]
fn times_that_were_rounded_are_no_damage() {
    let place = Place::new();
    let file = fs::File::options()
        .write(true)
        .open(place.model().join("saved_model.pb"));
    file.unwrap()
        .set_modified(long_ago() + Duration::from_secs(9))
        .unwrap();
    place.give_away();
    let cache = place.open();
    assert!(cache.sealed(URL).unwrap().is_none(), "to be read first");
    assert!(cache.mend(URL).unwrap().is_some());
    assert!(cache.sealed(URL).unwrap().is_some());
}

#[test]
fn bytes_that_are_others_there_are_not_served() {
    let place = Place::new();
    fs::write(place.model().join("saved_model.pb"), "grapH").unwrap();
    place.give_away();
    let cache = place.open();
    assert!(cache.mend(URL).unwrap().is_none());
    assert!(cache.sealed(URL).unwrap().is_none());
    seal(begin(&cache, URL));
    let sealed = cache.sealed(URL).unwrap().unwrap();
    assert!(sealed.dir().starts_with(place.dir.path().join("private")));
}

#[test]
fn without_a_private_directory_the_rest_is_streamed() {
    let place = Place::new();
    place.give_away();
    fs::write(place.dir.path().join("private"), "a file").unwrap();
    let cache = place.open();
    assert!(cache.sealed(URL).unwrap().is_some());
    let Err(Error::NoCache { why }) = cache.begin(OTHER) else {
        panic!("there is no place for it");
    };
    assert!(why.contains("lower"), "{why}");
}

#[test]
fn what_cannot_be_a_directory_at_all_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    for chosen in [file.clone(), file.join("below")] {
        let options = Options {
            dir: Some(chosen),
            private: Some(dir.path().join("private")),
            ..Options::default()
        };
        let cache = Cache::with(&options).unwrap();
        assert_eq!(cache.root().unwrap(), dir.path().join("private"));
    }
    assert_eq!(fs::read(&file).unwrap(), b"");
}

/// What is said of a model there is true, and nothing is done to it.
#[test]
fn what_is_there_is_verified_and_stays() {
    use super::super::layout::Layout;
    let place = Place::new();
    let key = Key::of(URL);
    place.give_away();
    let before = place.seen();
    let cache = place.open();
    assert_eq!(cache.below(), Some(&*place.lower()));
    assert_eq!(Integrity::of(&cache).verify(&key).unwrap(), Verified::Right);
    assert_eq!(
        Integrity::of(&cache).verify(&Key::of(OTHER)).unwrap(),
        Verified::Absent
    );
    for forget in [true, false] {
        assert_eq!(
            Upkeep::of(&cache).remove(&key, forget).unwrap(),
            Err(Stays::NotOurs)
        );
    }
    assert!(Integrity::of(&cache).ready(&key).unwrap().is_ok());
    // Pinned by us, it is still theirs.
    Pins::of(&cache).pin(URL, true).unwrap();
    let item = Inventory::of(&cache).items().remove(0);
    assert!(
        item.pinned && !item.ours && item.state == ModelStatus::Sealed,
        "{item:?}"
    );
    assert_eq!(
        Upkeep::of(&cache).remove(&key, true).unwrap(),
        Err(Stays::NotOurs)
    );
    assert!(!Inventory::of(&cache).items()[0].pinned, "the pin was ours");
    assert_eq!(place.seen(), before);
    // Without its manifest nobody knows what its bytes should be.
    crate::os::testing::needs_root();
    let layout = Layout::new(place.lower());
    fs::remove_file(layout.manifest(&key)).unwrap();
    assert_eq!(
        Integrity::of(&cache).verify(&key).unwrap(),
        Verified::Unrecorded
    );
    fs::remove_file(place.model().join("saved_model.pb")).unwrap();
    assert!(matches!(
        Integrity::of(&cache).verify(&key).unwrap(),
        Verified::Wrong(_)
    ));
    assert!(place.model().exists());
}
