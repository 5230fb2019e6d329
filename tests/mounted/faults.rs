//! Cache directories that are not as they should be, or stop being so.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::common::{
    Mount, Mounting, SOON, Tar, Tree, assert_errno, eventually, files_below, program, run_with,
    saved_model, sha1_of,
};
use crate::disk::SmallDisk;
use crate::origin::Origin;
use crate::sharing::DATA;

fn publish(origin: &Origin, names: &[&str]) -> Tree {
    let model = saved_model(1, 200_000);
    for name in names {
        origin.publish(&format!("google/{name}/1"), Tar::of(&model).gz());
    }
    model
}

#[track_caller]
fn whole(mount: &Mount, name: &str, model: &Tree) {
    let wanted = model.clone();
    mount.on(&format!("google/{name}/1"), move |root| {
        wanted.assert_at(&root)
    });
}

fn entry(cache: &Path, name: &str) -> PathBuf {
    cache.join(sha1_of(&format!("https://tfhub.dev/google/{name}/1")))
}

fn warnings(mount: &Mount) -> usize {
    mount.log().lines().filter(|l| l.contains(" WARN ")).count()
}

/// What a read-only disk has is served from it, without being written; the rest goes to a directory of our own.
#[test]
fn a_read_only_cache_is_served_as_it_is() {
    let origin = Origin::start();
    let model = publish(&origin, &["old", "new"]);
    let disk = SmallDisk::of("64m");
    let before = Mounting::of(&origin).cache(disk.cache()).start();
    whole(&before, "old", &model);
    let old = entry(disk.cache(), "old");
    eventually("it is sealed", SOON, || old.is_dir());
    drop(before);
    let remounted = Command::new("mount")
        .args(["-o", "remount,ro"])
        .arg(disk.cache())
        .status();
    assert!(remounted.unwrap().success());
    let there = files_below(disk.cache());
    let private = tempfile::tempdir().unwrap();
    let start = || {
        Mounting::of(&origin)
            .cache(disk.cache())
            .env("CACHE_DIRECTORY", private.path().to_str().unwrap())
            .start()
    };
    let mount = start();
    whole(&mount, "old", &model);
    assert_eq!(origin.downloads("google/old/1").len(), 1);
    whole(&mount, "new", &model);
    eventually("what was missing is kept", SOON, || {
        entry(private.path(), "new").is_dir()
    });
    assert_eq!(files_below(disk.cache()), there);
    mount.assert_logged(&["read-only", "a directory of our own"]);
    assert_eq!(warnings(&mount), 1, "{}", mount.log());
    drop(mount);
    let later = start();
    assert_eq!(
        later.list("google").unwrap(),
        ["new", "old"],
        "both are known"
    );
    whole(&later, "new", &model);
    assert_eq!(origin.downloads("google/new/1").len(), 1);
}

/// Root does not write where another user could turn what it writes to another place.
#[test]
fn another_users_cache_is_served_as_it_is() {
    let origin = Origin::start();
    let model = publish(&origin, &["new"]);
    let theirs = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(theirs.path(), Some(12345), None).unwrap();
    let private = tempfile::tempdir().unwrap();
    let mount = Mounting::of(&origin)
        .cache(theirs.path())
        .env("CACHE_DIRECTORY", private.path().to_str().unwrap())
        .start();
    whole(&mount, "new", &model);
    eventually("it is kept", SOON, || entry(private.path(), "new").is_dir());
    assert_eq!(fs::read_dir(theirs.path()).unwrap().count(), 0);
    mount.assert_logged(&["belongs to another user (12345)"]);
    assert_eq!(warnings(&mount), 1, "{}", mount.log());
}

