//! The directory that the `cache` commands work on: the one that was named, which may not be there, or not be ours to write.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;

use crate::commands::{command, flip, host, json};
use crate::common::{program, run_with, sha1_of};
use crate::origin::Origin;

/// A user who is not root; who it is does not matter.
const OTHER: u32 = 12345;

/// A directory that is not there is not made, and no other one is taken in its place.
#[test]
fn a_mistyped_directory_is_told_and_not_made() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("file"), "text").unwrap();
    let handle = "https://tfhub.dev/google/x/1";
    let output = at("out.tar");
    let commands: [&[&str]; 7] = [
        &["list"],
        &["verify", "--all"],
        &["remove", "--all"],
        &["clean", "--to-size=0"],
        &["pin", handle],
        &["unpin", handle],
        &["export", "--all", "-o", &output],
    ];
    let run_at = |args: &[&str], dir: &str| {
        let mut command = program([&["cache"], args, &["--cache-dir", dir]].concat());
        command.env("CACHE_DIRECTORY", at("private"));
        run_with(command)
    };
    for (dir, says) in [
        ("none", "there is no cache directory"),
        ("file", "is not a directory"),
        ("file/x", ""),
    ] {
        for args in commands {
            let outcome = run_at(args, &at(dir));
            assert_eq!(
                (outcome.code, outcome.stdout.as_str()),
                (Some(1), ""),
                "{args:?}"
            );
            let named = outcome.stderr.contains(says) && outcome.stderr.contains(&at(dir));
            assert!(
                named && outcome.stderr.contains("--cache-dir"),
                "{outcome:?}"
            );
        }
    }
    let import = run_at(&["import", &at("file")], &at("file/x"));
    assert_eq!(import.code, Some(1), "{import:?}");
    assert!(import.stderr.contains("cannot create"), "{import:?}");
    let import = run_at(&["import", &at("nothing")], &at("none"));
    assert!(import.stderr.contains("cannot read"), "{import:?}");
    let names: Vec<_> = std::fs::read_dir(place.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "nothing was made: {names:?}");
    // Where nobody has named one, there is just nothing yet.
    let default = |args: &[&str]| {
        let mut command = program([&["cache"], args].concat());
        command.env("TMPDIR", place.path());
        command.uid(OTHER).gid(OTHER);
        run_with(command)
    };
    chown(place.path(), Some(OTHER), None).unwrap();
    let listed = default(&["list"]);
    assert_eq!(listed.code, Some(0), "{listed:?}");
    assert!(
        listed.stderr.starts_with("0 models here, 0 B in "),
        "{listed:?}"
    );
    assert_eq!(default(&["list", "--json"]).stdout, "[]\n");
    assert_eq!(default(&["verify", "--all"]).code, Some(1));
    assert!(!Path::new(&at("tfhub_modules")).exists());
}

/// Another user's cache is read, and never written; what is said of it is true.
#[test]
fn a_cache_that_is_not_ours_is_told_apart() {
    let origin = Origin::start();
    let ((one, _), (two, _)) = (host(&origin, "one", 1), host(&origin, "two", 2));
    let place = tempfile::tempdir().unwrap();
    let [theirs, private] = ["theirs", "private"].map(|name| place.path().join(name));
    command(&origin, &theirs, &["prefetch", &one, &two]);
    command(&origin, &theirs, &["cache", "pin", &two]);
    chown(&theirs, Some(OTHER), None).unwrap();
    let cache = |args: &[&str]| {
        let mut command = program([&["cache"], args].concat());
        command.arg("--cache-dir").arg(&theirs);
        command.env("CACHE_DIRECTORY", &private);
        run_with(command)
    };
    let said = |args: &[&str], code: i32, lines: &[String]| {
        let outcome = cache(args);
        assert_eq!(outcome.code, Some(code), "{args:?}: {outcome:?}");
        let told: Vec<&str> = outcome.stdout.lines().collect();
        assert_eq!(told, lines, "{args:?}: {outcome:?}");
        outcome.stderr
    };
    let why = "the cache directory is read-only";
    let listed = cache(&["list"]);
    for dir in [&theirs, &private] {
        assert!(listed.stderr.contains(dir.to_str().unwrap()), "{listed:?}");
    }
    assert!(listed.stderr.contains("2 models here, "), "{listed:?}");
    assert_eq!(json(&cache(&["list", "--json"]))[0]["ours"], false);
    let stay = [&one, &two].map(|handle| format!("stays  {handle}: {why}"));
    said(&["remove", "--all"], 1, &stay);
    let sized = |line: &str| line.contains("stays  ") && line.ends_with(why);
    for limit in ["--to-size=0", "--older-than=0s"] {
        let cleaned = cache(&["clean", limit]);
        assert_eq!(cleaned.code, Some(1), "{cleaned:?}");
        assert_eq!(cleaned.stdout.lines().filter(|line| sized(line)).count(), 2);
        assert!(cleaned.stderr.contains("freed 0 B; "), "{cleaned:?}");
    }
    said(&["pin", &one], 1, &[format!("not pinned  {one}: {why}")]);
    said(
        &["unpin", &two],
        1,
        &[format!("stays pinned  {two}: {why}")],
    );
    let right = [&one, &two].map(|handle| format!("right  {handle}"));
    said(&["verify", "--all"], 0, &right);
    let tar = place.path().join("models.tar");
    let exported = cache(&["export", "--all", "-o", tar.to_str().unwrap()]);
    assert_eq!(exported.code, Some(0), "{exported:?}");
    // A flipped bit is told, and stays.
    let file = theirs.join(sha1_of(&one)).join("saved_model.pb");
    let spoiled = flip(&file);
    let wrong = format!(
        "wrong  {one}: \"saved_model.pb\" has other bytes than when the model was complete"
    );
    said(&["verify", "--all"], 1, &[wrong, right[1].clone()]);
    assert_eq!(std::fs::read(&file).unwrap(), spoiled);
}
