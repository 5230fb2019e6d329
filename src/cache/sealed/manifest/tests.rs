//! What a manifest says, and of what.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use super::super::super::layout::{Key, Layout};
use super::*;
use std::os::unix::fs::symlink;
use std::path::Path;

const URL: &str = "https://h/a/1";

fn model(dir: &Path) -> (Layout, Key, Sealed) {
    let layout = Layout::new(dir.to_path_buf());
    layout.prepare().unwrap();
    let key = Key::of(URL);
    let at = layout.model(&key);
    std::fs::create_dir_all(at.join("variables")).unwrap();
    std::fs::create_dir_all(at.join("assets")).unwrap();
    std::fs::write(at.join("saved_model.pb"), "graph").unwrap();
    std::fs::write(at.join("variables/odd\n\"name"), "abc").unwrap();
    let sealed = Sealed::load(at).unwrap();
    (layout, key, sealed)
}

#[test]
fn a_manifest_speaks_of_its_own_fill_only() {
    let dir = tempfile::tempdir().unwrap();
    let (layout, key, sealed) = model(dir.path());
    assert_eq!(Manifest::current(&layout, &key), None);
    let manifest = Manifest::of(URL, State::Sealed, "first", &sealed);
    manifest.write(&layout, &key).unwrap();
    let current = Manifest::current(&layout, &key);
    assert_eq!(
        current.as_ref(),
        Some(&manifest),
        "the descriptor may be gone"
    );
    std::fs::write(layout.descriptor(&key), "first").unwrap();
    assert_eq!(Manifest::current(&layout, &key), Some(manifest.clone()));
    std::fs::write(layout.descriptor(&key), "second").unwrap();
    assert_eq!(Manifest::current(&layout, &key), None);
    assert_eq!(Manifest::read(&layout, &key), Some(manifest));
}

#[test]
fn what_is_no_manifest_says_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (layout, key, sealed) = model(dir.path());
    let good = Manifest::of(URL, State::Sealed, "d", &sealed);
    let line = good.files["saved_model.pb"];
    let with = |handle: &str, name: &str| Manifest {
        handle: handle.to_owned(),
        files: BTreeMap::from([(name.to_owned(), line)]),
        ..good.clone()
    };
    for (bad, what) in [
        (with("https://h/other/1", "x"), "another handle"),
        (with(URL, "../x"), "a name that leads out"),
        (with(URL, "x\0y"), "a name that no file has"),
        (with(URL, &"a/".repeat(3000)), "a path that is too long"),
        (with(URL, "/x"), "an absolute name"),
        (
            Manifest {
                files: BTreeMap::new(),
                ..good.clone()
            },
            "no files",
        ),
    ] {
        bad.write(&layout, &key).unwrap();
        assert_eq!(Manifest::read(&layout, &key), None, "{what}");
    }
    for garbage in ["", "{", "[]", "{\"handle\":1}"] {
        std::fs::write(layout.manifest(&key), garbage).unwrap();
        assert_eq!(Manifest::read(&layout, &key), None, "{garbage}");
    }
    let nested = Manifest {
        files: BTreeMap::from([("a".into(), line), ("a/b".into(), line)]),
        ..good
    };
    assert!(nested.file_tree().is_none());
}

#[test]
fn every_change_is_seen() {
    let lost = |name: &str| Change {
        lost: Some(name.to_owned()),
        ..Change::default()
    };
    let added = |name: &str| Change {
        added: vec![name.into()],
        ..Change::default()
    };
    let touched = Change {
        touched: vec!["saved_model.pb".to_owned()],
        ..Change::default()
    };
    type Damage = fn(&Path);
    let damages: [(Damage, Change); 8] = [
        (|_| {}, Change::default()),
        (
            |at| std::fs::remove_file(at.join("saved_model.pb")).unwrap(),
            lost("saved_model.pb"),
        ),
        (
            |at| std::fs::write(at.join("saved_model.pb"), "grap").unwrap(),
            lost("saved_model.pb"),
        ),
        (
            |at| std::fs::remove_dir(at.join("assets")).unwrap(),
            lost("assets"),
        ),
        (
            |at| std::fs::write(at.join("variables/new"), "").unwrap(),
            added("variables/new"),
        ),
        (
            |at| std::fs::create_dir(at.join("more")).unwrap(),
            added("more"),
        ),
        (
            |at| symlink("/etc/passwd", at.join("link")).unwrap(),
            added("link"),
        ),
        (
            |at| {
                let file = std::fs::File::options();
                let file = file.clone().write(true).open(at.join("saved_model.pb"));
                file.unwrap().set_modified(UNIX_EPOCH).unwrap();
            },
            touched,
        ),
    ];
    for (damage, want) in damages {
        let dir = tempfile::tempdir().unwrap();
        let (_, _, sealed) = model(dir.path());
        let manifest = Manifest::of(URL, State::Sealed, "d", &sealed);
        damage(sealed.dir());
        let now = Sealed::load(sealed.dir().to_owned()).unwrap();
        assert_eq!(manifest.change(&now), want);
    }
}

#[test]
fn names_are_known_without_the_model() {
    let dir = tempfile::tempdir().unwrap();
    let (layout, key, sealed) = model(dir.path());
    let manifest = Manifest::of(URL, State::Sealed, "d", &sealed);
    manifest.write(&layout, &key).unwrap();
    let outline = Manifest::read(&layout, &key).unwrap().file_tree().unwrap();
    for dir in ["", "variables", "assets"] {
        assert_eq!(outline.children(dir), sealed.children(dir), "{dir}");
        assert_eq!(outline.find(dir), sealed.find(dir), "{dir}");
    }
    assert_eq!((outline.bytes(), manifest.bytes()), (8, 8));
}

#[test]
fn times_before_and_after_1970_come_back() {
    for nanos_then in [0, 1, -1, 1_700_000_000_123_456_789, -5_000_000_000] {
        assert_eq!(nanos(time(nanos_then)), nanos_then);
    }
    assert_eq!(
        nanos(UNIX_EPOCH + Duration::from_secs(20_000_000_000)),
        i64::MAX
    );
}

#[test]
fn names_that_would_take_all_memory_are_no_manifest() {
    let dir = tempfile::tempdir().unwrap();
    let (layout, key, sealed) = model(dir.path());
    let mut manifest = Manifest::of(URL, State::Sealed, "d", &sealed);
    let line = manifest.files["saved_model.pb"];
    for number in 0..20 {
        let path = format!("{}{number}", "a/".repeat(2000));
        manifest.files.insert(path, line);
    }
    manifest.write(&layout, &key).unwrap();
    assert_eq!(Manifest::read(&layout, &key), None);
}
