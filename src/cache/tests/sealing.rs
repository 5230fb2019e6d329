//! How a filling becomes a model, and what counts as one afterwards.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Arc;

use crate::hubdir::Descriptor;

use super::super::layout::{Key, Layout};
use super::*;

fn entry(cache: &Cache) -> std::path::PathBuf {
    Layout::new(cache.root().unwrap().to_path_buf()).model(&Key::of(URL))
}

#[test]
fn a_sealed_model_is_what_tensorflow_hub_would_have_left() {
    let (dir, cache) = cache();
    let lead = lead(&cache);
    lead.filling().dir("assets", long_ago()).unwrap();
    lead.filling().dir("", long_ago()).unwrap();
    let sealed = seal(lead);
    let key = Key::of(URL).to_string();
    assert_eq!(
        names(dir.path()),
        [key.clone(), format!("{key}.descriptor.txt")]
    );
    assert_eq!(names(sealed.dir()), ["assets", "saved_model.pb"]);
    assert_eq!(
        fs::read(sealed.dir().join("assets/vocab.txt")).unwrap(),
        b"words"
    );
    for path in ["", "assets", "assets/vocab.txt", "saved_model.pb"] {
        let mtime = fs::metadata(sealed.dir().join(path))
            .unwrap()
            .modified()
            .unwrap();
        assert_eq!(mtime, long_ago(), "{path:?}");
    }
    let text = fs::read_to_string(dir.path().join(format!("{key}.descriptor.txt"))).unwrap();
    let descriptor = Descriptor::parse(&text).unwrap();
    assert_eq!(
        (descriptor.handle.as_str(), descriptor.pid),
        (URL, std::process::id())
    );
    assert!(!text.ends_with('\n'));
    for (path, mode) in [("saved_model.pb", 0o644), ("assets", 0o755)] {
        let got = fs::metadata(sealed.dir().join(path))
            .unwrap()
            .permissions()
            .mode()
            & 0o777;
        assert_eq!(got & !mode, 0, "{path}: {got:o}");
    }
    assert_eq!(Inventory::of(&cache).handle_of(&Key::of(URL)).unwrap(), URL);
    assert_eq!(cache.sealed(URL).unwrap().unwrap().bytes(), 10);
    assert!(
        cache
            .sealed("https://tfhub.dev/google/x/2")
            .unwrap()
            .is_none()
    );
    assert!(matches!(cache.begin(URL).unwrap(), Begin::Sealed(_)));
}

#[test]
fn readers_of_the_filling_read_on_after_the_seal() {
    let (_dir, cache) = cache();
    let lead = lead(&cache);
    let filling = lead.filling();
    seal(lead);
    let vocab = file(&filling, "assets/vocab.txt");
    let mut buf = [0; 5];
    assert!(matches!(vocab.read_at(0, &mut buf), ReadAt::Ready(5)) && &buf == b"words");
    filling.fail(Arc::new(Error::Abandoned));
    assert!(
        matches!(vocab.read_at(0, &mut buf), ReadAt::Ready(5)),
        "what is sealed cannot fail"
    );
}

#[test]
fn nothing_incomplete_is_sealed() {
    type Case = (fn(&Filling), fn(&Error) -> bool);
    let cases: [Case; 4] = [
        (
            |f| put(f, "saved_model.pb", b"x"),
            |e| matches!(e, Error::NamesOpen { .. }),
        ),
        (|f| f.names_known(), |e| matches!(e, Error::Empty { .. })),
        (
            |f| {
                f.dir("variables", long_ago()).unwrap();
                f.names_known();
            },
            |e| matches!(e, Error::Empty { .. }),
        ),
        (
            |f| {
                f.file("saved_model.pb", 2, long_ago())
                    .unwrap()
                    .write(b"x")
                    .unwrap();
                f.names_known();
            },
            |e| {
                matches!(
                    e,
                    Error::TooShort {
                        size: 2,
                        got: 1,
                        ..
                    }
                )
            },
        ),
    ];
    let (dir, cache) = cache();
    for (fill, expected) in cases {
        let lead = lead(&cache);
        let filling = lead.filling();
        fill(&filling);
        let Err(Error::Failed(why)) = lead.seal() else {
            panic!("sealed")
        };
        assert!(why.downcast_ref::<Error>().is_some_and(expected), "{why}");
        assert_eq!(
            filling.failure().unwrap().to_string(),
            why.to_string(),
            "readers are told the same"
        );
        assert_clean(dir.path());
    }
}

