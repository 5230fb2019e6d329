//! Which handles the served directory holds.
//!
//! The text of a request is only ever looked up among names that a scan of the
//! directory found, so it cannot lead anywhere else. A scan looks at the
//! directories above the models and one level into each version, and is made
//! again whenever the answer could have changed: an unknown name, a page, a
//! question for the newest version. Questions that come while a scan runs share
//! the next one, so a flood of unknown names costs one scan at a time.

mod listing;
mod scan;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

pub use listing::{Form, Found, Listing, Suffix};

use super::Error;
use super::confine::Root;

/// The models of one directory.
pub struct ModelIndex {
    root: Arc<Root>,
    current: RwLock<(u64, Arc<Listing>)>,
    begun: AtomicU64,
    scanning: tokio::sync::Mutex<()>,
}

impl ModelIndex {
    /// Scans `dir`. Waits for the disk.
    ///
    /// # Errors
    /// [`Error::Dir`] if `dir` is not a readable directory.
    pub fn open(dir: &Path) -> Result<ModelIndex, Error> {
        let refused = |source| Error::Dir {
            dir: dir.to_owned(),
            source,
        };
        let root = Arc::new(Root::new(dir).map_err(refused)?);
        let listing = scan::scan(&root)?;
        warn_of_new(&listing, &Listing::default());
        Ok(ModelIndex {
            root,
            current: RwLock::new((0, Arc::new(listing))),
            begun: AtomicU64::new(0),
            scanning: tokio::sync::Mutex::new(()),
        })
    }

    /// The served directory.
    pub fn root(&self) -> &Arc<Root> {
        &self.root
    }

    /// What the last scan found.
    pub fn known(&self) -> Arc<Listing> {
        Arc::clone(&self.current.read().1)
    }

    /// What the directory holds now: the result of a scan begun after this call.
    ///
    /// # Errors
    /// [`Error::Dir`] if the served directory itself cannot be read any more.
    pub async fn fresh(&self) -> Result<Arc<Listing>, Error> {
        let asked = self.begun.load(Ordering::SeqCst);
        let _one_at_a_time = self.scanning.lock().await;
        {
            let current = self.current.read();
            if current.0 > asked {
                return Ok(Arc::clone(&current.1));
            }
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let root = Arc::clone(&self.root);
        let listing = tokio::task::spawn_blocking(move || scan::scan(&root))
            .await
            .map_err(|e| Error::Lost {
                name: "the served directory".into(),
                why: e.to_string(),
            })??;
        warn_of_new(&listing, &self.known());
        let listing = Arc::new(listing);
        *self.current.write() = (number, Arc::clone(&listing));
        Ok(listing)
    }
}

/// Says once what is not offered and why.
fn warn_of_new(listing: &Listing, earlier: &Listing) {
    for passed in listing
        .passed_over
        .iter()
        .filter(|passed| !earlier.passed_over.contains(passed))
    {
        tracing::warn!("{} is not offered: {}", passed.name, passed.why);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn a_model_copied_in_later_appears_and_a_removed_one_goes() {
        let temp = tempfile::tempdir().unwrap();
        let index = ModelIndex::open(temp.path()).unwrap();
        assert!(matches!(index.known().find("a/b/1"), Found::Nothing));
        fs::create_dir_all(temp.path().join("a/b/1")).unwrap();
        fs::write(temp.path().join("a/b/1/saved_model.pb"), "").unwrap();
        assert!(matches!(
            index.fresh().await.unwrap().find("a/b/1"),
            Found::Version { .. }
        ));
        fs::remove_dir_all(temp.path().join("a")).unwrap();
        assert!(matches!(
            index.fresh().await.unwrap().find("a/b/1"),
            Found::Nothing
        ));
    }

    #[tokio::test]
    async fn many_questions_share_scans() {
        let temp = tempfile::tempdir().unwrap();
        let index = ModelIndex::open(temp.path()).unwrap();
        let questions = (0..50).map(|_| index.fresh());
        for answer in futures_util::future::join_all(questions).await {
            answer.unwrap();
        }
        // All were asked before the first scan ended: one scan, and one more for who came during it.
        assert!(index.begun.load(Ordering::SeqCst) <= 2);
    }

    #[test]
    fn a_file_or_nothing_cannot_be_served() {
        let temp = tempfile::tempdir().unwrap();
        fs::write(temp.path().join("file"), "").unwrap();
        assert!(matches!(
            ModelIndex::open(&temp.path().join("file")),
            Err(Error::Dir { .. })
        ));
        assert!(matches!(
            ModelIndex::open(&temp.path().join("none")),
            Err(Error::Dir { .. })
        ));
    }
}
