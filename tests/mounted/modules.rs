//! `.tfhub_modules`, catalogs, and crawlers.

use std::path::Path;

use crate::common::{
    Mount, Mounting, SOON, Tar, assert_errno, eventually, program, run_with, saved_model, sha1_of,
};
use crate::origin::{Hop, Origin};

const X: &str = "https://tfhub.dev/google/x/1";

fn link(handle: &str) -> String {
    format!(".tfhub_modules/{}", sha1_of(handle))
}

#[track_caller]
fn target(mount: &Mount, handle: &str) -> String {
    let target = mount.on(&link(handle), std::fs::read_link);
    target.unwrap().to_str().unwrap().to_owned()
}

/// As most editors and deployment tools do it.
fn replace(file: &Path, text: &str) {
    let next = file.with_extension("next");
    std::fs::write(&next, text).unwrap();
    std::fs::rename(&next, file).unwrap();
}

/// What was opened, in whichever spelling, is found under tensorflow_hub's name for that spelling; a mirror changes nothing.
#[test]
fn opened_models_have_the_names_that_tensorflow_hub_gives_them() {
    let origin = Origin::start();
    let model = saved_model(1, 5_000);
    origin.publish("google/x/1", Tar::of(&model).gz());
    let mount = Mounting::of(&origin).start();
    assert_eq!(mount.list("").unwrap(), [".tfhub_modules"]);
    assert!(mount.list(".tfhub_modules").unwrap().is_empty());
    assert_errno(mount.stat(&link(X)), libc::ENOENT);
    assert_errno(mount.stat(&format!("{}.lock", link(X))), libc::ENOENT);
    assert!(origin.seen().is_empty(), "an unknown name asks nobody");
    mount
        .stat("https://tfhub.dev/google/x/1?tf-hub-format=compressed")
        .unwrap();
    for ending in ["", "/", "?tfhub-redirect=true", "?tf-hub-format=compressed"] {
        let spelled = format!("{X}{ending}");
        assert_eq!(target(&mount, &spelled), "../google/x/1", "{spelled}");
    }
    assert_errno(mount.stat(&link(&format!("{X}?other=1"))), libc::ENOENT);
    let root = link(X);
    mount.on(&root, move |root| model.assert_at(&root));
    assert_errno(
        mount.on(&format!("{}.lock", link(X)), |path| {
            std::fs::write(path, "x")
        }),
        libc::EROFS,
    );
    let sealed = mount.cache.join(sha1_of(X));
    eventually("the model is sealed", SOON, || sealed.is_dir());
    let cache = mount.cache.clone();
    drop(origin);
    // What is cached has its name in the next mount at once, and in one that was there before it was cached.
    let next = Mounting::bare().cache(&cache).start();
    assert_eq!(next.real(&link(X)).unwrap(), "google/x/1");
    assert!(
        next.list(&link(X))
            .unwrap()
            .contains(&"saved_model.pb".to_owned())
    );
}

/// A catalog shows models before they are asked for, and again when it changes; `prefetch` has them fetched.
#[test]
fn a_catalog_is_shown_read_again_and_fetched() {
    let origin = Origin::start();
    let models = [1, 2].map(|seed| saved_model(seed, 5_000));
    origin.publish("google/x/1", Tar::of(&models[0]).gz());
    origin.publish("google/y/2", Tar::of(&models[1]).gz());
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("catalog");
    std::fs::write(&file, format!("# ours\n{X}?tfhub-redirect=true#top\n")).unwrap();
    let mount = Mounting::of(&origin)
        .env("TFHUB_FS_CATALOG", file.to_str().unwrap())
        .start();
    assert_eq!(mount.list("google").unwrap(), ["x"]);
    assert_eq!(mount.list(".tfhub_modules").unwrap().len(), 2);
    assert_eq!(target(&mount, X), "../google/x/1");
    assert_eq!(
        target(&mount, &format!("{X}?tfhub-redirect=true#top")),
        "../google/x/1"
    );
    assert!(origin.seen().is_empty(), "a catalog asks nobody");
    let y = "https://tfhub.dev/google/y/2";
    let nowhere = "https://tfhub.dev/google/nowhere/3";
    replace(&file, &format!("{nowhere} prefetch\n{y} prefetch pin\n"));
    eventually("the new catalog is listed", SOON, || {
        mount.list("google").unwrap() == ["nowhere", "y"]
    });
    let sealed = mount.cache.join(sha1_of(y));
    eventually("what is marked is fetched", SOON, || sealed.is_dir());
    let pin = mount
        .cache
        .join(format!(".tfhub-fs/v1/pins/{}", sha1_of(y)));
    assert!(pin.exists(), "and pinned");
    eventually("a failure is told", SOON, || {
        mount.log().contains("google/nowhere/3")
    });
    let told = mount.log().matches("cannot be fetched").count();
    assert_eq!(told, 1, "{}", mount.log());
    // The kernel may have looked it up a moment ago.
    eventually("the old catalog's link is gone", SOON, || {
        mount.stat(&link(X)).is_err()
    });
    assert_errno(mount.stat(&link(X)), libc::ENOENT);
    replace(&file, "tfhub.dev/google/z/1\n");
    eventually("a bad line is told", SOON, || {
        mount.log().contains(&format!("{}:1: ", file.display()))
    });
    std::fs::remove_file(&file).unwrap();
    eventually("its absence is told", SOON, || {
        mount.log().contains("cannot read ")
    });
    assert_eq!(mount.list("google").unwrap(), ["nowhere", "y"]);
    replace(&file, X);
    eventually("it is read when it is back", SOON, || {
        mount.list("google").unwrap() == ["x", "y"]
    });
    let warned = mount.log().matches("the catalog stays as it was").count();
    assert_eq!(warned, 2, "each change is told once: {}", mount.log());
    eventually("what is not marked any more is let go", SOON, || {
        !pin.exists()
    });
}