#[test]
fn a_dropped_lead_leaves_nothing_and_tells_its_readers() {
    let (dir, cache) = cache();
    let lead = lead(&cache);
    let filling = lead.filling();
    put(&filling, "a/b/c", b"x");
    drop(lead);
    assert!(
        matches!(filling.find("a"), Found::Failed(why) if why.to_string().contains("abandoned"))
    );
    assert_clean(dir.path());
}

#[test]
fn a_half_deleted_model_of_ours_is_noticed_whatever_is_missing() {
    for lost in ["saved_model.pb", "assets/vocab.txt"] {
        let (dir, cache) = cache();
        let path = seal(lead(&cache)).dir().join(lost);
        fs::remove_file(path).unwrap();
        assert!(cache.sealed(URL).unwrap().is_none(), "{lost}");
        seal(lead(&cache));
        assert!(cache.sealed(URL).unwrap().is_some());
        assert_eq!(names(&dir.path().join(".tfhub-fs/v1/trash")), [""; 0]);
    }
}

#[test]
fn a_truncated_file_of_ours_is_noticed() {
    let (_dir, cache) = cache();
    let dir = seal(lead(&cache)).dir().to_path_buf();
    fs::write(dir.join("assets/vocab.txt"), "word").unwrap();
    assert!(cache.sealed(URL).unwrap().is_none());
    assert!(matches!(cache.begin(URL).unwrap(), Begin::Lead(_)));
}

