//! A cache directory: what is in it, and who may fill what is not.

use std::path::Path;
use std::sync::Arc;

use super::budget::Budget;
use super::entry::{self, Look};
use super::error::Error;
use super::filling::Filling;
use super::layout::Key;
use super::lead::Lead;
use super::lock::{Held, Holder};
use super::locks::Locks;
use super::lower::Lower;
use super::partial::{Home, Partial};
use super::parts::Parts;
use super::ranged::Names;
use super::room::Room;
use super::sealed::Sealed;
use super::shared::SPARE;
use super::spec::FileSpec;
use crate::os::blocking;

/// One cache directory, which other processes, tensorflow_hub among them, use at the same time.
///
/// Every method touches the disk and none waits for anybody: fit for a blocking thread, not for a callback.
#[derive(Debug)]
pub struct Cache {
    /// Of the directory, if there is one.
    pub(super) locks: Option<Arc<Locks>>,
    /// The directory that was chosen, if that is not ours to write.
    pub(super) lower: Option<Lower>,
    /// Why nothing new is kept, if so.
    pub(super) unkept: Option<String>,
    /// What parts may take, where they are kept.
    pub(super) disk: Option<Arc<Room>>,
    pub(super) memory: Arc<Room>,
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
    /// The cache directory, if there is one.
    pub fn root(&self) -> Option<&Path> {
        Some(self.locks.as_ref()?.layout.root())
    }

    /// The directory that is served as it is below that one, if there is one.
    pub fn below(&self) -> Option<&Path> {
        Some(self.lower.as_ref()?.layout.root())
    }

    /// How many bytes a new model may take, by the limit and by the disk, when parts of others are given back for it.
    pub fn room(&self) -> u64 {
        match self.disk.as_ref().map(|room| (room.used(), room.budget())) {
            Some((used, Budget::Disk(budget))) => budget.room(used),
            _ => 0,
        }
    }

    /// From now on nothing that this process completes leaves to make room for what it does.
    pub fn keep_completed(&self) {
        if let Some(Budget::Disk(budget)) = self.disk.as_deref().map(Room::budget) {
            budget.keep_completed();
        }
    }

    /// The model with this handle, if it is complete.
    ///
    /// # Errors
    ///
    /// Its entry is no directory, or cannot be read.
    pub fn sealed(&self, url: &str) -> Result<Option<Sealed>, Error> {
        blocking::may_wait();
        let key = Key::of(url);
        if let Some(locks) = &self.locks
            && let Look::Whole(sealed) = entry::look(&locks.layout, &key)?
        {
            return Ok(Some(sealed));
        }
        Ok(self.lower.as_ref().and_then(|lower| lower.sealed(&key)))
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
            budget.idle.open(&parts.name());
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
        let take = || {
            // A cleaner may have taken even our own directories since the last time.
            locks.layout.prepare()?;
            match locks.take(&Key::of(url))? {
                Ok(held) => begin_locked(locks, held, url, self.disk.clone()),
                Err(holder) => Ok(Begin::Busy(holder)),
            }
        };
        match take() {
            // Others have filled the disk, and what may leave makes room even for a lock.
            Err(Error::NoSpace { .. }) if self.spare() => take(),
            taken => taken,
        }
    }

    /// Gives a little of the disk back, if so much may go.
    fn spare(&self) -> bool {
        let room = self.disk.as_ref();
        room.is_some_and(|room| room.spare(SPARE) > 0)
    }
}

/// The part of `begin` that nobody else is in: between its first look and the lock somebody may have finished the model.
fn begin_locked(
    locks: &Locks,
    held: Held,
    url: &str,
    room: Option<Arc<Room>>,
) -> Result<Begin, Error> {
    let key = held.key();
    let flaw = match entry::look(&locks.layout, key)? {
        Look::Whole(sealed) => return Ok(Begin::Sealed(sealed)),
        Look::Touched(touched) => match touched.mend(&locks.layout, key)? {
            Ok(sealed) => return Ok(Begin::Sealed(sealed)),
            Err(flaw) => Some(flaw),
        },
        Look::Half(flaw) => Some(flaw),
        Look::Missing => None,
    };
    if let Some(flaw) = flaw {
        tracing::warn!(model = url, entry = %key, %flaw, "the cached copy is not whole, fetching it again");
        entry::set_aside(&locks.layout, key)?;
        if let Some(Budget::Disk(budget)) = room.as_deref().map(Room::budget) {
            budget.ledger.forget(key);
        }
    }
    Lead::new(held, url, &locks.host, room).map(Begin::Lead)
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
            begin_locked(&locks, held, url, None).unwrap(),
            Begin::Sealed(_)
        ));
        assert!(!locks.layout.lock(&key).exists());
    }
}
