//! The filler against origins that count what they send, and fail.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;

use super::*;
use crate::cache;
use crate::cache::{Cache, FileSpec, Need, Partial, ReadAt, Streaming};
use crate::checksum::Hashes;
use crate::source::{self, Bytestream};

const MIB: usize = 1 << 20;

/// A file at an origin that counts.
#[derive(Debug)]
struct Origin {
    bytes: Vec<u8>,
    sent: AtomicU64,
    down: AtomicBool,
}

impl Ranged for Arc<Origin> {
    fn read(&self, range: Range<u64>) -> Bytestream {
        if self.down.load(Ordering::Relaxed) {
            let error = source::Error::Failed {
                model: "model".to_owned(),
                why: "the origin is down".to_owned(),
                advice: "wait".to_owned(),
            };
            return stream::iter([Err(error)]).boxed();
        }
        self.sent
            .fetch_add(range.end - range.start, Ordering::Relaxed);
        let part = &self.bytes[range.start as usize..range.end as usize];
        let chunks: Vec<_> = part
            .chunks(40_000)
            .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
            .collect();
        stream::iter(chunks).boxed()
    }

    fn shown(&self) -> String {
        "http://origin/file".to_owned()
    }
}

/// A filling of one file, its origin, and its filler.
struct World {
    origin: Arc<Origin>,
    partial: Partial,
    streamer: Arc<Streamer>,
    _dir: tempfile::TempDir,
}

const FILE: &str = "data";

fn world(size: usize, memory: Option<u64>, prefetch: Prefetch) -> World {
    let dir = tempfile::tempdir().unwrap();
    let options = cache::Options {
        dir: memory.is_none().then(|| dir.path().to_owned()),
        memory: memory.unwrap_or(0),
        ..cache::Options::default()
    };
    let spec = FileSpec {
        path: FILE.to_owned(),
        size: size as u64,
        mtime: SystemTime::UNIX_EPOCH,
        version: "1".to_owned(),
        hashes: Hashes::default(),
    };
    let cache = Cache::with(&options).unwrap();
    let Streaming::Partial(partial) = cache.stream("model", vec![spec], Vec::new()).unwrap() else {
        panic!("nothing is sealed");
    };
    let origin = Arc::new(Origin {
        bytes: (0..size).map(|at| (at * 31 / 7) as u8).collect(),
        sent: AtomicU64::new(0),
        down: AtomicBool::new(false),
    });
    let file = RemoteFile {
        name: FILE.to_owned(),
        size: size as u64,
        mtime: SystemTime::UNIX_EPOCH,
        hashes: Hashes::default(),
        version: "1".to_owned(),
        from: Arc::new(origin.clone()),
    };
    let options = Options {
        prefetch,
        ahead: partial.limit() / 2,
        pool: Arc::default(),
        again: Duration::from_millis(200),
    };
    let runtime = tokio::runtime::Handle::current();
    let streamer = Streamer::start(&runtime, partial.filling(), &[file], options);
    World {
        origin,
        partial,
        streamer,
        _dir: dir,
    }
}

