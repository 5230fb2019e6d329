//! Fillings by ranges, on disk and in memory.

use std::ops::Range;
use std::sync::Arc;

use parking_lot::Mutex;

use super::*;
use crate::checksum::Hashes;
use crate::config::CacheSize;

pub(super) const OBJECT: &str = "gs://bucket/model/variables.data#17";
pub(super) const BLOCK: u64 = 64 << 10;

/// Bytes that no two files, and no two places of one, have alike. None is 0.
pub(super) fn data(name: &str, range: Range<u64>) -> Vec<u8> {
    let seed = name.bytes().fold(7u64, |seed, byte| {
        seed.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    let words = range.start / 8..range.end.div_ceil(8);
    let bytes = words.flat_map(|at| {
        let word = (at ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (word | 0x0101_0101_0101_0101).to_le_bytes()
    });
    let skipped = (range.start % 8) as usize;
    bytes
        .skip(skipped)
        .take((range.end - range.start) as usize)
        .collect()
}

pub(super) fn spec(path: &str, size: u64) -> FileSpec {
    FileSpec {
        path: path.to_owned(),
        size,
        mtime: long_ago(),
        version: "17".to_owned(),
        hashes: Hashes {
            crc32c: Some(crc32c::crc32c(&data(path, 0..size))),
            md5: None,
        },
    }
}

pub(super) fn partial(cache: &Cache, id: &str, files: &[FileSpec]) -> Partial {
    match cache.stream(id, files.to_vec(), Vec::new()).unwrap() {
        Streaming::Partial(partial) => partial,
        Streaming::Sealed(sealed) => panic!("{sealed:?}"),
    }
}

pub(super) fn get(partial: &Partial, path: &str) -> Arc<FillFile> {
    partial.filling().get(path).unwrap()
}

/// Writes what belongs into `range`.
pub(super) fn fill(file: &FillFile, range: Range<u64>) -> bool {
    let bytes = data(file.path(), range.clone());
    file.write_at(range.start, &bytes).unwrap()
}

pub(super) fn fill_all(partial: &Partial) {
    for file in partial.filling().files() {
        fill(file, 0..file.size());
    }
}

/// Reads `range`: the right bytes, or `None` if they are not there.
pub(super) fn read(file: &FillFile, range: Range<u64>) -> Option<Vec<u8>> {
    let mut buf = vec![0; (range.end - range.start) as usize];
    match file.read_at(range.start, &mut buf) {
        ReadAt::Ready(len) => {
            buf.truncate(len);
            let end = range.end.min(file.size());
            assert!(buf == data(file.path(), range.start..end), "wrong bytes");
            Some(buf)
        }
        ReadAt::NotYet => None,
        other => panic!("{other:?}"),
    }
}

pub(super) fn memory(bytes: u64) -> Cache {
    let options = Options {
        memory: bytes,
        ..Options::default()
    };
    Cache::with(&options).unwrap()
}

pub(super) fn limited(dir: &Path, limit: u64) -> Cache {
    let options = Options {
        dir: Some(dir.to_owned()),
        limit: Some(CacheSize::Bytes(limit)),
        ..Options::default()
    };
    Cache::with(&options).unwrap()
}

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<(String, Range<u64>, bool)>>);

impl Demand for Heard {
    fn read(&self, _: &Filling, file: &str, range: Range<u64>, present: bool) {
        self.0.lock().push((file.to_owned(), range, present));
    }
}

#[test]
fn ranges_come_in_any_order_and_the_filler_hears_of_every_read() {
    let (_dir, on_disk) = cache();
    for cache in [on_disk, memory(1 << 20)] {
        let partial = partial(&cache, OBJECT, &[spec("a/b", 300_000), spec("empty", 0)]);
        let filling = partial.filling();
        let heard = Arc::new(Heard::default());
        filling.on_read(heard.clone());
        assert!(filling.children("").is_some() && filling.get("empty").unwrap().is_complete());
        let file = get(&partial, "a/b");
        assert_eq!(read(&file, 10..20), None);
        let mut wait = filling.changed(Need::Bytes {
            file: file.clone(),
            range: 100_000..u64::MAX,
        });
        assert!(fill(&file, 150_000..300_000) && !super::filling::done(&mut wait));
        assert!(fill(&file, 90_000..160_000) && super::filling::done(&mut wait));
        assert!(read(&file, 100_000..400_000).is_some());
        assert_eq!(read(&file, 89_999..100_000), None);
        assert_eq!(file.missing(0..u64::MAX), [0..90_000]);
        assert!(file.present(90_000..300_000) && !file.present(0..1));
        let told: Vec<_> = std::mem::take(&mut *heard.0.lock());
        let want = [
            (10..20, false),
            (100_000..300_000, false),
            (100_000..300_000, true),
            (89_999..100_000, false),
        ];
        assert_eq!(
            told,
            want.map(|(range, present)| ("a/b".to_owned(), range, present))
        );
        assert!(matches!(
            file.write_at(299_999, b"xy"),
            Err(Error::TooLong { .. })
        ));
        fill_all(&partial);
        partial.verify().unwrap();
        drop(partial);
        assert!(matches!(file.read_at(0, &mut [0]), ReadAt::Failed(_)));
        assert!(file.write_at(0, b"x").is_err());
    }
}

#[test]
fn a_complete_model_is_sealed_like_any_other() {
    let (dir, cache) = cache();
    let files = [
        spec("saved_model.pb", 70_000),
        spec("variables/variables.index", 10),
        spec("assets/empty", 0),
    ];
    let partial = partial(&cache, URL, &files);
    fill_all(&partial);
    let graph = get(&partial, "saved_model.pb");
    let held = graph.open().unwrap();
    let Sealing::Sealed(sealed) = partial.seal().unwrap() else {
        panic!("nobody else has its lock");
    };
    for file in &files {
        let path = sealed.dir().join(&file.path);
        assert!(std::fs::read(&path).unwrap() == data(&file.path, 0..file.size));
        assert_eq!(
            std::fs::metadata(&path).unwrap().modified().unwrap(),
            long_ago()
        );
    }
    drop((partial, held));
    assert!(read(&graph, 0..70_000).is_some(), "its readers go on");
    let key = super::super::layout::Key::of(URL).to_string();
    assert_eq!(
        names(dir.path()),
        [key.clone(), format!("{key}.descriptor.txt")]
    );
    assert_eq!(names(&dir.path().join(".tfhub-fs/v1/parts")), [""; 0]);
    assert!(matches!(
        cache.stream(URL, files.to_vec(), Vec::new()),
        Ok(Streaming::Sealed(_))
    ));
}

#[test]
fn a_flipped_bit_ends_the_filling_for_everybody_and_nothing_is_kept() {
    let (dir, cache) = cache();
    let partial = partial(&cache, URL, &[spec("a", 100_000), spec("b", 10)]);
    fill_all(&partial);
    let (a, filling) = (get(&partial, "a"), partial.filling());
    let held = a.open().unwrap();
    std::os::unix::fs::FileExt::write_all_at(&*held, b"\0", 77_777).unwrap();
    let error = partial.seal().unwrap_err();
    let Error::Failed(why) = &error else {
        panic!("{error}");
    };
    assert!(matches!(why.downcast_ref(), Some(Error::Mismatch { name, .. }) if name == "a"));
    assert!(matches!(a.read_at(0, &mut [0]), ReadAt::Failed(_)));
    assert!(matches!(filling.find("b"), Found::Failed(_)));
    assert!(a.complete().is_none());
    drop((partial, held));
    assert_clean(dir.path());
    assert_eq!(names(&dir.path().join(".tfhub-fs/v1/parts")), [""; 0]);
}

#[test]
fn while_somebody_else_has_the_lock_it_stays_complete() {
    let (dir, cache) = cache();
    let partial = partial(&cache, URL, &[spec("saved_model.pb", 100)]);
    fill_all(&partial);
    let lock = super::super::layout::Layout::new(dir.path().to_path_buf())
        .lock(&super::super::layout::Key::of(URL));
    std::fs::write(&lock, format!("elsewhere.1.{}", "0".repeat(32))).unwrap();
    let Ok(Sealing::Busy(holder)) = partial.seal() else {
        panic!("tensorflow_hub has it");
    };
    assert_eq!(holder.who, "process 1 on elsewhere");
    assert!(read(&get(&partial, "saved_model.pb"), 0..100).is_some());
    std::fs::remove_file(&lock).unwrap();
    assert!(matches!(partial.seal(), Ok(Sealing::Sealed(_))));
    assert!(!lock.exists());
}

#[test]
fn whoever_seals_first_is_who_stays() {
    let (dir, cache) = cache();
    let partial = partial(&cache, URL, &[spec("saved_model.pb", 100)]);
    fill_all(&partial);
    seal(lead(&cache));
    let Ok(Sealing::Sealed(theirs)) = partial.seal() else {
        panic!("it is sealed");
    };
    let graph = std::fs::read(theirs.dir().join("saved_model.pb")).unwrap();
    assert_eq!(graph, b"graph");
    assert_eq!(names(&dir.path().join(".tfhub-fs/v1/parts")), [""; 0]);
}

#[test]
fn impossible_lists_are_refused_by_name() {
    let (dir, cache) = cache();
    let refused = |files: &[&str], dirs: &[&str]| {
        let files = files.iter().map(|name| spec(name, 1)).collect();
        let dirs = dirs.iter().map(|&dir| dir.to_owned()).collect();
        cache.stream(URL, files, dirs).unwrap_err()
    };
    for name in ["../x", "a//b", "/x", "", "a/.."] {
        assert!(
            matches!(refused(&[name], &[]), Error::BadName { .. }),
            "{name}"
        );
        if !name.is_empty() {
            assert!(
                matches!(refused(&["x"], &[name]), Error::BadName { .. }),
                "{name}"
            );
        }
    }
    for (files, dirs) in [
        (&["a", "a/b"][..], &[][..]),
        (&["a/b", "a"], &[]),
        (&["a"], &["a"]),
        (&["a"], &["a/b"]),
    ] {
        let error = refused(files, dirs);
        assert!(matches!(error, Error::DirAndFile { .. }), "{error}");
    }
    assert!(matches!(refused(&["a", "a"], &[]), Error::Twice { .. }));
    assert!(matches!(refused(&[], &["a"]), Error::Empty { .. }));
    let huge = FileSpec {
        size: u64::MAX,
        ..spec("huge", 1)
    };
    let error = cache.stream(URL, vec![huge], Vec::new()).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    assert_clean(dir.path());
}
