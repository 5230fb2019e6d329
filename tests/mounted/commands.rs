//! `prefetch` and `cache`, as a person and a script use them. Which directory they work on is in
//! `cache_dir_choice.rs`, what they say of models that are not just here in `cache_states.rs`, what is carried to other hosts in `export_import.rs`.

use std::path::Path;

use serde_json::Value;

use crate::common::{Mounting, Outcome, Tar, Tree, run, run_with, saved_model, sha1_of};
use crate::origin::{Hop, Origin};

pub fn host(origin: &Origin, name: &str, seed: u64) -> (String, Tree) {
    let model = saved_model(seed, 20_000);
    origin.host(&format!("google/{name}/1"), Tar::of(&model).gz());
    (format!("https://tfhub.dev/google/{name}/1"), model)
}

pub fn command(origin: &Origin, cache: &Path, args: &[&str]) -> Outcome {
    let dir = format!("--cache-dir={}", cache.display());
    let mirror = format!("--mirror=https://tfhub.dev={}", origin.url(Hop::Hub));
    let mut all: Vec<&str> = args.to_vec();
    all.push(&dir);
    if args[0] == "prefetch" {
        all.push(&mirror);
    }
    run(all)
}

pub fn json(outcome: &Outcome) -> Vec<Value> {
    let value: Value = serde_json::from_str(&outcome.stdout).unwrap();
    value.as_array().unwrap().clone()
}

#[test]
fn prefetch_fills_and_says_what_it_did() {
    let origin = Origin::start();
    let ((one, model), (two, _)) = (host(&origin, "one", 1), host(&origin, "two", 2));
    let cache = tempfile::tempdir().unwrap();
    let list = cache.path().join("models.txt");
    std::fs::write(&list, format!("# ours\n\n{two}  # the second\n{one}\n")).unwrap();
    let file = format!("--file={}", list.display());
    let fetched = command(&origin, cache.path(), &["prefetch", &one, &file]);
    assert_eq!(fetched.code, Some(0), "{fetched:?}");
    let paths: Vec<&str> = fetched.stdout.lines().collect();
    let wanted = [&one, &two].map(|handle| cache.path().join(sha1_of(handle)));
    assert_eq!(paths, wanted.each_ref().map(|path| path.to_str().unwrap()));
    model.assert_at(&wanted[0]);
    assert!(fetched.stderr.contains("google/two/1: "), "{fetched:?}");
    let asked = origin.seen().len();
    let again = command(&origin, cache.path(), &["prefetch", &one, "--json"]);
    let line: Value = serde_json::from_str(again.stdout.trim()).unwrap();
    assert_eq!(line["path"], wanted[0].to_str().unwrap());
    assert_eq!(origin.seen().len(), asked, "it was there");
    // One that fails does not keep the others from coming.
    let (three, _) = host(&origin, "three", 3);
    let never = "https://tfhub.dev/google/never/1";
    let mixed = command(&origin, cache.path(), &["prefetch", never, &three]);
    assert_eq!(mixed.code, Some(1));
    assert_eq!(mixed.stdout.lines().count(), 1);
    assert!(mixed.stderr.contains("google/never/1"), "{mixed:?}");
}

