//! Files that change, vanish, lie or break off while they are read: a clear error in time, no wrong byte, nothing kept.

use std::io;
use std::time::{Duration, Instant};

use crate::common::{Mount, SOON, entries, eventually, saved_model};
use crate::origin::{ALWAYS, FOLDERS, Fault, Hop, Origin};
use crate::stream::{DATA, below, object, offer, uncompressed};

const TIMEOUT: Duration = Duration::from_secs(4);

/// One way to spoil the largest object of a model, and words of which one must be in the log's line about it.
/// Without words all must be well in the end.
struct Spoiled {
    name: &'static str,
    faults: Vec<Fault>,
    words: &'static [&'static str],
}

fn spoiled(name: &'static str, faults: Vec<Fault>, words: &'static [&'static str]) -> Spoiled {
    Spoiled {
        name,
        faults,
        words,
    }
}

fn status(code: u16, retry_after: Option<u32>, times: u32) -> Fault {
    Fault::Status {
        hop: Hop::Gcs,
        code,
        retry_after,
        times,
    }
}

fn cases() -> Vec<Spoiled> {
    vec![
        spoiled(
            "vanished",
            vec![Fault::Vanished { after: 1 }],
            &["404", "changed", "gone"],
        ),
        spoiled(
            "vanished-at-once",
            vec![Fault::Vanished { after: 0 }],
            &["404", "changed", "gone"],
        ),
        spoiled(
            "replaced",
            vec![Fault::Replaced { after: 1 }],
            &["404", "changed"],
        ),
        spoiled(
            "replaced-at-once",
            vec![Fault::Replaced { after: 0 }],
            &["404", "changed"],
        ),
        spoiled(
            "listed-larger",
            vec![Fault::Listed { add: 1000 }],
            &["bytes", "changed"],
        ),
        spoiled(
            "listed-smaller",
            vec![Fault::Listed { add: -1000 }],
            &["bytes", "changed"],
        ),
        spoiled(
            "ranges-ignored",
            vec![Fault::NoRange],
            &["Range", "range", "200"],
        ),
        spoiled(
            "another-range",
            vec![Fault::ContentRange { add: 65_536 }],
            &["Content-Range", "range", "Range"],
        ),
        spoiled(
            "wrong-hash",
            vec![Fault::Hash],
            &["checksum", "CRC-32C", "crc32c", "MD5", "md5"],
        ),
        spoiled(
            "flipped",
            vec![Fault::Flip {
                bit: 8 * 3_000_000 + 1,
            }],
            &["checksum", "CRC-32C", "crc32c", "MD5", "md5"],
        ),
        spoiled(
            "stalled",
            vec![Fault::Stall { at: 1_500_000 }],
            &["in time", "stopped", "nothing", "no more"],
        ),
        spoiled("refused", vec![status(403, None, ALWAYS)], &["403"]),
        spoiled(
            "late",
            vec![status(503, Some(3600), ALWAYS)],
            &["503", "3600", "Retry-After"],
        ),
        spoiled(
            "cut-once",
            vec![Fault::Cut {
                at: 1_500_000,
                times: 2,
            }],
            &[],
        ),
        spoiled("busy-once", vec![status(503, Some(1), 1)], &[]),
    ]
}

fn read(mount: &Mount, name: &str) -> (io::Result<Vec<u8>>, Duration) {
    let since = Instant::now();
    let read = mount.start(&format!("google/{name}/1/{DATA}"), std::fs::read);
    (read.take(SOON), since.elapsed())
}

#[test]
fn no_wrong_byte_and_nothing_kept() {
    let origin = Origin::start();
    let model = saved_model(1, 4_000_000);
    for case in cases() {
        let name = format!("google/{}/1", case.name);
        offer(&origin, &name, &model);
        object(&origin, &name, DATA).faults(case.faults);
    }
    let mount = uncompressed(&origin).start();
    let mut wrong = Vec::new();
    for case in cases() {
        let (got, took) = read(&mount, case.name);
        let fine = matches!(&got, Ok(bytes) if bytes == model.bytes(DATA));
        // Of a spoiled object whose ranges come as asked, the bytes are seen before all of them can be verified.
        let unverified = matches!(case.name, "wrong-hash" | "flipped") && got.is_ok();
        let expected = if case.words.is_empty() {
            fine
        } else {
            got.is_err() || unverified
        };
        if !expected || took > 2 * TIMEOUT + Duration::from_secs(4) {
            let got = got.map(|bytes| bytes.len());
            wrong.push(format!("{}: {got:?} after {took:?}", case.name));
        }
        if case.words.is_empty() {
            continue;
        }
        let told = || {
            let log = mount.log();
            let about = format!("google/{}/1", case.name);
            log.lines().any(|line| {
                line.contains(&about) && case.words.iter().any(|word| line.contains(word))
            })
        };
        let since = Instant::now();
        while !told() && since.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(20));
        }
        if !told() {
            wrong.push(format!(
                "{}: none of {:?} in the log",
                case.name, case.words
            ));
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), mount.log());
    // Nothing of them was sealed, and where the object is well again, so is the model.
    for case in cases().into_iter().filter(|case| !case.words.is_empty()) {
        let name = format!("google/{}/1", case.name);
        let sealed = mount
            .cache
            .join(crate::common::sha1_of(&format!("https://tfhub.dev/{name}")));
        assert!(!sealed.exists(), "{name} was sealed");
        let prefix = format!("tfhub-modules/{name}/uncompressed/");
        origin.bucket(FOLDERS).put_all(&prefix, model.files());
        eventually(
            &format!("{name} is well again"),
            SOON,
            || matches!(read(&mount, case.name).0, Ok(bytes) if bytes == model.bytes(DATA)),
        );
    }
}

