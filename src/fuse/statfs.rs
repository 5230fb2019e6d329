//! The numbers of `statfs`, kept in memory so that `df` never waits for a disk.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::os::disk;

/// How often the numbers are read from the cache's disk.
const EVERY: Duration = Duration::from_secs(5);

/// What `statfs` answers: the space of the cache's disk.
pub(super) struct Space {
    latest: Mutex<Option<disk::Space>>,
}

impl Space {
    /// Reads the numbers now and from time to time, until the last reference goes.
    pub fn watch(cache: Option<PathBuf>, runtime: &tokio::runtime::Handle) -> Arc<Space> {
        let latest = cache.as_deref().and_then(|cache| disk::space(cache).ok());
        let space = Arc::new(Space {
            latest: Mutex::new(latest),
        });
        let Some(cache) = cache else { return space };
        let watched = Arc::downgrade(&space);
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(EVERY).await;
                let cache = cache.clone();
                let asked = tokio::task::spawn_blocking(move || disk::space(&cache)).await;
                let Some(space) = watched.upgrade() else {
                    return;
                };
                if let Ok(Ok(latest)) = asked {
                    *space.latest.lock() = Some(latest);
                }
            }
        });
        space
    }

    /// The latest numbers.
    pub fn get(&self) -> Option<disk::Space> {
        *self.latest.lock()
    }
}
