//! What goes when there is no room, and who gets what he waits for all the same.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::ranges::{OBJECT, data, fill, fill_all, get, limited, memory, partial, read, spec};
use super::*;
use crate::handle::Key;

const MIB: u64 = 1 << 20;

fn on_disk(root: &Path) -> u64 {
    let mut bytes = 0;
    let mut left = vec![root.join(".tfhub-fs/v1/parts")];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let meta = entry.metadata().unwrap();
            bytes += meta.blocks() * 512;
            if meta.is_dir() {
                left.push(entry.path());
            }
        }
    }
    bytes
}

#[test]
fn what_was_read_longest_ago_goes_and_the_limit_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    for (cache, root) in [
        (limited(dir.path(), 4 * MIB), Some(dir.path())),
        (memory(4 * MIB), None),
    ] {
        let partial = partial(&cache, OBJECT, &[spec("big", 20 * MIB)]);
        let big = get(&partial, "big");
        for at in 0..20 {
            assert!(
                fill(&big, at * MIB..(at + 1) * MIB),
                "what was read gives way"
            );
            assert!(read(&big, at * MIB..(at + 1) * MIB).is_some());
            if at > 2 {
                assert!(read(&big, (at - 1) * MIB..at * MIB).is_some(), "{at}");
            }
            assert!(big.bytes_present() <= 4 * MIB);
            if let Some(root) = root {
                assert!(on_disk(root) < 5 * MIB, "{}", on_disk(root));
            }
        }
        assert_eq!(read(&big, 0..MIB), None);
    }
}

#[test]
fn bytes_read_ahead_give_way_only_to_bytes_that_somebody_waits_for() {
    let cache = memory(MIB);
    let partial = partial(&cache, OBJECT, &[spec("big", 8 * MIB)]);
    let (filling, big) = (partial.filling(), get(&partial, "big"));
    assert!(fill(&big, 0..MIB));
    assert!(!fill(&big, MIB..2 * MIB), "nobody waits for it");
    assert!(read(&big, 0..1000).is_some() && big.present(0..MIB));
    let mut wait = filling.changed(Need::Bytes {
        file: big.clone(),
        range: 4 * MIB..5 * MIB,
    });
    assert!(fill(&big, 4 * MIB..4 * MIB + 500_000));
    assert!(big.bytes_present() <= MIB && !super::filling::done(&mut wait));
    assert!(fill(&big, 4 * MIB + 500_000..5 * MIB) && super::filling::done(&mut wait));
    // Told, and not read yet: these bytes stay whatever else comes.
    let mut next = filling.changed(Need::Bytes {
        file: big.clone(),
        range: 6 * MIB..7 * MIB,
    });
    assert!(fill(&big, 6 * MIB..7 * MIB) && super::filling::done(&mut next));
    assert!(read(&big, 4 * MIB..5 * MIB).is_some());
    assert!(read(&big, 6 * MIB..7 * MIB).is_some());
}

/// Writes whatever is missing under a reader, in pieces, as long as anybody reads.
#[derive(Debug)]
struct Filler(mpsc::Sender<std::ops::Range<u64>>);

