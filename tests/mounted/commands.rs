//! `prefetch` and `cache`, as a person and a script use them.

use std::path::Path;

use serde_json::Value;

use crate::common::{Mounting, Outcome, Tar, Tree, run, saved_model, sha1_of};
use crate::origin::{Hop, Origin};

fn host(origin: &Origin, name: &str, seed: u64) -> (String, Tree) {
    let model = saved_model(seed, 20_000);
    origin.host(&format!("google/{name}/1"), Tar::of(&model).gz());
    (format!("https://tfhub.dev/google/{name}/1"), model)
}

fn command(origin: &Origin, cache: &Path, args: &[&str]) -> Outcome {
    let dir = format!("--cache-dir={}", cache.display());
    let mirror = format!("--mirror=https://tfhub.dev={}", origin.url(Hop::Hub));
    let mut all: Vec<&str> = args.to_vec();
    all.push(&dir);
    if args[0] == "prefetch" {
        all.push(&mirror);
    }
    run(all)
}

fn json(outcome: &Outcome) -> Vec<Value> {
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
    let would = command(
        &origin,
        cache,
        &["cache", "clean", "--older-than=0s", "--dry-run"],
    );
    assert_eq!(would.stdout, format!("would leave  {two}\n"));
    command(&origin, cache, &["cache", "clean", "--to-size=0"]);
    assert_eq!(
        states(),
        [row(&one, "sealed", true), row(&two, "evicted", false)]
    );
    let table = command(&origin, cache, &["cache", "list"]);
    assert!(table.stdout.starts_with("HANDLE"), "{table:?}");
    let removed = command(&origin, cache, &["cache", "remove", &two]);
    assert_eq!(removed.stdout, format!("removed  {two}\n"));
    command(&origin, cache, &["cache", "unpin", &one]);
    assert_eq!(states(), [row(&one, "sealed", false)]);
    let unknown = command(&origin, cache, &["cache", "remove", &two]);
    assert_eq!((unknown.code, unknown.stdout.as_str()), (Some(1), ""));
    let wrong = command(&origin, cache, &["cache", "clean"]);
    assert_eq!(wrong.code, Some(2));
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

#[test]
fn models_are_carried_to_a_host_without_network() {
    let origin = Origin::start();
    let ((one, model), (two, _)) = (host(&origin, "one", 1), host(&origin, "two", 2));
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    command(&origin, here.path(), &["prefetch", &one, &two]);
    let file = here.path().join("models.tar");
    let output = format!("--output={}", file.display());
    let exported = command(&origin, here.path(), &["cache", "export", "--all", &output]);
    assert_eq!(exported.code, Some(0), "{exported:?}");
    let file = file.to_str().unwrap();
    let imported = command(&origin, there.path(), &["cache", "import", file]);
    assert_eq!(
        imported.stdout,
        format!("imported  {one}\nimported  {two}\n")
    );
    let mount = Mounting::bare()
        .cache(there.path())
        .arg("--offline")
        .start();
    mount.on("google/one/1", move |root| model.assert_at(&root));
    // Damaged on the way: nothing of that model is kept, and the exit code says so.
    let mut bytes = std::fs::read(file).unwrap();
    let at = bytes.len() / 4;
    bytes[at] ^= 1;
    std::fs::write(file, bytes).unwrap();
    let fresh = tempfile::tempdir().unwrap();
    let broken = command(&origin, fresh.path(), &["cache", "import", file]);
    assert_eq!(broken.code, Some(1), "{broken:?}");
    let missing = command(
        &origin,
        here.path(),
        &["cache", "export", "https://tfhub.dev/x/y/1", "-o", "-"],
    );
    assert_eq!((missing.code, missing.stdout.as_str()), (Some(1), ""));
}