/// A file that was open when its object was replaced gives an error, a fresh open gives the new one, and neither a mix.
#[test]
fn a_replaced_object_is_an_error_or_a_fresh_open() {
    use std::os::unix::fs::FileExt;
    let origin = Origin::start();
    let bytes = crate::common::noise(1, 4_000_000);
    let object = origin.bucket("bucket").put("dir/file", bytes.clone());
    let mount = uncompressed(&origin).arg("--prefetch=none").start();
    let file = mount
        .on("gs:/bucket/dir/file", std::fs::File::open)
        .unwrap();
    let head = mount.on("", {
        let file = file.try_clone().unwrap();
        move |_| {
            let mut head = vec![0; 100_000];
            file.read_exact_at(&mut head, 0).map(|()| head)
        }
    });
    assert!(head.unwrap() == bytes[..100_000]);
    let other = crate::common::noise(2, 4_000_000);
    object.replace(other.clone());
    let tail = mount.on("", move |_| {
        let mut tail = vec![0; 100_000];
        file.read_exact_at(&mut tail, 3_900_000).map(|()| tail)
    });
    assert!(
        tail.is_err(),
        "another generation's bytes in a file that was opened before"
    );
    eventually(
        "a fresh open gives the new one",
        SOON,
        || matches!(mount.read("gs:/bucket/dir/file"), Ok(got) if got == other),
    );
}

/// Names that cannot be files are left out, with one warning and without harm to the others.
#[test]
fn odd_names_are_skipped_with_one_warning() {
    let origin = Origin::start();
    let model = saved_model(2, 50_000);
    offer(&origin, "google/odd/1", &model);
    for odd in ["../x", "a//b", "a\nb", "./c", "assets/../../y", "/abs"] {
        let key = format!("tfhub-modules/google/odd/1/uncompressed/{odd}");
        origin.bucket(FOLDERS).put(&key, "odd");
    }
    let mount = uncompressed(&origin).start();
    let wanted = model.clone();
    mount.on("google/odd/1", move |root| wanted.assert_at(&root));
    let log = mount.log();
    let warnings = log
        .lines()
        .filter(|line| line.contains("WARN") && line.contains("odd"))
        .count();
    assert_eq!(warnings, 1, "{log}");
    assert!(
        entries(&mount.cache).iter().all(|name| !name.contains('x')),
        "nothing escaped"
    );
}

/// Listings that never end, pages that fail, and a folder that is not there.
#[test]
fn listings_that_go_wrong_end_in_time() {
    let origin = Origin::start();
    let cases = [
        (
            "endless",
            vec![Fault::Pages { size: 1 }, Fault::EndlessPages],
        ),
        ("denied", vec![Fault::Private]),
        ("down", vec![status(500, None, ALWAYS)]),
        (
            "cut",
            vec![Fault::Cut {
                at: 10,
                times: ALWAYS,
            }],
        ),
        ("silent", vec![Fault::Silence { hop: Hop::Gcs }]),
        ("empty", vec![]),
    ];
    let mount = uncompressed(&origin).start();
    for (name, faults) in cases {
        origin.bucket(name).faults(faults);
        if name != "empty" {
            origin.bucket(name).put("m/saved_model.pb", "graph");
        }
        let model = format!("google/{name}/1");
        origin.host(&model, "");
        origin.uncompressed(
            &model,
            crate::origin::Uncompressed::Folder(format!("gs://{name}/m")),
        );
        let since = Instant::now();
        let got = mount.stat(&model);
        assert!(got.is_err(), "{name}: {got:?}");
        assert!(
            since.elapsed() < TIMEOUT + Duration::from_secs(3),
            "{name}: {:?}",
            since.elapsed()
        );
        mount.assert_logged(&[&model]);
    }
    assert_eq!(origin.sent_below(&below("google/none/1")), 0);
}

/// A hub that redirects in a circle ends in an error in this form, too.
#[test]
fn a_redirect_loop_ends() {
    let origin = Origin::start();
    let model = saved_model(3, 1_000);
    offer(&origin, "google/circle/1", &model).faults(vec![Fault::Loop]);
    let mount = uncompressed(&origin).start();
    assert!(mount.stat("google/circle/1").is_err());
    mount.assert_logged(&["google/circle/1", "redirect"]);
    assert!(origin.about("google/circle/1").len() <= 48);
}
