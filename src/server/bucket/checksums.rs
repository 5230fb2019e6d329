//! What Cloud Storage knows of an object's bytes, computed when first asked for
//! and kept for as long as the file stays as it is.
//!
//! CRC-32C runs at the speed of memory and is there for every object; MD5 is
//! fifty times slower and is there for small objects alone, as Cloud Storage
//! has none for composite ones. Who asks waits a bounded time: a checksum that
//! takes longer is left out of that answer and is there for a later one.

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lru::LruCache;
use md5::{Digest, Md5};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

use crate::checksum::Crc32c;
use crate::server::confine::Root;
use crate::server::digest::Halt;
use crate::server::survey::Stamp;

/// A file for which MD5 takes no more than some 30 ms; a larger one waits for its turn.
pub const SMALL: u64 = 16 << 20;

/// Fits the second-level cache of most processors beside what else is in it.
const CHUNK: u64 = 256 << 10;

/// A kept checksum takes some 200 bytes: at most some 50 MB.
const KEPT: NonZeroUsize = NonZeroUsize::MIN.saturating_add((1 << 18) - 1);

/// The checksums of one version of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sums {
    crc32c: u32,
    md5: Option<[u8; 16]>,
}

impl Sums {
    /// Base64 of the four bytes, big endian.
    pub fn crc32c(&self) -> String {
        STANDARD.encode(self.crc32c.to_be_bytes())
    }

    /// Base64; none for a large object.
    pub fn md5(&self) -> Option<String> {
        self.md5.map(|md5| STANDARD.encode(md5))
    }
}

/// The checksums of one version of a file, once they are known.
#[derive(Default)]
struct Slot {
    begun: AtomicBool,
    /// Empty for good if the file was not what it should have been.
    sums: OnceLock<Option<Sums>>,
    filled: Notify,
}

impl Slot {
    fn fill(&self, root: &Root, path: &Path, stamp: &Stamp, halt: &Halt) {
        let _ = self.sums.set(sum(root, path, stamp, halt));
        self.filled.notify_waiters();
    }

    async fn wait(&self) {
        // Made before the look, so that what happens in between wakes it.
        let filled = self.filled.notified();
        if self.sums.get().is_none() {
            filled.await;
        }
    }
}

/// The checksums of one server.
pub struct Checksums {
    root: Arc<Root>,
    kept: Mutex<LruCache<PathBuf, (Stamp, Arc<Slot>)>>,
    workers: Arc<Semaphore>,
    halt: Halt,
}

impl Checksums {
    /// Of files in `root`; none is known yet.
    pub fn new(root: Arc<Root>) -> Checksums {
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        Checksums {
            root,
            kept: Mutex::new(LruCache::new(KEPT)),
            workers: Arc::new(Semaphore::new(cores)),
            halt: Halt::default(),
        }
    }
}

impl Drop for Checksums {
    fn drop(&mut self) {
        self.halt.set();
    }
}

impl Checksums {
    /// Begins on the checksums of these files in these states, where they are not known.
    pub fn ask(&self, files: &[(&Path, Stamp)]) -> Asked {
        let slots: Vec<_> = files
            .iter()
            .map(|(path, stamp)| self.slot(path, stamp))
            .collect();
        let mut small = Vec::new();
        let mut begun = false;
        for ((path, stamp), slot) in files.iter().zip(&slots) {
            if slot.begun.swap(true, Ordering::Relaxed) {
                continue;
            }
            begun = true;
            let work = (path.to_path_buf(), *stamp, Arc::clone(slot));
            match stamp.len <= SMALL {
                true => small.push(work),
                false => self.begin_large(work),
            }
        }
        if !small.is_empty() {
            let (root, halt) = (Arc::clone(&self.root), self.halt.clone());
            tokio::task::spawn_blocking(move || {
                for (path, stamp, slot) in small {
                    slot.fill(&root, &path, &stamp, &halt);
                }
            });
        }
        Asked { slots, begun }
    }

    fn begin_large(&self, (path, stamp, slot): (PathBuf, Stamp, Arc<Slot>)) {
        let (workers, halt) = (Arc::clone(&self.workers), self.halt.clone());
        let root = Arc::clone(&self.root);
        tokio::spawn(async move {
            let _turn = workers.acquire_owned().await;
            let fill = move || slot.fill(&root, &path, &stamp, &halt);
            // Nothing to do about a failure: the slot stays empty.
            let _ = tokio::task::spawn_blocking(fill).await;
        });
    }

