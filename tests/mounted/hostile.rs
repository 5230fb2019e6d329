//! Bad input: each archive is refused by name, leaves nothing behind, and the next open tries again.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::EntryType;

use crate::common::{Mount, Mounting, Tar, entries, eventually, files_below, gzip, saved_model};
use crate::origin::Origin;

/// One bad archive, and words of which one must be in the log's line about it.
struct Bad {
    name: &'static str,
    archive: Vec<u8>,
    words: &'static [&'static str],
}

fn good() -> Tar {
    Tar::of(&saved_model(1, 20_000))
}

fn bad(name: &'static str, archive: Vec<u8>, words: &'static [&'static str]) -> Bad {
    Bad {
        name,
        archive,
        words,
    }
}

fn bad_archives() -> Vec<Bad> {
    let long = "n".repeat(256);
    let mut junk = good().gz();
    junk.extend(b"<html>this is no gzip member</html>");
    vec![
        bad(
            "symlink",
            good()
                .link("assets/l", EntryType::Symlink, "/etc/passwd")
                .gz(),
            &["link"],
        ),
        bad(
            "hardlink",
            good()
                .link("assets/l", EntryType::Link, "saved_model.pb")
                .gz(),
            &["link"],
        ),
        bad(
            "device",
            good().entry("assets/null", EntryType::Char, b"").gz(),
            &["device"],
        ),
        bad(
            "fifo",
            good().entry("assets/fifo", EntryType::Fifo, b"").gz(),
            &["fifo", "FIFO", "pipe"],
        ),
        bad("dotdot", good().file("../escaped", b"x").gz(), &[".."]),
        bad(
            "deep-dotdot",
            good().file("a/../../escaped", b"x").gz(),
            &[".."],
        ),
        bad(
            "absolute",
            good().file("/../../../tmp/escaped", b"x").gz(),
            &[".."],
        ),
        bad(
            "long",
            good().file(&format!("assets/{long}"), b"x").gz(),
            &["255"],
        ),
        bad(
            "8eib",
            good().claim("assets/huge", 1 << 63, b"x").gz(),
            &["large", "limit", "claims", "more than"],
        ),
        bad("empty-archive", Tar::new().gz(), &["empty"]),
        bad("only-root", Tar::new().dir("./").gz(), &["empty"]),
        bad("empty-body", Vec::new(), &["empty"]),
        bad("junk", junk, &["after", "junk", "follow"]),
        bad(
            "both",
            good()
                .file("assets/both/inner", b"x")
                .file("assets/both", b"y")
                .gz(),
            &["directory"],
        ),
        bad(
            "both-too",
            good()
                .file("assets/both", b"y")
                .file("assets/both/inner", b"x")
                .gz(),
            &["directory", "file"],
        ),
        bad("no-tar", gzip(&[b'x'; 2000]), &["tar"]),
        bad(
            "html",
            b"<!DOCTYPE html><html>sign in</html>".to_vec(),
            &["archive", "HTML"],
        ),
    ]
}

/// Half a megabyte that unpacks to half a gigabyte.
fn bomb() -> Vec<u8> {
    let size = 512 << 20;
    let mut start = good().claim("assets/zeros", size, b"").plain();
    start.truncate(start.len() - 1024);
    let mut archive = gzip(&start);
    let mut zeros = GzEncoder::new(Vec::new(), Compression::best());
    zeros.write_all(&vec![0; 8 << 20]).unwrap();
    archive.extend(zeros.finish().unwrap().repeat(64));
    archive
}

#[test]
fn bad_archives_are_refused_by_name_and_leave_nothing() {
    let origin = Origin::start();
    let cases = bad_archives();
    for case in &cases {
        origin.publish(&format!("hostile/{}/1", case.name), case.archive.clone());
    }
    let mount = Mounting::of(&origin).timeout("20s").start();
    for case in &cases {
        let dir = format!("hostile/{}/1", case.name);
        refused(&mount, &dir, case);
        assert!(
            entries(&mount.cache).is_empty(),
            "{}: left {:?}",
            case.name,
            entries(&mount.cache)
        );
        let before = origin.downloads(&dir).len();
        assert!(mount.list(&dir).is_err(), "{}: refused again", case.name);
        assert!(
            origin.downloads(&dir).len() > before,
            "{}: the next open tries again",
            case.name
        );
    }
    eventually(
        "nothing is left in the cache",
        Duration::from_secs(5),
        || {
            let left = files_below(&mount.cache);
            let ours = [".tfhub-fs/CACHEDIR.TAG", ".tfhub-fs/v1/house"];
            left.iter().all(|path| ours.contains(&path.as_str()))
        },
    );
    let outside = mount.cache.parent().unwrap();
    assert!(!outside.join("escaped").exists() && !Path::new("/tmp/escaped").exists());
    origin.publish("hostile/symlink/1", good().gz());
    mount.on("hostile/symlink/1", |root| {
        saved_model(1, 20_000).assert_at(&root)
    });
}

#[track_caller]
fn refused(mount: &Mount, dir: &str, case: &Bad) {
    let error = match mount.list(dir) {
        Ok(listing) => panic!("{}: accepted as {listing:?}", case.name),
        Err(error) => error,
    };
    assert_eq!(
        error.raw_os_error(),
        Some(libc::EIO),
        "{}: {error}\n{}",
        case.name,
        mount.log()
    );
    let handle = format!("https://tfhub.dev/{dir}");
    let log = mount.log();
    let named =
        |line: &str| line.contains(&handle) && case.words.iter().any(|word| line.contains(word));
    assert!(
        log.lines().any(named),
        "{}: no line names one of {:?}:\n{log}",
        case.name,
        case.words
    );
    eventually("staging is removed", Duration::from_secs(5), || {
        entries(&mount.cache).is_empty()
    });
}

/// The limits have flags.
#[test]
fn limits_are_flags() {
    let origin = Origin::start();
    let mut many = good();
    for number in 0..200 {
        many = many.file(&format!("assets/{number}"), b"x");
    }
    origin.publish("limits/entries/1", many.gz());
    origin.publish("limits/size/1", Tar::of(&saved_model(2, 300_000)).gz());
    origin.publish("limits/good/1", good().gz());
    let mount = Mounting::of(&origin)
        .arg("--max-archive-entries=100")
        .arg("--max-model-size=200kB")
        .start();
    for (name, words) in [("entries", ["100"]), ("size", ["200"])] {
        let dir = format!("limits/{name}/1");
        let error = mount.list(&dir).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EIO), "{name}: {error}");
        mount.assert_logged(&[&format!("https://tfhub.dev/{dir}"), words[0]]);
    }
    assert!(mount.list("limits/good/1").is_ok());
}

#[test]
fn a_bomb_is_refused_before_it_has_gone_off() {
    let origin = Origin::start();
    let archive = bomb();
    assert!(archive.len() < 1 << 20);
    origin.publish("hostile/bomb/1", archive.clone());
    let mount = Mounting::of(&origin).timeout("20s").start();
    let case = bad("bomb", archive, &["times", "ratio"]);
    refused(&mount, "hostile/bomb/1", &case);
}
