//! The cache as its users see it, on real directories.

mod anyorder;
mod cleared;
mod crash;
mod crowded;
mod evicting;
mod filling;
mod fulldisk;
mod giving;
mod lower;
mod parts;
mod planted;
mod ranges;
mod reference;
mod restart;
mod sealing;
mod shared;
mod space;

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::fill::waiting::Wait;
use super::*;

pub(super) const URL: &str = "https://tfhub.dev/google/x/1";

/// A moment that no test happens at, on a whole second.
pub(super) fn long_ago() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_500_000_000)
}

/// A lead goes to the thread that unpacks, everything else to whoever reads.
const _: fn() = || {
    fn crosses_threads<T: Send + Sync>() {}
    crosses_threads::<(
        Cache,
        Lead,
        Partial,
        Filling,
        FillFile,
        Writer,
        Sealed,
        Wait,
        Error,
    )>();
};

pub(super) fn cache() -> (tempfile::TempDir, Cache) {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path()).unwrap();
    (dir, cache)
}

pub(super) fn lead(cache: &Cache) -> Lead {
    match cache.begin(URL).unwrap() {
        Begin::Lead(lead) => lead,
        other => panic!("{other:?}"),
    }
}

pub(super) fn busy(cache: &Cache) -> Holder {
    match cache.begin(URL).unwrap() {
        Begin::Busy(holder) => holder,
        other => panic!("{other:?}"),
    }
}

pub(super) fn put(filling: &Filling, path: &str, bytes: &[u8]) {
    let mut writer = filling.file(path, bytes.len() as u64, long_ago()).unwrap();
    writer.write(bytes).unwrap();
    writer.end().unwrap();
}

/// Fills and seals a small model.
pub(super) fn seal(lead: Lead) -> Sealed {
    let filling = lead.filling();
    put(&filling, "saved_model.pb", b"graph");
    put(&filling, "assets/vocab.txt", b"words");
    filling.names_known();
    lead.seal().unwrap()
}

pub(super) fn file(filling: &Filling, path: &str) -> std::sync::Arc<FillFile> {
    match filling.find(path) {
        Found::File(file) => file,
        other => panic!("{path}: {other:?}"),
    }
}

/// Names in a directory, our own `.tfhub-fs` left out.
pub(super) fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != ".tfhub-fs")
        .collect();
    names.sort();
    names
}

/// Waits until what this cache has evicted is deleted: a thread of its own does that.
pub(super) fn wait_for_sweeper(cache: &Cache) {
    if let Some(super::space::budget::Budget::Disk(disk)) = cache.disk().map(|room| room.budget()) {
        disk.sweeper.drain();
    }
}

/// That nothing is left of a fill that did not happen.
pub(super) fn assert_clean(root: &Path) {
    assert_eq!(names(root), [""; 0]);
    for sub in ["locks", "tmp", "trash", "manifests"] {
        assert_eq!(
            names(&root.join(".tfhub-fs/v1").join(sub)),
            [""; 0],
            "{sub}"
        );
    }
}
