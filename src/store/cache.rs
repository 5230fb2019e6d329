//! A cache directory: what is in it, and who may fill what is not.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use crate::config::CacheSize;
use crate::os;

use super::budget::{Budget, DiskBudget};
use super::descriptor::Descriptor;
use super::entry::{self, Look};
use super::error::{Context, Error};
use super::filling::Filling;
use super::layout::{Key, Layout};
use super::lead::Lead;
use super::lock::{Claim, Held, Holder};
use super::locks::Locks;
use super::partial::{Home, Partial};
use super::parts::Parts;
use super::plain;
use super::ranged::Names;
use super::room::Room;
use super::sealed::Sealed;
use super::spec::{FileSpec, Options};
use super::trash;

/// One cache directory, which other processes, tensorflow_hub among them, use at the same time.
///
/// Every method touches the disk and none waits for anybody: fit for a blocking thread, not for a callback.
#[derive(Debug)]
pub struct Cache {
    /// Of the directory, if there is one.
    locks: Option<Arc<Locks>>,
    /// Why nothing new is kept, if so.
    unkept: Option<String>,
    /// What parts may take, where they are kept.
    disk: Option<Arc<Room>>,
    memory: Arc<Room>,
    /// Parts are trusted if they were left in the same one.
    pub(super) boot: String,
}

/// What a caller who wants to read a model by ranges is to do.
#[derive(Debug)]
pub enum Streaming {
    /// Nothing: it is complete.
    Sealed(Sealed),
    /// Fill it, as far as it is read.
    Partial(Partial),
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
    /// Opens a cache directory as [`Cache::with`] does, with nothing but the defaults.
    ///
    /// # Errors
    ///
    /// It cannot be made or read, or a later tfhub-fs has left its state there.
    pub fn open(root: &Path) -> Result<Cache, Error> {
        Cache::on_disk(root, &Options::default())
    }

    /// Opens a cache directory, creating it where missing, and removes what dead tfhub-fs processes left in it.
    ///
    /// Without one, or with one that cannot be made, models stream through memory. A directory that can be read and not
    /// written is opened too: what is complete there can be used.
    ///
    /// # Errors
    ///
    /// A later tfhub-fs has left its state there, or something that is not ours is in the place of our own directories.
    pub fn with(options: &Options) -> Result<Cache, Error> {
        let Some(dir) = &options.dir else {
            let why = "there is no cache directory";
            return Ok(Cache::in_memory(options, why.to_owned()));
        };
        match Cache::on_disk(dir, options) {
            Err(
                error @ (Error::Denied { .. }
                | Error::ReadOnly { .. }
                | Error::NoSpace { .. }
                | Error::Io { .. }),
            ) => {
                tracing::warn!(%error, "there is no cache: models can be streamed through memory only");
                Ok(Cache::in_memory(options, error.to_string()))
            }
            other => other,
        }
    }

    fn in_memory(options: &Options, why: String) -> Cache {
        Cache {
            locks: None,
            unkept: Some(why),
            disk: None,
            memory: Room::new(Budget::Memory(options.memory)),
            boot: String::new(),
        }
    }

    fn on_disk(root: &Path, options: &Options) -> Result<Cache, Error> {
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
        let layout = Arc::new(layout);
        let is_zero = |size: &CacheSize| size.bytes(u64::MAX) == 0;
        let keeps = !options.limit.as_ref().is_some_and(is_zero);
        let budget = DiskBudget::new(layout.clone(), options.limit, options.min_free);
        if writable {
            reclaim(&layout);
            budget.survey();
        }
        Ok(Cache {
            locks: Some(Arc::new(Locks::new(layout, host))),
            unkept: (!keeps).then(|| "its size is limited to 0".to_owned()),
            disk: keeps.then(|| Room::new(Budget::Disk(budget))),
            memory: Room::new(Budget::Memory(options.memory)),
            // Without one, nothing is trusted after a restart but what was synced.
            boot: os::host::boot_id().unwrap_or_default(),
        })
    }

    /// The cache directory, if there is one.
    pub fn root(&self) -> Option<&Path> {
        Some(self.locks.as_ref()?.layout.root())
    }

    /// How many bytes a new model may take, by the limit and by the disk, when parts of others are given back for it.
    pub fn room(&self) -> u64 {
        match self.disk.as_ref().map(|room| (room.used(), room.budget())) {
            Some((used, Budget::Disk(budget))) => budget.room(used),
            _ => 0,
        }
    }

    /// The model with this handle, if it is complete.
    ///
    /// # Errors
    ///
    /// Its entry is no directory, or cannot be read.
    pub fn sealed(&self, url: &str) -> Result<Option<Sealed>, Error> {
        let Some(locks) = &self.locks else {
            return Ok(None);
        };
        Ok(match entry::look(&locks.layout, &Key::of(url))? {
            Look::Whole(sealed) => Some(sealed),
            Look::Half(_) | Look::Missing => None,
        })
    }

