//! Models on their way to hosts without a network: a file that is whole or not there, and what is said of one that is not.

use std::process::Stdio;

use crate::commands::{command, flip, host, json};
use crate::common::{Mounting, SOON, Tar, eventually, program, sha1_of, signal};
use crate::origin::Origin;

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
    let lines = imported.stdout.lines();
    let told: Vec<Vec<&str>> = lines
        .map(|line| line.split("  ").take(2).collect())
        .collect();
    assert_eq!(told, [["imported", &one], ["imported", &two]]);
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

/// What a failed export leaves is what was there.
#[test]
fn an_export_replaces_its_file_at_the_end_or_not_at_all() {
    let origin = Origin::start();
    let ((one, _), (two, _)) = (host(&origin, "one", 1), host(&origin, "two", 2));
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = |args: &[&str]| command(&origin, dir.path(), &[&["cache"], args].concat());
    command(&origin, dir.path(), &["prefetch", &one, &two]);
    let file = out.path().join("models.tar");
    let at = file.to_str().unwrap();
    std::fs::write(&file, "what was there").unwrap();
    let untouched = |what: &str| {
        assert_eq!(std::fs::read(&file).unwrap(), b"what was there", "{what}");
        assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 1, "{what}");
    };
    let missing = cache(&["export", &one, "https://tfhub.dev/x/y/1", "-o", at]);
    assert_eq!(missing.code, Some(1), "{missing:?}");
    assert!(
        missing
            .stdout
            .starts_with("unknown  https://tfhub.dev/x/y/1"),
        "{missing:?}"
    );
    untouched("one is unknown");
    flip(&dir.path().join(sha1_of(&two)).join("saved_model.pb"));
    let damaged = cache(&["export", "--all", "-o", at]);
    assert_eq!(damaged.code, Some(1), "{damaged:?}");
    assert!(
        damaged.stderr.contains(&two) && damaged.stderr.contains("cache verify"),
        "{damaged:?}"
    );
    untouched("one has other bytes");
    let done = cache(&["export", &one, "-o", at, "--json"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(
        (&json(&done)[0]["result"], &json(&done)[0]["handle"]),
        (&"exported".into(), &one.as_str().into())
    );
    assert!(std::fs::metadata(&file).unwrap().len() > 20_000);
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 1);
    let empty = tempfile::tempdir().unwrap();
    let nothing = command(
        &origin,
        empty.path(),
        &["cache", "export", "--all", "-o", at],
    );
    assert_eq!(nothing.code, Some(1), "{nothing:?}");
    assert!(
        std::fs::metadata(&file).unwrap().len() > 20_000,
        "an empty cache"
    );
}

#[test]
fn an_export_that_is_stopped_leaves_what_was_there() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // Too large to be written before it is stopped.
    let handle = "https://tfhub.dev/google/large/1";
    let root = dir.path().join(sha1_of(handle));
    std::fs::create_dir(&root).unwrap();
    let model = std::fs::File::create(root.join("saved_model.pb")).unwrap();
    model.set_len(2 << 30).unwrap();
    let text = format!(
        "Module: {handle}\nDownload Time: 2020-01-01 00:00:00\nDownloader Hostname: h (PID:1)"
    );
    std::fs::write(root.with_extension("descriptor.txt"), text).unwrap();
    let file = out.path().join("models.tar");
    std::fs::write(&file, "what was there").unwrap();
    for name in ["INT", "TERM"] {
        let mut export = program(["cache", "export", handle, "--cache-dir"]);
        export
            .arg(dir.path())
            .arg("-o")
            .arg(&file)
            .stderr(Stdio::null());
        let mut export = export.spawn().unwrap();
        let names = || std::fs::read_dir(out.path()).unwrap().count();
        eventually("it is being written", SOON, || names() == 2);
        signal(export.id(), name);
        let ended = crate::common::within(SOON, move || export.wait().unwrap());
        assert!(!ended.success(), "{name}: {ended:?}");
        assert_eq!(std::fs::read(&file).unwrap(), b"what was there", "{name}");
        assert_eq!(names(), 1, "{name}");
    }
}

/// What is wrong with a file is said of the file, and of the model.
#[test]
fn what_cannot_be_imported_is_said_in_words() {
    let origin = Origin::start();
    let ((one, _), (two, _)) = (host(&origin, "one", 1), host(&origin, "two", 2));
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    command(&origin, here.path(), &["prefetch", &one, &two]);
    let file = here.path().join("models.tar");
    let at = file.to_str().unwrap();
    command(
        &origin,
        here.path(),
        &["cache", "export", &one, &two, "-o", at],
    );
    let good = std::fs::read(&file).unwrap();
    let says = |bytes: &[u8], words: &[&str]| {
        std::fs::write(&file, bytes).unwrap();
        let outcome = command(&origin, there.path(), &["cache", "import", at]);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        for word in words.iter().chain(&[at]) {
            assert!(outcome.stderr.contains(word), "{word}: {outcome:?}");
        }
        for word in ["URL", "server", "filling"] {
            assert!(!outcome.stderr.contains(word), "{word}: {outcome:?}");
        }
    };
    let graph = std::fs::read(here.path().join(sha1_of(&two)).join("saved_model.pb")).unwrap();
    let place = good
        .windows(64)
        .position(|part| part == &graph[..64])
        .unwrap();
    let mut flipped = good.clone();
    flipped[place + 10] ^= 1;
    let kept = "nothing of it is kept; 1 model was imported before that";
    says(&flipped, &[&two, "saved_model.pb", kept]);
    assert!(!there.path().join(sha1_of(&two)).exists());
    // The first one is known by now.
    says(
        &good[..place + 100],
        &[&two, "nothing of it is kept; no model was imported"],
    );
    says(
        b"just some text\n",
        &["cache export", "it is text", "no model was imported"],
    );
    says(b"<!doctype html><html>", &["an HTML page"]);
    says(b"", &["nothing at all"]);
    says(&[0; 10240], &["there is no model in it"]);
    says(
        &Tar::new().file("x", b"y").plain(),
        &["does not follow its manifest"],
    );
}