/// `prefetch --catalog` fetches what the catalog marks, and pins what it marks.
#[test]
fn a_catalog_is_prefetched_without_a_mount() {
    let origin = Origin::start();
    origin.publish("google/x/1", Tar::of(&saved_model(1, 5_000)).gz());
    let dir = tempfile::tempdir().unwrap();
    let (file, cache) = (dir.path().join("catalog"), dir.path().join("cache"));
    let prefetch = || {
        let mut command = program(["prefetch", "--catalog"]);
        command.arg(&file).arg("--cache-dir").arg(&cache);
        let mirror = format!("https://tfhub.dev={}", origin.url(Hop::Hub));
        command.arg("--mirror").arg(mirror);
        run_with(command)
    };
    let other = "https://tfhub.dev/google/other/1";
    std::fs::write(&file, format!("{X} prefetch\n{other} pin\n")).unwrap();
    let outcome = prefetch();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let sealed = cache.join(sha1_of(X));
    assert_eq!(Path::new(outcome.stdout.trim_end()), sealed);
    let pinned = |handle| cache.join(format!(".tfhub-fs/v1/pins/{}", sha1_of(handle)));
    assert!(pinned(other).exists() && !pinned(X).exists());
    std::fs::write(&file, other).unwrap();
    let outcome = prefetch();
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(outcome.stderr.contains("marked `prefetch`"), "{outcome:?}");
}

/// A bad catalog is wrong usage, and nothing is mounted.
#[test]
fn a_bad_catalog_is_refused_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("catalog");
    std::fs::write(&file, format!("{X}\n{X} pinned\n")).unwrap();
    let at = dir.path().join("mnt");
    let mount = |catalog: &Path| {
        let mut command = program(["mount"]);
        command.arg(&at).arg("--catalog").arg(catalog);
        command.arg("--cache-dir").arg(dir.path().join("cache"));
        run_with(command)
    };
    for (catalog, told) in [
        (file.clone(), format!("{}:2: `pinned`", file.display())),
        (dir.path().join("none"), "No such file".to_owned()),
        (dir.path().to_owned(), "not a plain file".to_owned()),
        (at.join("catalog"), "inside a tfhub-fs mount".to_owned()),
    ] {
        let outcome = mount(&catalog);
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert!(outcome.stderr.contains(&told), "{told}: {outcome:?}");
        assert!(!at.exists());
    }
}

/// With `--list-fetches=false` a crawler fetches nothing; who opens a file fetches all the same.
#[test]
fn crawlers_fetch_nothing() {
    let origin = Origin::start();
    let model = saved_model(1, 5_000);
    origin.publish("google/x/1", Tar::of(&model).gz());
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("catalog");
    std::fs::write(&file, X).unwrap();
    let mount = Mounting::of(&origin)
        .arg("--catalog")
        .arg(&file)
        .arg("--list-fetches=false")
        .start();
    let at = mount.at.clone();
    for command in [["find", "-ls"], ["du", "-aL"], ["ls", "-RlaL"]] {
        let [command, flag] = command;
        let (place, flag) = (at.clone(), flag.to_owned());
        let done = mount.on("", move |_| {
            let mut crawler = std::process::Command::new(command);
            match command {
                "find" => crawler.arg(&place).arg(&flag),
                _ => crawler.arg(&flag).arg(&place),
            };
            crawler.output().unwrap()
        });
        let told = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(told.contains("google"), "{command}: {told}");
    }
    assert!(mount.list("google/x/1").unwrap().is_empty());
    assert!(!mount.cache.join(sha1_of(X)).exists());
    let bytes = mount.read("google/x/1/saved_model.pb").unwrap();
    assert_eq!(bytes, model.bytes("saved_model.pb"));
    mount.on("google/x/1", move |root| model.assert_at(&root));
}