    /// Finds a model, or goes on with filling it by ranges: with what earlier runs have left of these files, if anything.
    /// `id` is the model's handle, or names one version of an object. Without a usable directory it is filled in memory.
    ///
    /// # Errors
    ///
    /// Its entry is no directory; a name in the list is no plain relative path, or there twice; the disk is full.
    pub fn stream(
        &self,
        id: &str,
        files: Vec<FileSpec>,
        dirs: Vec<String>,
    ) -> Result<Streaming, Error> {
        if let Some(sealed) = self.sealed(id)? {
            return Ok(Streaming::Sealed(sealed));
        }
        let names = Names::vetted(&files, &dirs)?;
        let on_disk = match (&self.locks, &self.disk) {
            (Some(locks), Some(room)) => match Parts::open(&locks.layout, id, &self.boot, &files) {
                Ok((parts, kept)) => Some((locks, room, Arc::new(parts), kept)),
                Err(error @ Error::TooLarge { .. }) => return Err(error),
                Err(error) => {
                    tracing::warn!(id, %error, "streaming through memory");
                    None
                }
            },
            _ => None,
        };
        let Some((locks, room, parts, kept)) = on_disk else {
            let room = self.memory.clone();
            let filling = Filling::ranged(&files, names, None, room.clone());
            return Ok(Streaming::Partial(Partial::new(id, filling, None, room)));
        };
        if let Budget::Disk(budget) = room.budget() {
            budget.is_open(parts.name());
        }
        let on_disk = Some((parts.clone(), kept));
        let filling = Filling::ranged(&files, names, on_disk, room.clone());
        let locks = locks.clone();
        let home = Some(Home { parts, locks });
        Ok(Streaming::Partial(Partial::new(
            id,
            filling,
            home,
            room.clone(),
        )))
    }

    /// Finds a model, or takes the right to fill it. Never waits for another holder.
    ///
    /// An entry that is not whole is removed before it is filled again.
    ///
    /// # Errors
    ///
    /// Its entry is no directory; the cache cannot be written; there is none ([`Error::NoCache`]).
    pub fn begin(&self, url: &str) -> Result<Begin, Error> {
        if let Some(sealed) = self.sealed(url)? {
            if let Some(locks) = &self.locks {
                locks.forget(&Key::of(url));
            }
            return Ok(Begin::Sealed(sealed));
        }
        let locks = match (&self.locks, &self.unkept) {
            (Some(locks), None) => locks,
            (_, why) => {
                let why = why.clone().unwrap_or_default();
                return Err(Error::NoCache { why });
            }
        };
        // A cleaner may have taken even our own directories since the last time.
        locks.layout.prepare()?;
        match locks.take(&Key::of(url))? {
            Ok(held) => begin_locked(locks, held, url),
            Err(holder) => Ok(Begin::Busy(holder)),
        }
    }

    /// The handles of the models in the cache, sorted: those whose descriptor is there, whoever wrote it. Whether each is
    /// whole is not looked at.
    pub fn handles(&self) -> Vec<String> {
        let Some(locks) = &self.locks else {
            return Vec::new();
        };
        let layout = &locks.layout;
        let entries = std::fs::read_dir(layout.root())
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
                (Key::of(&handle) == key && layout.model(&key).is_dir()).then_some(handle)
            })
            .collect();
        handles.sort_unstable();
        handles
    }
}

/// The part of `begin` that nobody else is in: between its first look and the lock somebody may have finished the model.
fn begin_locked(locks: &Locks, held: Held, url: &str) -> Result<Begin, Error> {
    let key = held.key();
    match entry::look(&locks.layout, key)? {
        Look::Whole(sealed) => return Ok(Begin::Sealed(sealed)),
        Look::Half(flaw) => {
            tracing::warn!(model = url, entry = %key, %flaw, "the cached copy is not whole, fetching it again");
            entry::clear(&locks.layout, key)?;
        }
        Look::Missing => {}
    }
    Lead::new(held, url, &locks.host).map(Begin::Lead)
}

/// Removes staging directories and locks of dead tfhub-fs processes, and what is in the trash. What a living process
/// or tensorflow_hub holds is not touched; models are not looked at.
fn reclaim(layout: &Arc<Layout>) {
    let locks = std::fs::read_dir(layout.locks())
        .into_iter()
        .flatten()
        .flatten();
    for key in locks.filter_map(|entry| Key::parse(entry.file_name().to_str()?)) {
        // Taking the claim clears what a dead holder left, dropping it removes the lock's file.
        if let Err(error) = Claim::take(layout, &key) {
            tracing::warn!(%error, "cannot clear away an unfinished download");
        }
    }
    trash::purge(layout);
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
        let locks = cache.locks.unwrap();
        let held = locks.take(&key).unwrap().unwrap();
        std::fs::create_dir(locks.layout.model(&key)).unwrap();
        std::fs::write(locks.layout.model(&key).join("saved_model.pb"), "x").unwrap();
        assert!(matches!(
            begin_locked(&locks, held, url).unwrap(),
            Begin::Sealed(_)
        ));
        assert!(!locks.layout.lock(&key).exists());
    }
}