/// Reads as the tree does.
async fn read(filling: &Filling, at: usize, len: usize) -> Result<Vec<u8>, cache::Failure> {
    let file = filling.get(FILE).unwrap();
    let range = at as u64..(at + len) as u64;
    loop {
        let mut bytes = vec![0; len];
        match file.read_at(range.start, &mut bytes) {
            ReadAt::Ready(count) => {
                bytes.truncate(count);
                return Ok(bytes);
            }
            ReadAt::Failed(why) => return Err(why),
            ReadAt::NotYet => {
                let (file, range) = (file.clone(), range.clone());
                let wait = filling.changed(Need::Bytes { file, range });
                let soon = Duration::from_secs(20);
                tokio::time::timeout(soon, wait).await.expect("it stalls");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_read_is_not_fetched() {
    let world = world(64 * MIB, None, Prefetch::None);
    let filling = world.partial.filling();
    for at in [0, 10 * MIB + 5, 64 * MIB - 4096] {
        let bytes = read(&filling, at, 4096).await.unwrap();
        assert_eq!(bytes, world.origin.bytes[at..at + 4096]);
    }
    assert_eq!(world.origin.sent.load(Ordering::Relaxed), 3 * wants::BLOCK);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_readers_in_order_fetch_every_byte_once() {
    let world = Arc::new(world(24 * MIB, None, Prefetch::File));
    let readers = (0..16).map(|_| {
        let world = world.clone();
        tokio::spawn(async move {
            let filling = world.partial.filling();
            for at in (0..24 * MIB).step_by(MIB / 2) {
                let bytes = read(&filling, at, MIB / 2).await.unwrap();
                assert_eq!(bytes, world.origin.bytes[at..at + MIB / 2]);
            }
        })
    });
    for reader in readers.collect::<Vec<_>>() {
        reader.await.unwrap();
    }
    world.streamer.done().await.unwrap();
    assert_eq!(
        world.origin.sent.load(Ordering::Relaxed),
        24 * MIB as u64,
        "once, and to the end"
    );
    world.partial.verify().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_larger_than_the_memory_get_on() {
    let world = Arc::new(world(16 * MIB, Some(MIB as u64), Prefetch::File));
    let readers = (0..8).map(|number| {
        let world = world.clone();
        tokio::spawn(async move {
            let filling = world.partial.filling();
            for step in 0..64 {
                // Some in order, some all over the file.
                let at = match number % 2 {
                    0 => step * 256 * 1024,
                    _ => (step * 37 + number * 11) % 64 * 256 * 1024,
                };
                let bytes = read(&filling, at, 256 * 1024).await.unwrap();
                assert_eq!(bytes, world.origin.bytes[at..at + 256 * 1024]);
            }
        })
    });
    for reader in readers.collect::<Vec<_>>() {
        reader.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_hears_why_nothing_comes() {
    let world = world(8 * MIB, None, Prefetch::File);
    let filling = world.partial.filling();
    world.origin.down.store(true, Ordering::Relaxed);
    // Ahead of readers a failure is nobody's business.
    world.streamer.hint(FILE, Part::InOrder);
    let why = read(&filling, 5 * MIB, 1).await.unwrap_err();
    assert!(why.to_string().contains("is down"), "{why}");
    assert!(world.streamer.done().await.is_err());
}

/// The origin fails once while nobody waits: a model that is to come whole is fetched on, and who waits for all of it hears
/// of the failure.
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_ahead_is_not_the_end_of_a_model_that_is_to_come_whole() {
    let world = world(8 * MIB, None, Prefetch::Model);
    world.origin.down.store(true, Ordering::Relaxed);
    world.streamer.look_ahead(0, FILE, &(0..1));
    world.streamer.pump();
    while !world.streamer.again.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    world.origin.down.store(false, Ordering::Relaxed);
    world.streamer.done().await.unwrap();
    assert!(world.partial.is_complete());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_all_of_it_hears_why_it_does_not_come() {
    let world = world(8 * MIB, None, Prefetch::None);
    world.origin.down.store(true, Ordering::Relaxed);
    let streamer = world.streamer.clone();
    tokio::spawn(async move { streamer.await_all().await });
    let error = world.streamer.done().await.unwrap_err();
    assert!(error.to_string().contains("is down"), "{error}");
}

/// All places of what is fetched ahead are taken, and a job waits for one when somebody comes to need its bytes.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_does_not_queue_behind_what_is_fetched_ahead() {
    let world = world(8 * MIB, None, Prefetch::None);
    let places = world.streamer.options.pool.clone();
    let _taken = places.ahead.acquire_many(32).await.unwrap();
    world.streamer.want_all();
    tokio::task::yield_now().await;
    let filling = world.partial.filling();
    let bytes = read(&filling, 5 * MIB, 10).await.unwrap();
    assert_eq!(bytes, world.origin.bytes[5 * MIB..5 * MIB + 10]);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_comes_when_it_is_wanted_and_nothing_after_a_stop() {
    let all = world(8 * MIB, None, Prefetch::None);
    all.streamer.want_all();
    all.streamer.done().await.unwrap();
    assert!(all.partial.is_complete());
    let stopped = world(8 * MIB, None, Prefetch::Model);
    stopped.streamer.stop();
    stopped.streamer.want_all();
    assert!(stopped.streamer.done().await.is_err());
    assert_eq!(stopped.origin.sent.load(Ordering::Relaxed), 0);
}