#[test]
fn a_stray_file_is_removed_and_the_model_stays() {
    let (_dir, cache) = cache();
    let dir = seal(lead(&cache)).dir().to_path_buf();
    fs::write(dir.join("notes"), "mine").unwrap();
    fs::create_dir(dir.join("more")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", dir.join("link")).unwrap();
    assert!(cache.sealed(URL).unwrap().is_none());
    assert!(matches!(cache.begin(URL).unwrap(), Begin::Sealed(_)));
    assert_eq!(names(&dir), ["assets", "saved_model.pb"]);
    assert!(cache.sealed(URL).unwrap().is_some());
    assert!(std::path::Path::new("/etc/passwd").exists());
}

#[test]
fn a_file_with_another_time_is_read_and_judged_by_its_bytes() {
    let (_dir, cache) = cache();
    let dir = seal(lead(&cache)).dir().to_path_buf();
    for (bytes, right) in [("words", true), ("wordz", false)] {
        fs::write(dir.join("assets/vocab.txt"), bytes).unwrap();
        assert!(cache.sealed(URL).unwrap().is_none());
        let begun = cache.begin(URL).unwrap();
        assert_eq!(matches!(begun, Begin::Sealed(_)), right, "{bytes}");
        drop(begun);
        assert_eq!(cache.sealed(URL).unwrap().is_some(), right, "{bytes}");
    }
}

#[test]
fn an_archive_of_other_files_is_a_model_if_we_sealed_it() {
    let (_dir, cache) = cache();
    let lead = lead(&cache);
    put(&lead.filling(), "README", b"no model at all");
    lead.filling().names_known();
    lead.seal().unwrap();
    assert!(cache.sealed(URL).unwrap().is_some());
    // tensorflow_hub fills it again: our record is not about that.
    fs::write(
        cache
            .root()
            .unwrap()
            .join(format!("{}.descriptor.txt", Key::of(URL))),
        "Module: x",
    )
    .unwrap();
    assert!(cache.sealed(URL).unwrap().is_none());
    fs::write(entry(&cache).join("saved_model.pb"), "x").unwrap();
    fs::remove_file(entry(&cache).join("README")).unwrap();
    assert!(cache.sealed(URL).unwrap().is_some());
}

#[test]
fn entries_of_tensorflow_hub_are_found_and_its_remains_replaced() {
    let (dir, cache) = cache();
    let path = entry(&cache);
    fs::create_dir(&path).unwrap();
    drop(lead(&cache)); // an empty directory is no model
    assert!(!path.exists());
    fs::create_dir_all(path.join("variables")).unwrap();
    fs::create_dir_all(path.join("assets")).unwrap();
    assert!(cache.sealed(URL).unwrap().is_none());
    drop(lead(&cache));
    assert_clean(dir.path());
    fs::create_dir(&path).unwrap();
    fs::write(path.join("saved_model.pb"), "x").unwrap();
    assert!(matches!(cache.begin(URL).unwrap(), Begin::Sealed(_)));
}

#[test]
fn a_file_in_a_models_place_is_an_error_by_name() {
    let (_dir, cache) = cache();
    let path = entry(&cache);
    fs::write(&path, "x").unwrap();
    for error in [
        cache.begin(URL).map(drop).unwrap_err(),
        cache.sealed(URL).map(drop).unwrap_err(),
    ] {
        assert!(
            matches!(&error, Error::NotADirectory { path: p } if *p == path),
            "{error}"
        );
    }
    fs::remove_file(&path).unwrap();
    symlink("nowhere", &path).unwrap();
    assert!(matches!(cache.begin(URL), Err(Error::NotADirectory { .. })));
}

#[test]
fn a_link_to_a_model_counts_and_what_it_points_to_is_never_deleted() {
    let (dir, cache) = cache();
    let elsewhere = dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("saved_model.pb"), "x").unwrap();
    symlink(&elsewhere, entry(&cache)).unwrap();
    assert!(cache.sealed(URL).unwrap().is_some());
    fs::rename(elsewhere.join("saved_model.pb"), elsewhere.join("other")).unwrap();
    drop(lead(&cache));
    assert!(elsewhere.join("other").exists() && !entry(&cache).exists());
}

#[test]
fn who_loses_the_rename_drops_its_copy() {
    let (dir, cache) = cache();
    let lead = lead(&cache);
    put(&lead.filling(), "saved_model.pb", b"ours");
    lead.filling().names_known();
    fs::create_dir(entry(&cache)).unwrap();
    fs::write(entry(&cache).join("saved_model.pb"), "theirs").unwrap();
    let sealed = lead.seal().unwrap();
    assert_eq!(
        fs::read(sealed.dir().join("saved_model.pb")).unwrap(),
        b"theirs"
    );
    assert_eq!(
        names(dir.path()),
        [Key::of(URL).to_string()],
        "not even a descriptor of ours"
    );
    assert!(cache.sealed(URL).unwrap().is_some());
}

#[test]
fn remains_that_appear_before_the_rename_make_way() {
    let (_dir, cache) = cache();
    let lead = lead(&cache);
    fs::create_dir_all(entry(&cache).join("variables")).unwrap();
    assert_eq!(seal(lead).bytes(), 10);
    assert!(cache.sealed(URL).unwrap().is_some());
}

#[test]
fn many_files_are_sealed_too() {
    let (_dir, cache) = cache();
    let lead = lead(&cache);
    for number in 0..100 {
        put(&lead.filling(), &format!("d{}/f{number}", number % 3), b"x");
    }
    lead.filling().names_known();
    assert_eq!(lead.seal().unwrap().bytes(), 100);
    assert_eq!(
        cache
            .sealed(URL)
            .unwrap()
            .unwrap()
            .children("d0")
            .unwrap()
            .len(),
        34
    );
}
