//! The archive of a version, with a length and an entity tag that are known
//! before the first byte of it is sent.
//!
//! A directory is packed into a spool file that is unlinked before anything is
//! written to it, so nothing is left behind however the server ends; a
//! ready-made archive is sent from its own place, and read aside for its
//! hashes: who asks for a large one first gets it without them, and at once.
//! Either is done once however many ask at the same time, survives the one who
//! asked first, and holds until the disk shows another state of the model.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use lru::LruCache;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::archive::{Archive, State};
use super::confine::Root;
use super::digest::Halt;
use super::index::Form;
use super::{Error, blocking, spool};

/// How many bytes of packed archives are kept for later requests, unless told otherwise.
pub const DEFAULT_SPOOL_LIMIT: u64 = 32 << 30;

/// Each kept archive holds a descriptor; a process may have 1,024 by default.
const MAX_SPOOLED: usize = 256;

type Outcome = Result<Arc<Archive>, Arc<Error>>;

/// What is kept of one version.
struct Entry {
    state: Arc<State>,
    outcome: Shared<BoxFuture<'static, Outcome>>,
}

impl Entry {
    /// Bytes in the spool; 0 while they are still being written.
    fn spooled(&self) -> u64 {
        match self.outcome.peek() {
            Some(Ok(archive)) => archive.spooled(),
            _ => 0,
        }
    }
}

/// All archives of one server.
pub struct Archives {
    spool: Arc<Path>,
    limit: u64,
    kept: Arc<Mutex<LruCache<String, Entry>>>,
    /// Packing is work for a whole core each.
    workers: Arc<Semaphore>,
    halt: Halt,
}

impl Drop for Archives {
    fn drop(&mut self) {
        self.halt.set();
    }
}

impl Default for Archives {
    fn default() -> Archives {
        Archives::new(spool::default_dir(), DEFAULT_SPOOL_LIMIT)
    }
}

impl Archives {
    /// Packs into unlinked files in `spool`, and keeps up to `limit` bytes of them.
    pub fn new(spool: PathBuf, limit: u64) -> Archives {
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        Archives {
            spool: spool.into(),
            limit,
            kept: Arc::new(Mutex::new(LruCache::unbounded())),
            workers: Arc::new(Semaphore::new(cores)),
            halt: Halt::default(),
        }
    }

    /// The archive of `name`, whose bytes lie at `form` inside `root`.
    ///
    /// # Errors
    /// Shared by all who asked for the same state; the next to ask tries again.
    pub async fn get(&self, root: &Arc<Root>, name: &str, form: &Form) -> Outcome {
        let (root, form) = (Arc::clone(root), form.clone());
        let state = blocking(name, {
            let root = Arc::clone(&root);
            move || State::of(&root, &form)
        })
        .await
        .map_err(Arc::new)?;
        let outcome = self.entry(name, Arc::new(state), root).await;
        self.trim(name, outcome.is_err());
        outcome
    }

