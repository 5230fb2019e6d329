//! Work that waits for a disk, in threads of which each disk has its own share.
//!
//! A disk may hang: a network file system whose server is gone. Then its threads are all that hangs, and whoever waits
//! for them is told after `--timeout`.

use std::collections::HashMap;
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::{Error, Models, Shared};

/// How many threads one disk's work may hold.
const THREADS: usize = 64;

/// Which disk work may have to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Disk {
    /// The one of the cache that is written.
    Cache,
    /// The one of a cache that is only read: one that is not ours to write, or kagglehub's.
    Other,
    /// Whichever has a model of Kaggle, which may be in kagglehub's cache.
    Kaggle,
}

/// The shares.
#[derive(Default)]
pub(super) struct Shares(Mutex<HashMap<Disk, Arc<Semaphore>>>);

impl Shares {
    fn of(&self, disk: Disk) -> Arc<Semaphore> {
        let mut shares = self.0.lock();
        let share = shares.entry(disk);
        share
            .or_insert_with(|| Arc::new(Semaphore::new(THREADS)))
            .clone()
    }
}

impl Shared {
    /// Does what may wait for `disk` in a thread for that, and waits for at most `--timeout`.
    pub(super) async fn on_disk<T: Send + 'static>(
        &self,
        disk: Disk,
        model: &(impl Display + Sync),
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let share = self.shares.of(disk);
        let runtime = self.runtime.clone();
        let done = async {
            let permit = share.acquire_owned().await.ok()?;
            let work = move || {
                let done = work();
                drop(permit);
                done
            };
            runtime.spawn_blocking(work).await.ok()
        };
        let after = self.options.timeout;
        match tokio::time::timeout(after, done).await {
            Ok(Some(done)) => Ok(done),
            Ok(None) => Err(Error::lost(model)),
            Err(_) => Err(Error::Hung {
                handle: model.to_string(),
                after,
            }),
        }
    }
}

impl Models {
    /// The disk that the directory of a complete model lies on.
    pub fn disk_of(&self, dir: &Path) -> Disk {
        match self.cache_dir() {
            Some(root) if dir.starts_with(root) => Disk::Cache,
            _ => Disk::Other,
        }
    }

    /// Does what may wait for `disk` in a thread for that; `model` is whose it is, for messages.
    ///
    /// # Errors
    ///
    /// [`Error::Hung`] when the disk has not answered within `--timeout`.
    pub async fn on_disk<T: Send + 'static>(
        &self,
        disk: Disk,
        model: &(impl Display + Sync),
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        self.shared.on_disk(disk, model, work).await
    }

    /// Does what may wait for `disk` without anybody who waits for it: closing a file, say.
    pub fn leave_to_disk(&self, disk: Disk, work: impl FnOnce() + Send + 'static) {
        let (share, runtime) = (self.shared.shares.of(disk), &self.shared.runtime);
        match share.clone().try_acquire_owned() {
            Ok(permit) => {
                let work = move || {
                    work();
                    drop(permit);
                };
                runtime.spawn_blocking(work);
            }
            Err(_) => {
                let blocking = runtime.clone();
                runtime.spawn(async move {
                    let permit = share.acquire_owned().await;
                    let work = move || {
                        work();
                        drop(permit);
                    };
                    let _ = blocking.spawn_blocking(work).await;
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::super::testing::models;
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_hung_disk_holds_up_its_own_work_only() {
        let dir = tempfile::tempdir().unwrap();
        let models = models(dir.path(), Duration::from_millis(300));
        let handle = "https://tfhub.dev/google/x/1";
        let (hold, held) = channel::<()>();
        let held = Arc::new(Mutex::new(held));
        for _ in 0..2 * THREADS {
            let held = held.clone();
            models.leave_to_disk(Disk::Other, move || {
                let _ = held.lock().recv();
            });
        }
        let hung = models.on_disk(Disk::Other, &handle, || ()).await;
        assert!(matches!(hung, Err(Error::Hung { .. })), "{hung:?}");
        assert_eq!(models.on_disk(Disk::Cache, &handle, || 7).await.unwrap(), 7);
        drop(hold);
        models.on_disk(Disk::Other, &handle, || ()).await.unwrap();
    }
}