impl Demand for Filler {
    fn read(&self, _: &Filling, _: &str, range: std::ops::Range<u64>, present: bool) {
        // With something read ahead that nobody may ever want.
        if !present {
            let _ = self.0.send(range.start..range.end + 300_000);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_whose_windows_are_larger_than_the_memory_all_get_there() {
    let dir = tempfile::tempdir().unwrap();
    for cache in [memory(MIB), limited(dir.path(), 2 * MIB)] {
        let partial = partial(&cache, OBJECT, &[spec("big", 12 * MIB)]);
        let (filling, big) = (partial.filling(), get(&partial, "big"));
        let (demands, inbox) = mpsc::channel();
        filling.on_read(Arc::new(Filler(demands)));
        let bytes = Arc::new(data("big", 0..12 * MIB));
        let inbox = Arc::new(parking_lot::Mutex::new(inbox));
        for _ in 0..2 {
            let (inbox, big, bytes) = (inbox.clone(), big.clone(), bytes.clone());
            std::thread::spawn(move || {
                loop {
                    let next = inbox.lock().recv();
                    let Ok(range) = next else {
                        return;
                    };
                    for gap in big.missing(range) {
                        for at in (gap.start..gap.end).step_by(40_000) {
                            let piece = at as usize..(at + 40_000).min(gap.end) as usize;
                            if big.write_at(at, &bytes[piece]).is_err() {
                                return;
                            }
                        }
                    }
                }
            });
        }
        let readers: Vec<_> = (0..8u64)
            .map(|reader| {
                let (filling, big) = (filling.clone(), big.clone());
                tokio::spawn(async move {
                    for step in 0..24 {
                        let start = (reader * 1_700_000 + step * 450_000) % (11 * MIB);
                        let range = start..start + 512_000;
                        while read(&big, range.clone()).is_none() {
                            let file = big.clone();
                            filling
                                .changed(Need::Bytes {
                                    file,
                                    range: range.clone(),
                                })
                                .await;
                        }
                    }
                })
            })
            .collect();
        for reader in readers {
            let ended = tokio::time::timeout(Duration::from_secs(60), reader).await;
            ended.expect("a reader never got its bytes").unwrap();
        }
        // At most what is waited for at once is beyond the limit.
        let stake = filling.shared.stake.as_ref().unwrap();
        assert!(
            stake.room.used() <= 2 * MIB + 8 * (600_000 + 2 * MIB),
            "{}",
            stake.room.used()
        );
        filling.on_read(Arc::new(Filler(mpsc::channel().0)));
    }
}

#[test]
fn nobody_reads_a_hole_while_bytes_come_and_go() {
    let (_dir, cache) = cache();
    let partial = partial(&cache, OBJECT, &[spec("big", 3 * MIB)]);
    let (filling, big) = (partial.filling(), get(&partial, "big"));
    let room = filling.shared.stake.as_ref().unwrap().room.clone();
    let bytes = data("big", 0..3 * MIB);
    let over = std::sync::atomic::AtomicBool::new(false);
    let place = |number: u64| number.wrapping_mul(0x9e37_79b9) % (3 * MIB - 70_000);
    std::thread::scope(|scope| {
        let is_over = || over.load(std::sync::atomic::Ordering::Relaxed);
        for start in [0, 1 << 20] {
            let (big, bytes) = (&big, &bytes);
            scope.spawn(move || {
                for number in (start..).take_while(|_| !is_over()) {
                    let at = place(number);
                    let piece = &bytes[at as usize..at as usize + 70_000];
                    big.write_at(at, piece).unwrap();
                }
            });
            scope.spawn(move || {
                let held = big.open();
                let mut buf = vec![0; 20_000];
                for number in (start..).take_while(|_| !is_over()) {
                    let at = place(number * 7);
                    if let ReadAt::Ready(len) = big.read_at(at, &mut buf) {
                        assert!(buf[..len] == bytes[at as usize..][..len], "wrong bytes");
                    }
                }
                drop(held);
            });
        }
        let mut given = 0;
        while given < 300 {
            given += u32::from(room.spare(1) > 0);
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    fill_all(&partial);
    partial.verify().unwrap();
}

#[test]
fn old_parts_go_first_and_the_oldest_of_them_before_all() {
    let dir = tempfile::tempdir().unwrap();
    let cache = limited(dir.path(), 4 * MIB + 200_000);
    let id = |number: u64| format!("gs://bucket/object#{number}");
    let home = |number| {
        let key = crate::cache::layout::Key::of(&id(number)).to_string();
        dir.path().join(".tfhub-fs/v1/parts").join(key)
    };
    for number in 0..3 {
        let one = partial(&cache, &id(number), &[spec("x", MIB)]);
        fill_all(&one);
        drop(one);
        let at = long_ago() + Duration::from_secs(60 * (number ^ 1)); // 1, 0, 2
        let claim = fs::File::options()
            .write(true)
            .open(home(number).join("claim"));
        claim.unwrap().set_modified(at).unwrap();
    }
    let cache = limited(dir.path(), 4 * MIB + 200_000);
    let now = partial(&cache, &id(9), &[spec("x", 3 * MIB)]);
    fill(&get(&now, "x"), 0..2 * MIB);
    assert!(!home(1).exists() && home(0).exists() && home(2).exists());
    fill(&get(&now, "x"), 2 * MIB..3 * MIB);
    assert!(!home(0).exists() && home(2).exists());
    assert!(get(&now, "x").is_complete());
    drop(now);
    Upkeep::of(&limited(dir.path(), 3 * MIB + 200_000)).tidy();
    assert!(!home(2).exists() && home(9).exists(), "in a later run too");
}

#[test]
fn a_verified_file_is_read_without_us_and_goes_whole() {
    let dir = tempfile::tempdir().unwrap();
    let cache = limited(dir.path(), 6 * MIB);
    let one = partial(&cache, OBJECT, &[spec("one", 3 * MIB)]);
    let file = get(&one, "one");
    fill_all(&one);
    assert!(file.complete().is_none(), "nobody has verified it");
    one.verify().unwrap();
    let given = file.complete().unwrap();
    let two = partial(&cache, "gs://bucket/two#1", &[spec("two", 6 * MIB)]);
    let other = get(&two, "two");
    for at in 0..6 {
        fill(&other, at * MIB..(at + 1) * MIB);
        assert!(read(&other, at * MIB..(at + 1) * MIB).is_some());
    }
    assert!(file.is_complete(), "it is held");
    drop(given);
    let given = fs::File::open(
        fs::read_dir(dir.path().join(".tfhub-fs/v1/parts"))
            .unwrap()
            .map(|entry| entry.unwrap().path().join("data/one"))
            .find(|path| path.exists())
            .unwrap(),
    );
    fill_all(&two);
    for at in 0..6 {
        fill(&other, at * MIB..(at + 1) * MIB);
        let _ = read(&other, at * MIB..(at + 1) * MIB);
    }
    assert_eq!((file.bytes_present(), read(&file, 0..1)), (0, None));
    assert!(file.complete().is_none());
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut given.unwrap(), &mut bytes).unwrap();
    assert!(
        bytes == data("one", 0..3 * MIB),
        "whoever has it open reads on"
    );
    drop(two);
    fill_all(&one);
    one.verify().unwrap();
    assert!(file.complete().is_some());
}

#[test]
fn without_a_directory_models_are_streamed_and_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let nowhere = Options {
        dir: Some(file.join("cache")),
        ..Options::default()
    };
    for cache in [
        memory(MIB),
        limited(&dir.path().join("cache"), 0),
        Cache::with(&nowhere).unwrap(),
    ] {
        let error = cache.begin(URL).unwrap_err();
        assert!(matches!(error, Error::NoCache { .. }), "{error}");
        assert!(error.to_string().contains("--load-format uncompressed"));
        assert_eq!(cache.room(), 0);
        let partial = partial(&cache, URL, &[spec("saved_model.pb", 100)]);
        fill_all(&partial);
        assert!(partial.is_in_memory() && partial.is_complete());
        assert!(matches!(partial.seal(), Ok(Sealing::InMemory)));
        assert!(read(&get(&partial, "saved_model.pb"), 0..100).is_some());
    }
    // What is complete in a cache of size 0 is used.
    let (root, kept) = cache();
    seal(lead(&kept));
    assert!(matches!(
        limited(root.path(), 0).begin(URL),
        Ok(Begin::Sealed(_))
    ));
}

#[test]
fn room_is_what_the_limit_and_what_never_leaves_it_leave() {
    let dir = tempfile::tempdir().unwrap();
    let cache = limited(dir.path(), 4 * MIB);
    assert_eq!(cache.room(), 4 * MIB);
    let one = partial(&cache, URL, &[spec("saved_model.pb", MIB)]);
    fill_all(&one);
    assert_eq!(cache.room(), 4 * MIB, "parts would give way");
    assert!(matches!(one.seal(), Ok(Sealing::Sealed(_))));
    assert_eq!(cache.room(), 4 * MIB, "a complete model would leave");
    std::fs::write(
        dir.path()
            .join(format!(".tfhub-fs/v1/pins/{}", Key::of(URL))),
        "",
    )
    .unwrap();
    let again = limited(dir.path(), 4 * MIB);
    assert_eq!(again.room(), 3 * MIB, "a pinned one stays");
}