/// A file where the directory should be, and no private one either: an error that says what to do, and files stream.
#[test]
fn a_cache_that_is_a_file_is_an_error_with_advice() {
    let origin = Origin::start();
    publish(&origin, &["x"]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "mine").unwrap();
    let mount = Mounting::of(&origin)
        .cache(&file)
        .env("CACHE_DIRECTORY", file.to_str().unwrap())
        .arg("--load-format=compressed")
        .start();
    let error = mount.read("google/x/1/saved_model.pb").unwrap_err();
    assert!(error.raw_os_error().is_some());
    mount.assert_logged(&["google/x/1", "choose a directory", "--cache-dir"]);
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

/// `rm -r` of the whole cache under a mount: what is open goes on, and what is opened next comes again.
#[test]
fn a_cache_that_vanishes_comes_back() {
    use std::os::unix::fs::FileExt;
    let origin = Origin::start();
    let model = publish(&origin, &["x", "y"]);
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    let mount = Mounting::of(&origin).cache(&cache).start();
    whole(&mount, "x", &model);
    eventually("it is sealed", SOON, || entry(&cache, "x").is_dir());
    let open = fs::File::open(mount.path(&format!("google/x/1/{DATA}"))).unwrap();
    fs::remove_dir_all(&cache).unwrap();
    let mut bytes = vec![0; 1000];
    open.read_exact_at(&mut bytes, 100_000).unwrap();
    assert!(bytes == model.bytes(DATA)[100_000..101_000]);
    drop(open);
    whole(&mount, "y", &model);
    whole(&mount, "x", &model);
    eventually("both are kept again", SOON, || {
        entry(&cache, "x").is_dir() && entry(&cache, "y").is_dir()
    });
    // Something else in its place is no cache, and no reason to hang or to write there.
    fs::remove_dir_all(&cache).unwrap();
    fs::write(&cache, "a file").unwrap();
    assert!(mount.read("google/x/1/saved_model.pb").is_err());
    fs::remove_file(&cache).unwrap();
    eventually("it heals when that has gone", SOON, || {
        mount.read("google/x/1/saved_model.pb").is_ok()
    });
    whole(&mount, "x", &model);
}

/// Whatever lies in a manifest's place, its model is served right, and commands end.
#[test]
fn garbage_for_a_manifest_does_no_harm() {
    let origin = Origin::start();
    let model = publish(&origin, &["x"]);
    let cache = tempfile::tempdir().unwrap();
    let first = Mounting::of(&origin).cache(cache.path()).start();
    whole(&first, "x", &model);
    eventually("it is sealed", SOON, || entry(cache.path(), "x").is_dir());
    drop(first);
    let key = sha1_of("https://tfhub.dev/google/x/1");
    let manifest = cache.path().join(".tfhub-fs/v1/manifests").join(&key);
    let good = fs::read_to_string(&manifest).unwrap();
    let shell = |script: &str| {
        let done = Command::new("sh")
            .arg("-c")
            .arg(script)
            .arg("sh")
            .arg(&manifest)
            .status();
        assert!(done.unwrap().success());
    };
    let other = good.replace("google/x/1", "google/z/1");
    let kinds: [(&str, &dyn Fn()); 6] = [
        ("random", &|| shell("head -c 100000 /dev/urandom > $1")),
        ("cut", &|| {
            fs::write(&manifest, &good[..good.len() / 2]).unwrap()
        }),
        ("another's", &|| fs::write(&manifest, &other).unwrap()),
        ("a directory", &|| shell("mkdir $1")),
        ("a pipe", &|| shell("mkfifo $1")),
        ("a link", &|| shell("ln -s /dev/zero $1")),
    ];
    for (what, place) in kinds {
        shell("rm -rf $1");
        place();
        let mount = Mounting::of(&origin).cache(cache.path()).start();
        whole(&mount, "x", &model);
        drop(mount);
        let mut list = program(["cache", "list", "--cache-dir"]);
        list.arg(cache.path());
        let listed = run_with(list);
        assert_eq!(listed.code, Some(0), "{what}: {listed:?}");
        assert!(
            listed.stdout.contains("https://tfhub.dev/google/x/1"),
            "{what}: {listed:?}"
        );
        assert!(!listed.stdout.contains("google/z/1"), "{what}");
    }
}

/// A descriptor that names another model is not believed.
#[test]
fn a_descriptor_that_lies_shows_no_other_model() {
    let origin = Origin::start();
    let model = publish(&origin, &["x", "y"]);
    let cache = tempfile::tempdir().unwrap();
    let root = entry(cache.path(), "x");
    model.write_to(&root);
    let lie = "Module: https://tfhub.dev/google/y/1\nDownload Time: 2020-01-01 00:00:00\nDownloader Hostname: h (PID:1)";
    fs::write(root.with_extension("descriptor.txt"), lie).unwrap();
    let mount = Mounting::of(&origin).cache(cache.path()).start();
    whole(&mount, "y", &model);
    assert_eq!(
        origin.downloads("google/y/1").len(),
        1,
        "what is under x's name is not y"
    );
    whole(&mount, "x", &model);
    assert!(
        origin.downloads("google/x/1").is_empty(),
        "it is x whatever is said of it"
    );
    let listed = mount.list(".tfhub_modules").unwrap();
    assert!(listed.contains(&sha1_of("https://tfhub.dev/google/x/1")));
}

/// A lock whose holder nobody knows: who waits is told whose it is, and other models go on.
#[test]
fn a_lock_that_never_goes_holds_up_one_model_only() {
    let origin = Origin::start();
    let model = publish(&origin, &["stuck", "free"]);
    let cache = tempfile::tempdir().unwrap();
    let lock = entry(cache.path(), "stuck").with_extension("lock");
    fs::write(&lock, format!("another.host.7.{}", "0".repeat(32))).unwrap();
    let mount = Mounting::of(&origin)
        .cache(cache.path())
        .timeout("1s")
        .start();
    let stuck = mount.start("google/stuck/1/saved_model.pb", fs::read);
    whole(&mount, "free", &model);
    let error = stuck.take(Duration::from_secs(20)).unwrap_err();
    assert_errno(Err::<(), _>(error), libc::ETIMEDOUT);
    mount.assert_logged(&["google/stuck/1", "process 7 on another.host"]);
    assert!(lock.exists(), "it is not ours to remove");
    fs::remove_file(&lock).unwrap();
    whole(&mount, "stuck", &model);
}

/// What a later version has left is not touched, and it is said.
#[test]
fn the_state_of_a_later_version_is_refused() {
    let cache = tempfile::tempdir().unwrap();
    fs::create_dir_all(cache.path().join(".tfhub-fs/v99/locks")).unwrap();
    fs::create_dir_all(cache.path().join(".tfhub-fs/vx")).unwrap();
    for words in [
        &["cache", "list"][..],
        &["resolve", "https://tfhub.dev/google/x/1"],
    ] {
        let mut command = program(words.iter().copied());
        command.arg("--cache-dir").arg(cache.path());
        let outcome = run_with(command);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(outcome.stderr.contains("a later tfhub-fs"), "{outcome:?}");
    }
    assert_eq!(
        fs::read_dir(cache.path().join(".tfhub-fs"))
            .unwrap()
            .count(),
        2
    );
}