    fn entry(
        &self,
        name: &str,
        state: Arc<State>,
        root: Arc<Root>,
    ) -> Shared<BoxFuture<'static, Outcome>> {
        let mut kept = self.kept.lock();
        if let Some(entry) = kept.get(name)
            && entry.state == state
        {
            return entry.outcome.clone();
        }
        let (workers, spool) = (Arc::clone(&self.workers), Arc::clone(&self.spool));
        let halt = self.halt.clone();
        let (model, seen) = (name.to_owned(), Arc::clone(&state));
        // A task of its own: who asked first may hang up, the others still get their answer.
        let work = tokio::spawn(async move {
            let _turn = workers.acquire_owned().await;
            blocking(&model, move || seen.prepare(&root, &spool, &halt))
                .await
                .map(Arc::new)
                .map_err(Arc::new)
        });
        let model = name.to_owned();
        let outcome = work
            .map(|done| {
                done.unwrap_or_else(|e| {
                    Err(Arc::new(Error::Lost {
                        name: model,
                        why: e.to_string(),
                    }))
                })
            })
            .boxed()
            .shared();
        kept.put(
            name.to_owned(),
            Entry {
                state,
                outcome: outcome.clone(),
            },
        );
        outcome
    }

    /// Forgets a failure, and the least recently used spool files beyond the limits.
    /// Who is being sent one still holds it.
    fn trim(&self, name: &str, failed: bool) {
        let mut kept = self.kept.lock();
        if failed
            && kept
                .peek(name)
                .is_some_and(|entry| matches!(entry.outcome.peek(), Some(Err(_))))
        {
            kept.pop(name);
        }
        let (mut bytes, mut files) = (0u64, 0usize);
        let mut surplus = Vec::new();
        for (name, entry) in kept.iter() {
            let spooled = entry.spooled();
            bytes = bytes.saturating_add(spooled);
            files += usize::from(spooled > 0);
            // The most recent one is kept even if it alone is beyond the limit: the transfer
            // that needs it will resume.
            if spooled > 0 && files > 1 && (bytes > self.limit || files > MAX_SPOOLED) {
                surplus.push(name.clone());
            }
        }
        for name in surplus {
            kept.pop(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::super::digest::digest_file;
    use super::super::index::Suffix;
    use super::super::testing::Tree;
    use super::*;

    const FILES: [(&str, &str); 2] = [
        ("g/m/1/saved_model.pb", "graph"),
        ("g/n/1/saved_model.pb", "other"),
    ];

    fn spooling(limit: u64) -> (tempfile::TempDir, Archives) {
        let temp = tempfile::tempdir().unwrap();
        let archives = Archives::new(temp.path().to_owned(), limit);
        (temp, archives)
    }

    async fn get(archives: &Archives, tree: &Tree, name: &str) -> Outcome {
        archives
            .get(&tree.root(), name, &Form::Tree(tree.path().join(name)))
            .await
    }

    #[tokio::test]
    async fn packed_once_until_the_tree_changes() {
        let tree = Tree::new(&FILES);
        let (spool, archives) = spooling(1 << 30);
        let asked = (0..16).map(|_| get(&archives, &tree, "g/m/1"));
        let all = futures_util::future::join_all(asked).await;
        let first = Arc::clone(all[0].as_ref().unwrap());
        assert!(
            all.iter()
                .all(|one| Arc::ptr_eq(one.as_ref().unwrap(), &first)),
            "one pack for all"
        );
        assert_eq!(
            fs::read_dir(spool.path()).unwrap().count(),
            0,
            "the spool file has no name"
        );
        tree.put("g/m/1/assets/vocab.txt", "a");
        let second = get(&archives, &tree, "g/m/1").await.unwrap();
        assert_ne!(first.digests(), second.digests());
        assert!(
            first.open(&tree.root()).is_ok(),
            "a transfer under way keeps its bytes"
        );
    }

    #[tokio::test]
    async fn the_spool_keeps_to_its_limit() {
        let tree = Tree::new(&FILES);
        let (_spool, archives) = spooling(1);
        let first = get(&archives, &tree, "g/m/1").await.unwrap();
        assert!(
            Arc::ptr_eq(&first, &get(&archives, &tree, "g/m/1").await.unwrap()),
            "the latest is kept"
        );
        get(&archives, &tree, "g/n/1").await.unwrap();
        assert_eq!(archives.kept.lock().len(), 1);
        assert!(!Arc::ptr_eq(
            &first,
            &get(&archives, &tree, "g/m/1").await.unwrap()
        ));
    }

    #[tokio::test]
    async fn a_failure_is_not_remembered() {
        let tree = Tree::new(&FILES);
        let (spool, archives) = spooling(1 << 30);
        let nowhere = Archives::new(spool.path().join("none"), 1);
        let refused = get(&nowhere, &tree, "g/m/1").await.unwrap_err();
        assert!(matches!(*refused, Error::Spool { .. }), "{refused}");
        fs::create_dir(spool.path().join("none")).unwrap();
        assert!(get(&nowhere, &tree, "g/m/1").await.is_ok());
        assert!(
            get(&archives, &tree, "g/gone/1")
                .await
                .unwrap_err()
                .is_gone()
        );
    }

    #[tokio::test]
    async fn a_ready_made_archive_is_hashed_and_never_mixed_with_its_successor() {
        let tree = Tree::new(&[("g/m/1.tar.gz", "archive one")]);
        let (_spool, archives) = spooling(1);
        let path = tree.path().join("g/m/1.tar.gz");
        let form = Form::Ready(path.clone(), Suffix::TarGz);
        let first = archives.get(&tree.root(), "g/m/1", &form).await.unwrap();
        assert_eq!(
            first.digests(),
            digest_file(&File::open(&path).unwrap(), &Halt::default())
                .ok()
                .as_ref()
        );
        tree.put("next", "archive two");
        fs::rename(tree.path().join("next"), &path).unwrap();
        assert!(matches!(
            first.open(&tree.root()),
            Err(Error::Changed { .. })
        ));
        let second = archives.get(&tree.root(), "g/m/1", &form).await.unwrap();
        assert_ne!(first.digests().unwrap().md5, second.digests().unwrap().md5);
        assert_ne!(first.etag, second.etag);
    }

    #[tokio::test]
    async fn a_large_ready_made_archive_is_sent_before_it_has_been_read() {
        let tree = Tree::new(&[("g/m/1.tar.gz", "")]);
        let (_spool, archives) = spooling(1);
        let path = tree.path().join("g/m/1.tar.gz");
        // Sparse: no disk is used, but reading it takes many seconds.
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(1 << 40)
            .unwrap();
        let form = Form::Ready(path, Suffix::TarGz);
        let archive = archives.get(&tree.root(), "g/m/1", &form).await.unwrap();
        assert_eq!(archive.len, 1 << 40);
        assert!(archive.digests().is_none(), "nobody waited for the hashes");
        assert!(archive.open(&tree.root()).is_ok());
    }
}
