//! Who may make a model's entry: asking for its lock, and judging a lock that is not ours.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::super::error::{Context, Error};
use super::super::layout::{Key, Layout};
use super::super::trash;
use super::claim::{Claim, Held, Holder, remove_lock};
use super::foreign::{Sight, Verdict, Watch};

/// The locks of one cache directory.
#[derive(Debug)]
pub(in crate::cache) struct Locks {
    layout: Arc<Layout>,
    host: String,
    /// What earlier calls saw of locks that are not ours.
    watches: Mutex<HashMap<Key, Watch>>,
}

impl Locks {
    pub(in crate::cache) fn new(layout: Arc<Layout>, host: String) -> Locks {
        Locks {
            layout,
            host,
            watches: Mutex::default(),
        }
    }

    pub(in crate::cache) fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// The name of this host.
    pub(in crate::cache) fn host(&self) -> &str {
        &self.host
    }

    /// Drops what was seen of the lock of this model.
    pub(in crate::cache) fn forget(&self, key: &Key) {
        self.watches.lock().remove(key);
    }

    /// Takes both locks of a model, or says who has one. Never waits.
    ///
    /// # Errors
    ///
    /// The cache cannot be written.
    pub(in crate::cache) fn take(&self, key: &Key) -> Result<Result<Held, Holder>, Error> {
        let Some(claim) = Claim::take(&self.layout, key)? else {
            return Ok(Err(Holder::of_kernel_lock(&self.layout, key)));
        };
        let claim = match claim.lock(&self.host)? {
            Ok(held) => {
                self.forget(key);
                return Ok(Ok(held));
            }
            Err(claim) => claim,
        };
        if let Some(holder) = self.judge(key)? {
            return Ok(Err(holder));
        }
        match claim.lock(&self.host)? {
            Ok(held) => Ok(Ok(held)),
            // Somebody was faster: a new lock, and a new watch.
            Err(_claim) => Ok(Err(Holder {
                who: "another process".to_owned(),
                grown: 0,
                beat: None,
            })),
        }
    }

    /// Looks at a lock that is not ours; `None` if it is gone, or was removed because it means nothing any more.
    fn judge(&self, key: &Key) -> Result<Option<Holder>, Error> {
        let path = self.layout.lock(key);
        let Some(sight) = Sight::of(&self.layout, key, &self.host).context("read", &path)? else {
            return Ok(None);
        };
        let now = Instant::now();
        let verdict = {
            let mut watches = self.watches.lock();
            watches
                .entry(*key)
                .or_insert_with(|| Watch::new(&sight, now))
                .look(&sight, now)
        };
        if verdict == Verdict::Held {
            return Ok(Some(Holder::of(&sight)));
        }
        tracing::warn!(lock = %path.display(), holder = sight.text, ?verdict, "taking over an inactive lock");
        remove_lock(&path, &sight.text)?;
        if let (Verdict::Dead, Some(lock)) = (verdict, &sight.parsed) {
            trash::discard(&self.layout, key, &self.layout.staging(key, &lock.uid))?;
        }
        self.forget(key);
        Ok(None)
    }
}
