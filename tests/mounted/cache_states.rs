//! Models that are not just here: pinned and absent, touched, being filled, another program's.

use crate::commands::{command, host, json};
use crate::common::sha1_of;
use crate::origin::Origin;

#[test]
fn pins_are_of_one_version_and_are_all_listed() {
    let origin = Origin::start();
    let (one, _) = host(&origin, "one", 1);
    let dir = tempfile::tempdir().unwrap();
    let cache = |args: &[&str]| command(&origin, dir.path(), &[&["cache"], args].concat());
    command(&origin, dir.path(), &["prefetch", &one]);
    let later = "https://tfhub.dev/google/later/3";
    assert_eq!(cache(&["pin", later]).stdout, format!("pinned  {later}\n"));
    let listed = json(&cache(&["list", "--json"]));
    let row = listed.iter().find(|item| item["handle"] == later).unwrap();
    assert_eq!(
        (&row["state"], &row["bytes"], &row["pinned"]),
        (&"absent".into(), &0.into(), &true.into())
    );
    let verified = cache(&["verify", later]);
    assert_eq!(
        (verified.code, verified.stdout),
        (Some(0), format!("absent  {later}\n"))
    );
    // By the name of its directory, if that is known.
    assert_eq!(
        cache(&["pin", &sha1_of(&one)]).stdout,
        format!("pinned  {one}\n")
    );
    let nobody = "0".repeat(40);
    let unknown = cache(&["pin", &nobody]);
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    // Without a version: nothing is pinned, and it is said what to type.
    for (typed, want) in [
        ("https://tfhub.dev/google/two", "/two/1"),
        ("https://tfhub.dev/google/one", one.as_str()),
    ] {
        let refused = cache(&["pin", later, typed]);
        assert_eq!(
            (refused.code, refused.stdout.as_str()),
            (Some(2), ""),
            "{refused:?}"
        );
        assert!(
            refused.stderr.contains("has no version") && refused.stderr.contains(want),
            "{refused:?}"
        );
    }
    let all = cache(&["unpin", "--all"]);
    assert_eq!(all.stdout, format!("unpinned  {later}\nunpinned  {one}\n"));
    let again = cache(&["unpin", &one, later]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(
        again.stdout,
        format!("was not pinned  {one}\nwas not pinned  {later}\n")
    );
    assert_eq!(json(&cache(&["list", "--json"])).len(), 1);
}

#[test]
fn what_was_touched_is_unchecked_until_it_is_read() {
    let origin = Origin::start();
    let (one, model) = host(&origin, "one", 1);
    let dir = tempfile::tempdir().unwrap();
    let cache = |args: &[&str]| command(&origin, dir.path(), &[&["cache"], args].concat());
    command(&origin, dir.path(), &["prefetch", &one]);
    let root = dir.path().join(sha1_of(&one));
    let touch = || {
        let file = std::fs::File::options()
            .write(true)
            .open(root.join("saved_model.pb"));
        file.unwrap()
            .set_modified(std::time::SystemTime::UNIX_EPOCH)
            .unwrap();
        std::fs::write(root.join("added"), "x").unwrap();
    };
    let state = || json(&cache(&["list", "--json"]))[0]["state"].clone();
    touch();
    assert_eq!(state(), "unchecked");
    assert_eq!(cache(&["verify", &one]).stdout, format!("right  {one}\n"));
    assert_eq!(state(), "sealed");
    touch();
    let tar = dir.path().join("models.tar");
    let exported = cache(&["export", &one, "-o", tar.to_str().unwrap()]);
    assert_eq!(exported.code, Some(0), "{exported:?}");
    assert_eq!(state(), "sealed");
    model.assert_at(&root);
    // Bytes that are missing are another thing.
    std::fs::write(root.join("saved_model.pb"), "short").unwrap();
    assert_eq!(state(), "damaged");
    let refused = cache(&["export", &one, "-o", tar.to_str().unwrap()]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stdout.contains(&format!("{one} is damaged: ")),
        "{refused:?}"
    );
}

/// What another process is unpacking at this moment.
#[test]
fn a_model_that_is_being_filled_is_listed() {
    let origin = Origin::start();
    let (one, _) = host(&origin, "one", 1);
    let dir = tempfile::tempdir().unwrap();
    let cache = |args: &[&str]| command(&origin, dir.path(), &[&["cache"], args].concat());
    cache(&["import", "/dev/null"]);
    let (key, uid) = (sha1_of(&one), "1".repeat(32));
    let staging = dir.path().join(format!("{key}.{uid}.tmp"));
    std::fs::create_dir(&staging).unwrap();
    std::fs::write(staging.join("saved_model.pb"), [0; 1000]).unwrap();
    let lock = dir.path().join(format!("{key}.lock"));
    std::fs::write(&lock, format!("another.host.7.{uid}")).unwrap();
    let listed = json(&cache(&["list", "--json"]));
    assert_eq!(
        (&listed[0]["state"], &listed[0]["bytes"]),
        (&"filling".into(), &1000.into())
    );
    assert_eq!(listed[0]["handle"], key, "nobody has said whose it is");
    cache(&["pin", &one]);
    let table = cache(&["list"]);
    assert!(table.stdout.contains(&one), "{table:?}");
    assert!(
        table
            .stderr
            .contains("0 models here, 1 being fetched, 1.0 KiB"),
        "{table:?}"
    );
    assert_eq!(cache(&["verify", &one]).stdout, format!("filling  {one}\n"));
    let stays = cache(&["remove", &one]);
    assert_eq!(
        (stays.code, stays.stdout),
        (Some(1), format!("stays  {one}: it is being filled\n"))
    );
    std::fs::remove_file(lock).unwrap();
    assert_eq!(json(&cache(&["list", "--json"]))[0]["state"], "absent");
}

/// Models of other programs stay, and that is said.
#[test]
fn cleaning_tells_what_keeps_it_from_its_size() {
    let origin = Origin::start();
    let (one, model) = host(&origin, "one", 1);
    let dir = tempfile::tempdir().unwrap();
    let cache = |args: &[&str]| command(&origin, dir.path(), &[&["cache"], args].concat());
    model.write_to(&dir.path().join(sha1_of(&one)));
    let name = sha1_of(&one);
    for args in [
        &["clean", "--to-size=1000"][..],
        &["clean", "--to-size=1000", "--dry-run"],
    ] {
        let short = cache(args);
        assert_eq!(
            (short.code, short.stdout.as_str()),
            (Some(1), ""),
            "{short:?}"
        );
        assert!(
            short.stderr.contains("not reached") && short.stderr.contains("--evict-foreign"),
            "{short:?}"
        );
    }
    // One that somebody has touched is still theirs.
    std::fs::write(dir.path().join(&name).join("added"), "x").unwrap();
    assert_eq!(cache(&["clean", "--older-than=0s"]).stdout, "");
    let done = json(&cache(&[
        "clean",
        "--to-size=1000",
        "--evict-foreign",
        "--json",
    ]));
    assert_eq!(
        (&done[0]["handle"], &done[0]["result"]),
        (&name.into(), &"evicted".into())
    );
    assert!(done[0]["bytes"].as_u64().unwrap() > 1000);
}