    fn slot(&self, path: &Path, stamp: &Stamp) -> Arc<Slot> {
        let mut kept = self.kept.lock();
        if let Some((known, slot)) = kept.get(path)
            && known == stamp
            && !matches!(slot.sums.get(), Some(None))
        {
            return Arc::clone(slot);
        }
        let slot = Arc::<Slot>::default();
        kept.put(path.to_owned(), (*stamp, Arc::clone(&slot)));
        slot
    }
}

/// Checksums that are known or on their way.
pub struct Asked {
    slots: Vec<Arc<Slot>>,
    /// True if the work on one of them began now, and not for somebody else before.
    pub begun: bool,
}

impl Asked {
    /// Each as far as it is known after `patience`.
    pub async fn within(self, patience: Duration) -> Vec<Option<Sums>> {
        let all = async {
            for slot in &self.slots {
                slot.wait().await;
            }
        };
        let _ = tokio::time::timeout(patience, all).await;
        let known = |slot: &Arc<Slot>| slot.sums.get().copied().flatten();
        self.slots.iter().map(known).collect()
    }
}

/// Nothing if the file is in another state than `stamp`, before or after it was read.
fn sum(root: &Root, path: &Path, stamp: &Stamp, halt: &Halt) -> Option<Sums> {
    let summed = root.open(path).and_then(|file| {
        let sums = sum_file(&file, stamp.len, halt)?;
        Ok((sums, Stamp::of(&file.metadata()?)))
    });
    match summed {
        Ok((sums, after)) if after == *stamp => Some(sums),
        Ok(_) => None,
        Err(error) => {
            tracing::debug!("no checksum of {}: {error}", path.display());
            None
        }
    }
}

fn sum_file(file: &File, len: u64, halt: &Halt) -> io::Result<Sums> {
    let mut buffer = vec![0; usize::try_from(len.min(CHUNK)).map_err(io::Error::other)?];
    let (mut crc32c, mut at) = (Crc32c::default(), 0);
    let mut md5 = (len <= SMALL).then(Md5::new);
    while at < len {
        halt.check()?;
        let step = usize::try_from((len - at).min(CHUNK)).map_err(io::Error::other)?;
        let bytes = &mut buffer[..step];
        file.read_exact_at(bytes, at)?;
        crc32c.update(bytes);
        if let Some(md5) = &mut md5 {
            md5.update(&*bytes);
        }
        at += step as u64;
    }
    Ok(Sums {
        crc32c: crc32c.value(),
        md5: md5.map(|md5| md5.finalize().into()),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::server::testing::{Tree, noise};

    const LONG: Duration = Duration::from_secs(20);

    fn stamp(path: &Path) -> Stamp {
        Stamp::of(&fs::metadata(path).unwrap())
    }

    #[tokio::test]
    async fn check_values_of_short_and_long_files() {
        let tree = Tree::new(&[("nine", "123456789"), ("none", "")]);
        tree.put("long", noise(SMALL as usize + 1));
        let sums = Checksums::new(tree.root());
        let paths = ["nine", "none", "long"].map(|name| tree.path().join(name));
        let files: Vec<_> = paths.iter().map(|p| (p.as_path(), stamp(p))).collect();
        let found = sums.ask(&files).within(LONG).await;
        // RFC 3720, appendix B.4, and `md5sum`.
        let nine = found[0].unwrap();
        assert_eq!(nine.crc32c(), "4waSgw==");
        assert_eq!(nine.md5().unwrap(), "JfnnlDI7RTiF9RgfG2JNCw==");
        assert_eq!(found[1].unwrap().crc32c(), "AAAAAA==");
        let long = found[2].unwrap();
        assert_eq!(long.md5(), None);
        assert_eq!(
            long.crc32c,
            crc32c::crc32c(&fs::read(&paths[2]).unwrap()),
            "in pieces as at once"
        );
    }

    #[tokio::test]
    async fn a_checksum_is_of_the_state_that_was_asked_for() {
        let tree = Tree::new(&[("file", "one")]);
        let path = tree.path().join("file");
        let old = stamp(&path);
        let sums = Checksums::new(tree.root());
        let one = sums.ask(&[(&path, old)]).within(LONG).await[0].unwrap();
        fs::write(tree.path().join("other"), "two").unwrap();
        fs::rename(tree.path().join("other"), &path).unwrap();
        let two = sums.ask(&[(&path, stamp(&path))]).within(LONG).await[0].unwrap();
        assert_ne!(one, two);
        assert_eq!(
            sums.ask(&[(&path, old)]).within(LONG).await,
            [None],
            "the old file is gone"
        );
        assert_eq!(
            sums.ask(&[(&path, stamp(&path))]).within(LONG).await,
            [Some(two)]
        );
    }
}
