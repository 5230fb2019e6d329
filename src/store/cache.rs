//! A cache directory: what is in it, and who may fill what is not.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use crate::os;

use super::descriptor::Descriptor;
use super::entry::{self, Look};
use super::error::{Context, Error};
use super::foreign::{Sight, Verdict, Watch};
use super::layout::{Key, Layout};
use super::lead::Lead;
use super::lock::{Claim, Held, Holder, remove_lock};
use super::plain;
use super::sealed::Sealed;
use super::trash;

/// One cache directory, which other processes, tensorflow_hub among them, use at the same time.
///
/// Every method touches the disk and none waits for anybody: fit for a blocking thread, not for a callback.
#[derive(Debug)]
pub struct Cache {
    layout: Arc<Layout>,
    host: String,
    /// What earlier calls of `begin` saw of locks that are not ours.
    watches: Mutex<HashMap<Key, Watch>>,
}

/// What a caller who wants a model is to do.
#[derive(Debug)]
pub enum Begin {
    /// Nothing: it is complete.
    Sealed(Sealed),
    /// Fill it.
    Lead(Lead),
    /// Ask again: somebody else fills it. tensorflow_hub asks every 5 seconds.
    Busy(Holder),
}

impl Cache {
    /// Opens a cache directory, creating it where missing, and removes what dead tfhub-fs processes left in it.
    ///
    /// A directory that can be read and not written is opened too: what is complete there can be used.
    ///
    /// # Errors
    ///
    /// It cannot be made or read, or a later tfhub-fs has left its state there.
    pub fn open(root: &Path) -> Result<Cache, Error> {
        let layout = Layout::new(os::path::absolute(root).context("find", root)?);
        let writable = match layout.prepare() {
            Ok(()) => true,
            Err(error @ (Error::Denied { .. } | Error::ReadOnly { .. }))
                if std::fs::read_dir(layout.root()).is_ok() =>
            {
                tracing::warn!(%error, "only what is complete in the cache can be used");
                false
            }
            Err(error) => return Err(error),
        };
        warn_of_owner(layout.root());
        let host = os::host::hostname().context("read", "the host name")?;
        let cache = Cache {
            layout: Arc::new(layout),
            host,
            watches: Mutex::default(),
        };
        if writable {
            cache.reclaim();
        }
        Ok(cache)
    }

    /// The cache directory.
    pub fn root(&self) -> &Path {
        self.layout.root()
    }

    /// The model with this handle, if it is complete.
    ///
    /// # Errors
    ///
    /// Its entry is no directory, or cannot be read.
    pub fn sealed(&self, url: &str) -> Result<Option<Sealed>, Error> {
        Ok(match entry::look(&self.layout, &Key::of(url))? {
            Look::Whole(sealed) => Some(sealed),
            Look::Half(_) | Look::Missing => None,
        })
    }

    /// Finds a model, or takes the right to fill it. Never waits for another holder.
    ///
    /// An entry that is not whole is removed before it is filled again.
    ///
    /// # Errors
    ///
    /// Its entry is no directory; the cache cannot be written.
    pub fn begin(&self, url: &str) -> Result<Begin, Error> {
        let key = Key::of(url);
        if let Look::Whole(sealed) = entry::look(&self.layout, &key)? {
            self.watches.lock().remove(&key);
            return Ok(Begin::Sealed(sealed));
        }
        // A cleaner may have taken even our own directories since the last time.
        self.layout.prepare()?;
        let Some(claim) = Claim::take(&self.layout, &key)? else {
            return Ok(Begin::Busy(Holder::of_kernel_lock(&self.layout, &key)));
        };
        let held = match self.lock(claim, &key)? {
            Ok(held) => held,
            Err(holder) => return Ok(Begin::Busy(holder)),
        };
        self.begin_locked(held, url)
    }

    /// The handles of the models in the cache, sorted: those whose descriptor is there, whoever wrote it. Whether each is
    /// whole is not looked at.
    pub fn handles(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.layout.root())
            .into_iter()
            .flatten()
            .flatten();
        let mut handles: Vec<String> = entries
            .filter_map(|entry| {
                let key = Key::parse(
                    entry
                        .file_name()
                        .to_str()?
                        .strip_suffix(".descriptor.txt")?,
                )?;
                let text = plain::read_text(&entry.path()).ok()?;
                let handle = Descriptor::parse(&text)?.handle;
                (Key::of(&handle) == key && self.layout.model(&key).is_dir()).then_some(handle)
            })
            .collect();
        handles.sort_unstable();
        handles
    }

    /// The part of `begin` that nobody else is in: between its first look and the lock somebody may have finished the model.
    fn begin_locked(&self, held: Held, url: &str) -> Result<Begin, Error> {
        let key = held.key();
        match entry::look(&self.layout, key)? {
            Look::Whole(sealed) => return Ok(Begin::Sealed(sealed)),
            Look::Half(flaw) => {
                tracing::warn!(model = url, entry = %key, %flaw, "the cached copy is not whole, fetching it again");
                entry::clear(&self.layout, key)?;
            }
            Look::Missing => {}
        }
        Lead::new(held, url, &self.host).map(Begin::Lead)
    }

    fn lock(&self, claim: Claim, key: &Key) -> Result<Result<Held, Holder>, Error> {
        let claim = match claim.lock(&self.host)? {
            Ok(held) => {
                self.watches.lock().remove(key);
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
        self.watches.lock().remove(key);
        Ok(None)
    }

    /// Removes staging directories and locks of dead tfhub-fs processes, and what is in the trash. What a living process
    /// or tensorflow_hub holds is not touched; models are not looked at.
    fn reclaim(&self) {
        let locks = std::fs::read_dir(self.layout.locks())
            .into_iter()
            .flatten()
            .flatten();
        for key in locks.filter_map(|entry| Key::parse(entry.file_name().to_str()?)) {
            // Taking the claim clears what a dead holder left, dropping it removes the lock's file.
            if let Err(error) = Claim::take(&self.layout, &key) {
                tracing::warn!(%error, "cannot clear away an unfinished download");
            }
        }
        trash::purge(&self.layout);
    }
}

/// Whoever owns the directory decides what root's mount shows to every user.
fn warn_of_owner(root: &Path) {
    let owner = std::fs::metadata(root).map_or(0, |meta| meta.uid());
    if os::own::uid() == 0 && owner != 0 {
        tracing::warn!(
            cache = %root.display(), owner,
            "the cache belongs to another user, who can change what this mount shows; give root a cache of its own"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_was_finished_before_the_lock_was_ours_is_not_filled_again() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        let (url, key) = ("https://h/a/1", Key::of("https://h/a/1"));
        let claim = Claim::take(&cache.layout, &key).unwrap().unwrap();
        let held = claim.lock(&cache.host).unwrap().unwrap();
        std::fs::create_dir(cache.layout.model(&key)).unwrap();
        std::fs::write(cache.layout.model(&key).join("saved_model.pb"), "x").unwrap();
        assert!(matches!(
            cache.begin_locked(held, url).unwrap(),
            Begin::Sealed(_)
        ));
        assert!(!cache.layout.lock(&key).exists());
    }
}
