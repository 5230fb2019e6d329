//! Fillings by ranges, on disk and in memory.

use std::ops::Range;
use std::sync::Arc;

use parking_lot::Mutex;

use super::*;
use crate::config::CacheSize;
use crate::fetch::Hashes;

pub(super) const OBJECT: &str = "gs://bucket/model/variables.data#17";
pub(super) const BLOCK: u64 = 64 << 10;

/// Bytes that no two files, and no two places of one, have alike.
pub(super) fn data(name: &str, size: u64) -> Vec<u8> {
    let seed = name
        .bytes()
        .fold(7u64, |seed, byte| seed.wrapping_mul(31) + u64::from(byte));
    (0..size)
        .map(|at| ((at + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8 | 1)
        .collect()
}

pub(super) fn spec(path: &str, size: u64) -> FileSpec {
    FileSpec {
        path: path.to_owned(),
        size,
        mtime: long_ago(),
        version: "17".to_owned(),
        hashes: Hashes {
            crc32c: Some(crc32c::crc32c(&data(path, size))),
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
    let bytes = data(file.path(), file.size());
    file.write_at(
        range.start,
        &bytes[range.start as usize..range.end as usize],
    )
    .unwrap()
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
            let all = data(file.path(), file.size());
            assert_eq!(len as u64, range.end.min(file.size()) - range.start);
            assert!(
                buf[..len] == all[range.start as usize..][..len],
                "wrong bytes"
            );
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
        min_free: 0,
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
        assert!(std::fs::read(&path).unwrap() == data(&file.path, file.size));
        assert_eq!(
            std::fs::metadata(&path).unwrap().modified().unwrap(),
            long_ago()
        );
    }
    assert!(super::filling::done(
        &mut partial.filling().changed(Need::Sealed)
    ));
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