#[test]
fn what_is_in_the_cache_is_listed_pinned_cleaned_and_removed() {
    let origin = Origin::start();
    let ((one, _), (two, _)) = (host(&origin, "one", 1), host(&origin, "two", 2));
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path();
    command(&origin, cache, &["prefetch", &one, &two]);
    let states = || {
        let listed = json(&command(&origin, cache, &["cache", "list", "--json"]));
        let state = |item: &Value| {
            let text = |field: &str| item[field].as_str().unwrap().to_owned();
            (
                text("handle"),
                text("state"),
                item["pinned"].as_bool().unwrap(),
            )
        };
        listed.iter().map(state).collect::<Vec<_>>()
    };
    let row = |handle: &str, state: &str, pinned| (handle.to_owned(), state.to_owned(), pinned);
    assert_eq!(
        states(),
        [row(&one, "sealed", false), row(&two, "sealed", false)]
    );
    assert_eq!(
        command(&origin, cache, &["cache", "pin", &one]).code,
        Some(0)
    );
    // Who only looks lets nothing leave, whatever the limits are.
    for looks in [
        &["list"][..],
        &["verify", "--all"],
        &["clean", "--older-than=0s", "--dry-run"],
    ] {
        command(
            &origin,
            cache,
            &[&["cache"], looks, &["--cache-size=1"]].concat(),
        );
    }
    let would = command(
        &origin,
        cache,
        &["cache", "clean", "--older-than=0s", "--dry-run"],
    );
    let size = |outcome: &Outcome| outcome.stdout.split("  ").nth(2).unwrap().trim().to_owned();
    let freed = size(&would);
    assert_eq!(would.stdout, format!("would evict  {two}  {freed}\n"));
    let (_, last) = would.stderr.split_once("would free ").unwrap();
    assert!(
        last.starts_with(&format!("{freed}; {freed} would remain in ")),
        "{would:?}"
    );
    assert!(would.stderr.contains("1 model (") && would.stderr.contains("stays: it is pinned"));
    // What is pinned stays, and so the size is not reached.
    let cleaned = command(&origin, cache, &["cache", "clean", "--to-size=0"]);
    assert_eq!(cleaned.stdout, format!("evicted  {two}  {freed}\n"));
    assert_eq!(cleaned.code, Some(1), "{cleaned:?}");
    assert!(
        cleaned.stderr.contains("--to-size 0 is not reached")
            && cleaned.stderr.contains("(it is pinned)"),
        "{cleaned:?}"
    );
    assert_eq!(
        states(),
        [row(&one, "sealed", true), row(&two, "evicted", false)]
    );
    let table = command(&origin, cache, &["cache", "list"]);
    assert!(table.stdout.starts_with("HANDLE"), "{table:?}");
    let last = format!("1 model here, 1 known, {freed} in {}\n", cache.display());
    assert!(table.stderr.ends_with(&last), "{table:?}");
    let gone = command(&origin, cache, &["cache", "verify", &two]);
    assert_eq!(
        (gone.code, gone.stdout),
        (Some(0), format!("evicted  {two}\n"))
    );
    let removed = command(&origin, cache, &["cache", "remove", &two]);
    assert_eq!(removed.stdout, format!("removed  {two}\n"));
    command(&origin, cache, &["cache", "unpin", &one]);
    assert_eq!(states(), [row(&one, "sealed", false)]);
    // What is not known keeps the others from nothing.
    let mixed = command(&origin, cache, &["cache", "verify", &two, &one]);
    let unknown = format!("unknown  {two}: it is not in {}\n", cache.display());
    assert_eq!(
        (mixed.code, mixed.stdout),
        (Some(1), format!("{unknown}right  {one}\n"))
    );
    assert!(mixed.stderr.contains("1 of 2 models"), "{}", mixed.stderr);
    let mixed = command(&origin, cache, &["cache", "verify", &two, &one, "--json"]);
    let results: Vec<Value> = json(&mixed)
        .iter()
        .map(|one| one["result"].clone())
        .collect();
    assert_eq!(results, ["unknown", "right"]);
    // What is in use stays, and the exit code says so.
    let mount = Mounting::of(&origin).cache(cache).start();
    let open = std::fs::File::open(mount.path("google/one/1/saved_model.pb")).unwrap();
    let stays = command(&origin, cache, &["cache", "remove", &one]);
    assert_eq!(stays.code, Some(1));
    assert_eq!(stays.stdout, format!("stays  {one}: it is in use\n"));
    drop(open);
}

#[test]
fn what_was_read_in_part_is_listed_and_removed() {
    let origin = Origin::start();
    let model = saved_model(1, 2_000_000);
    crate::stream::offer(&origin, "google/part/1", &model);
    let dir = tempfile::tempdir().unwrap();
    let mount = crate::stream::uncompressed(&origin)
        .arg("--prefetch=none")
        .cache(dir.path())
        .start();
    mount.read("google/part/1/saved_model.pb").unwrap();
    let handle = "https://tfhub.dev/google/part/1";
    let listed = || json(&command(&origin, dir.path(), &["cache", "list", "--json"]));
    assert_eq!(listed()[0]["state"], "partial");
    assert_eq!(listed()[0]["handle"], handle);
    let stays = command(&origin, dir.path(), &["cache", "remove", handle]);
    assert_eq!(
        (stays.code, stays.stdout),
        (Some(1), format!("stays  {handle}: it is in use\n"))
    );
    drop(mount);
    command(&origin, dir.path(), &["cache", "remove", handle]);
    assert!(listed().is_empty());
}

/// Changes a byte in the middle, and no time.
pub fn flip(file: &Path) -> Vec<u8> {
    let mtime = std::fs::metadata(file).unwrap().modified().unwrap();
    let mut bytes = std::fs::read(file).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::write(file, &bytes).unwrap();
    let file = std::fs::File::options().write(true).open(file).unwrap();
    file.set_modified(mtime).unwrap();
    bytes
}

/// The alternatives are named when nothing was chosen, and a reader that goes away is none of our failures.
#[test]
fn wrong_usage_and_pipes() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().to_str().unwrap();
    for (args, want) in [
        (&["verify"][..], "--all"),
        (&["remove"], "--all"),
        (&["pin"], "--all"),
        (&["export", "-o", "x"], "--all"),
        (&["clean"], "--to-size"),
        (
            &["verify", "--all", "https://tfhub.dev/google/x/1"],
            "--all",
        ),
        (&["export", "--all", "--json", "-o", "-"], "--json"),
    ] {
        let outcome = run([&["cache"], args, &["--cache-dir", at]].concat());
        assert_eq!(outcome.code, Some(2), "{args:?}: {outcome:?}");
        assert!(outcome.stderr.contains(want), "{args:?}: {outcome:?}");
    }
    let mut list = std::process::Command::new("bash");
    list.args([
        "-c",
        "\"$0\" cache list --cache-dir \"$1\" | true; echo ${PIPESTATUS[0]}",
    ]);
    list.args([crate::common::PROGRAM, at]);
    let listed = run_with(list);
    assert_eq!(listed.stdout, "0\n", "{listed:?}");
    assert!(!listed.stderr.contains("pipe"), "{listed:?}");
}
