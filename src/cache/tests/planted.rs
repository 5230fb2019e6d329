//! What others who may write to the cache directory put there, to lead this process out of it.

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::PathBuf;

use super::super::layout::{Key, Layout};
use super::super::sealed::entry::{self, EntryState};
use super::super::sealed::manifest::Manifest;
use super::super::trash;
use super::*;

const OTHER: u32 = 65534;

/// A directory that nobody is to be led to, with one file.
struct Kept(tempfile::TempDir);

impl Kept {
    fn new() -> Kept {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("secret"), "secret").unwrap();
        Kept(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn is_as_it_was(&self) -> bool {
        names(self.path()) == ["secret"]
            && fs::read(self.path().join("secret")).unwrap() == b"secret"
    }
}

fn swap(at: &Path, to: &Path) {
    let away = at.with_extension("away");
    fs::rename(at, away).unwrap();
    symlink(to, at).unwrap();
}

fn own(root: &Path, name: &str) -> PathBuf {
    let state = root.join(".tfhub-fs");
    match name {
        "" => state,
        name => state.join(name),
    }
}

#[test]
fn a_trash_that_becomes_a_link_is_not_emptied() {
    for name in ["v1/trash", "v1", ""] {
        let (dir, kept) = (tempfile::tempdir().unwrap(), Kept::new());
        let layout = Layout::new(dir.path().to_path_buf());
        layout.prepare().unwrap();
        fs::write(layout.trash().join("old"), "").unwrap();
        fs::create_dir_all(kept.path().join("v1/trash")).unwrap();
        fs::write(kept.path().join("v1/trash/mine"), "").unwrap();
        let to = kept.path().join(match name {
            "v1" => "v1",
            "v1/trash" => "v1/trash",
            _ => "",
        });
        swap(&own(dir.path(), name), &to);
        trash::purge(&layout);
        assert!(kept.path().join("v1/trash/mine").exists(), "{name}");
        assert_eq!(names(&layout.trash()), [""; 0], "ours is emptied");
        assert!(layout.prepare().is_err(), "{name}");
    }
}

#[test]
fn nothing_is_written_through_a_swapped_state_directory() {
    let (dir, cache) = cache();
    let kept = Kept::new();
    let lead = lead(&cache);
    swap(&own(dir.path(), ""), kept.path());
    seal(lead);
    cache.record_use(URL);
    Pins::of(&cache).pin(URL, true).unwrap();
    assert!(kept.is_as_it_was());
    assert!(cache.sealed(URL).unwrap().is_some());
    assert!(cache.file_tree(URL).is_some(), "ours is still held");
    assert!(cache.begin("https://h/other/1").is_err());
}

#[test]
fn state_that_was_taken_away_and_made_again_is_found() {
    let (dir, cache) = cache();
    seal(lead(&cache));
    fs::remove_dir_all(own(dir.path(), "")).unwrap();
    assert!(cache.file_tree(URL).is_none());
    std::thread::sleep(Duration::from_millis(110)); // for as long it is believed to be there
    let second = Cache::open(dir.path()).unwrap();
    second.record_use(URL);
    assert!(second.file_tree(URL).is_some() && cache.file_tree(URL).is_some());
    assert_eq!(Inventory::of(&cache).items().len(), 1);
    Pins::of(&cache).pin(URL, true).unwrap();
    assert!(Inventory::of(&second).items()[0].pinned);
}

#[test]
fn state_of_another_user_makes_a_directory_one_that_is_read() {
    crate::os::testing::needs_root();
    for name in ["", "v1", "v1/trash", "v1/manifests"] {
        let dir = tempfile::tempdir().unwrap();
        let shared = dir.path().join("shared");
        seal(lead(&Cache::open(&shared).unwrap()));
        fs::write(own(&shared, "v1/trash/theirs"), "").unwrap();
        chown(own(&shared, name), Some(OTHER), None).unwrap();
        let Err(Error::NoCache { why }) = Cache::open(&shared) else {
            panic!("{name}");
        };
        let whose = format!("belongs to another user ({OTHER})");
        assert!(why.contains(&whose) && why.contains(".tfhub-fs"), "{why}");
        let options = Options {
            dir: Some(shared.clone()),
            private: Some(dir.path().join("private")),
            ..Options::default()
        };
        let cache = Cache::with(&options).unwrap();
        assert_eq!(cache.root().unwrap(), dir.path().join("private"));
        assert!(
            cache
                .sealed(URL)
                .unwrap()
                .unwrap()
                .dir()
                .starts_with(&shared)
        );
        assert!(own(&shared, "v1/trash/theirs").exists());
    }
}

#[test]
fn what_was_added_is_not_removed_through_a_link() {
    let (dir, cache) = cache();
    let kept = Kept::new();
    seal(lead(&cache));
    let (layout, key) = (Layout::new(dir.path().to_path_buf()), Key::of(URL));
    let assets = layout.model(&key).join("assets");
    fs::write(assets.join("secret"), "added").unwrap();
    let EntryState::Touched(touched) = entry::state(&layout, &key).unwrap() else {
        panic!("a name was added");
    };
    fs::rename(&assets, dir.path().join("away")).unwrap();
    symlink(kept.path(), &assets).unwrap();
    let flaw = touched.mend(&layout, &key).unwrap().unwrap_err();
    assert!(flaw.to_string().contains("assets/secret"), "{flaw}");
    assert!(kept.is_as_it_was());
    assert!(matches!(cache.begin(URL).unwrap(), Begin::Lead(_)));
    assert!(kept.is_as_it_was());
}

#[test]
fn a_directory_that_was_added_goes_with_what_is_in_it() {
    let (dir, cache) = cache();
    let sealed = seal(lead(&cache));
    fs::create_dir_all(sealed.dir().join("more/of/it")).unwrap();
    fs::write(sealed.dir().join("more/of/it/x"), "").unwrap();
    assert!(cache.mend(URL).unwrap().is_some());
    assert_eq!(names(sealed.dir()), ["assets", "saved_model.pb"]);
    assert_eq!(names(&own(dir.path(), "v1/trash")), [""; 0]);
}

/// A lead, and its staging directory.
fn staged() -> (tempfile::TempDir, Lead, PathBuf) {
    let (dir, cache) = cache();
    let lead = lead(&cache);
    let name = names(dir.path())
        .into_iter()
        .find(|name| name.ends_with(".tmp"));
    let staging = dir.path().join(name.unwrap());
    (dir, lead, staging)
}

#[test]
fn a_link_in_a_staging_directory_is_not_read() {
    let kept = Kept::new();
    let (_dir, lead, staging) = staged();
    for name in ["plain", "assets/secret"] {
        put(&lead.filling(), name, b"leader");
    }
    fs::remove_file(staging.join("plain")).unwrap();
    symlink(kept.path().join("secret"), staging.join("plain")).unwrap();
    swap(&staging.join("assets"), kept.path());
    for name in ["plain", "assets/secret"] {
        let found = file(&lead.filling(), name);
        assert!(found.open().is_err(), "{name}");
    }
}

#[test]
fn nothing_is_unpacked_through_a_link() {
    let kept = Kept::new();
    let (_dir, lead, staging) = staged();
    symlink(kept.path(), staging.join("assets")).unwrap();
    let filling = lead.filling();
    for name in ["assets/new", "assets/secret"] {
        assert!(filling.file(name, 1, long_ago()).is_err(), "{name}");
    }
    put(&filling, "saved_model.pb", b"graph");
    filling.dir("assets/deep", long_ago()).unwrap();
    filling.names_known();
    assert!(lead.seal().is_err());
    assert!(kept.is_as_it_was());
}

#[test]
fn a_lock_that_names_a_link_is_not_counted_through() {
    let (dir, cache) = cache();
    let kept = Kept::new();
    crate::os::testing::needs_root();
    let (key, uid) = (Key::of(URL), "0".repeat(32));
    fs::write(
        dir.path().join(format!("{key}.lock")),
        format!("elsewhere.1.{uid}"),
    )
    .unwrap();
    let staging = dir.path().join(format!("{key}.{uid}.tmp"));
    symlink(kept.path(), &staging).unwrap();
    std::os::unix::fs::lchown(&staging, Some(OTHER), None).unwrap();
    assert_eq!(busy(&cache).grown, 0);
}

#[test]
fn a_manifest_is_not_read_through_a_link_where_nothing_is_written() {
    let (dir, cache) = cache();
    seal(lead(&cache));
    let layout = Layout::as_it_is(dir.path().to_path_buf());
    let key = Key::of(URL);
    assert!(Manifest::read(&layout, &key).is_some());
    swap(&own(dir.path(), "v1"), &own(dir.path(), "v1.away"));
    let layout = Layout::as_it_is(dir.path().to_path_buf());
    assert!(Manifest::read(&layout, &key).is_none());
}
