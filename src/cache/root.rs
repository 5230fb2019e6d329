//! A cache directory: what is in it, and who may fill what is not.

use std::path::Path;
use std::sync::Arc;

use crate::os;

use super::adopt::note_use;
use super::error::Error;
use super::fill::filling::Filling;
use super::fill::lead::Lead;
use super::fill::partial::{Home, Partial};
use super::fill::ranged::Names;
use super::fill::shared::SPARE;
use super::layers::Layer;
use super::layout::{Key, Layout};
use super::lock::Locks;
use super::lock::{Held, Holder};
use super::partial::parts::Parts;
use super::sealed::Sealed;
use super::sealed::entry::{self, EntryState};
use super::sealed::file_tree::FileTree;
use super::sealed::manifest::Manifest;
use super::space::budget::Budget;
use super::space::room::Room;
use super::spec::FileSpec;
use crate::os::blocking;

/// One cache directory, which other processes, tensorflow_hub among them, use at the same time.
///
/// Every method touches the disk and none waits for anybody: fit for a blocking thread, not for a callback.
#[derive(Debug)]
pub struct Cache {
    /// Ours first, if there is one.
    layers: Vec<Layer>,
    /// Why nothing new is kept, if so.
    unkept: Option<String>,
    /// What parts may take, where they are kept.
    disk: Option<Arc<Room>>,
    memory: Arc<Room>,
    /// Parts are trusted if they were left in the same one.
    boot: String,
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
        Some(self.own()?.layout().root())
    }

    /// The directory that is served as it is below that one, if there is one.
    pub fn below(&self) -> Option<&Path> {
        self.read_only_layouts().next().map(Layout::root)
    }

    /// A cache of these layers. Without `disk`, what is filled stays in `memory`, and `unkept` says why.
    pub(super) fn new(
        layers: Vec<Layer>,
        disk: Result<Arc<Room>, String>,
        memory: Arc<Room>,
    ) -> Cache {
        let (disk, unkept) = match disk {
            Ok(disk) => (Some(disk), None),
            Err(why) => (None, Some(why)),
        };
        Cache {
            layers,
            unkept,
            disk,
            memory,
            // Without one, nothing is trusted after a restart but what was synced.
            boot: os::host::boot_id().unwrap_or_default(),
        }
    }

    /// Pretends that the host was booted again.
    #[cfg(test)]
    pub(super) fn boot_as(&mut self, boot: String) {
        self.boot = boot;
    }

    /// Adds a place that is asked after the others.
    pub(super) fn add(&mut self, layer: Option<Layer>) {
        self.layers.extend(layer);
    }

    pub(super) fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The directory that is ours to write, if there is one.
    pub(super) fn own(&self) -> Option<&Arc<Locks>> {
        self.layers.iter().find_map(|layer| match layer {
            Layer::Own(locks) => Some(locks),
            _ => None,
        })
    }

    /// What parts may take, where they are kept.
    pub(super) fn disk(&self) -> Option<&Arc<Room>> {
        self.disk.as_ref()
    }

    /// Directories in tensorflow_hub's layout, ours first.
    pub(super) fn layouts(&self) -> impl Iterator<Item = &Layout> {
        self.layers.iter().filter_map(Layer::layout)
    }

    /// Those of them that are not ours to write.
    pub(super) fn read_only_layouts(&self) -> impl Iterator<Item = &Layout> {
        let read_only = |layer: &&Layer| matches!(layer, Layer::ReadOnly(_));
        self.layers
            .iter()
            .filter(read_only)
            .filter_map(Layer::layout)
    }

    /// Every directory that complete models are read from.
    pub fn dirs(&self) -> impl Iterator<Item = &Path> {
        self.layers.iter().map(|layer| match layer {
            Layer::Own(locks) => locks.layout().root(),
            Layer::ReadOnly(dir) => dir.layout().root(),
            Layer::Kagglehub(root) => root,
        })
    }

    /// Whether kagglehub's cache is asked too, which may lie on another disk.
    pub fn asks_kagglehub(&self) -> bool {
        let is_kagglehub = |layer: &Layer| matches!(layer, Layer::Kagglehub(_));
        self.layers.iter().any(is_kagglehub)
    }

    /// [`Error::NoCache`], with the reason why nothing is kept.
    pub(super) fn unkept(&self) -> Error {
        Error::NoCache {
            why: self.unkept.clone().unwrap_or_default(),
        }
    }

    /// Whether a directory lies in one of the caches that models are served from.
    pub fn has_dir(&self, dir: &Path) -> bool {
        self.layouts().any(|layout| dir.starts_with(layout.root()))
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
        self.first(|layer| layer.sealed(url))
    }

    /// Mends a model whose entry somebody has touched, if that takes nothing but the disk. `None`: it is not here, or has to
    /// be fetched. May take as long as reading it does.
    ///
    /// # Errors
    ///
    /// The disk failed, or cannot be written.
    pub fn mend(&self, url: &str) -> Result<Option<Sealed>, Error> {
        self.first(|layer| layer.mend(url))
    }

    fn first<T>(
        &self,
        look: impl Fn(&Layer) -> Result<Option<T>, Error>,
    ) -> Result<Option<T>, Error> {
        let mut found = self.layers.iter().map(look);
        found.find_map(Result::transpose).transpose()
    }

    /// The names in a model that was complete here before, wherever its bytes are now.
    pub fn file_tree(&self, url: &str) -> Option<FileTree> {
        blocking::may_wait();
        let key = Key::of(url);
        self.layouts()
            .find_map(|layout| Manifest::read(layout, &key)?.file_tree())
    }

    /// Records that a model is used now, so that it is evicted last; and the model itself, if others have put it here.
    pub fn record_use(&self, url: &str) {
        let Some(locks) = self.own() else { return };
        let key = Key::of(url);
        if let Err(error) = note_use(locks.layout(), &key, url) {
            tracing::debug!(model = url, %error, "cannot note that a model is used");
        }
        if let Some(Budget::Disk(budget)) = self.disk().map(|room| room.budget()) {
            budget.record_use(&key);
        }
    }

    /// The models that may be evicted, in the order in which they would be.
    pub fn next_to_leave(&self) -> Vec<Key> {
        match self.disk().map(|room| room.budget()) {
            Some(Budget::Disk(budget)) => budget.next_to_leave(),
            _ => Vec::new(),
        }
    }

    /// Forgets what is known of the disk: it has changed.
    pub(super) fn look_again(&self) {
        if let Some(Budget::Disk(budget)) = self.disk().map(|room| room.budget()) {
            budget.look_again();
        }
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
        let on_disk = match (self.own(), &self.disk) {
            (Some(locks), Some(room)) => {
                match Parts::open(locks.layout(), id, &self.boot, &files) {
                    Ok((parts, kept)) => Some((locks, room, Arc::new(parts), kept)),
                    Err(error @ Error::TooLarge { .. }) => return Err(error),
                    Err(error) => {
                        tracing::warn!(id, %error, "streaming through memory");
                        None
                    }
                }
            }
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
            if let Some(locks) = self.own() {
                locks.forget(&Key::of(url));
            }
            return Ok(Begin::Sealed(sealed));
        }
        let locks = match (self.own(), &self.unkept) {
            (Some(locks), None) => locks,
            _ => return Err(self.unkept()),
        };
        let take = || {
            // A cleaner may have taken even our own directories since the last time.
            locks.layout().prepare()?;
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
    let flaw = match entry::state(locks.layout(), key)? {
        EntryState::Whole(sealed) => return Ok(Begin::Sealed(sealed)),
        EntryState::Touched(touched) => match touched.mend(locks.layout(), key)? {
            Ok(sealed) => return Ok(Begin::Sealed(sealed)),
            Err(flaw) => Some(flaw),
        },
        EntryState::Half(flaw) => Some(flaw),
        EntryState::Missing => None,
    };
    if let Some(flaw) = flaw {
        tracing::warn!(model = url, entry = %key, %flaw, "the cached copy is not whole, fetching it again");
        entry::set_aside(locks.layout(), key)?;
        if let Some(Budget::Disk(budget)) = room.as_deref().map(Room::budget) {
            budget.ledger.forget(key);
        }
    }
    Lead::new(held, url, locks.host(), room).map(Begin::Lead)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_was_finished_before_the_lock_was_ours_is_not_filled_again() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        let (url, key) = ("https://h/a/1", Key::of("https://h/a/1"));
        let locks = cache.own().unwrap().clone();
        let held = locks.take(&key).unwrap().unwrap();
        std::fs::create_dir(locks.layout().model(&key)).unwrap();
        std::fs::write(locks.layout().model(&key).join("saved_model.pb"), "x").unwrap();
        assert!(matches!(
            begin_locked(&locks, held, url, None).unwrap(),
            Begin::Sealed(_)
        ));
        assert!(!locks.layout().lock(&key).exists());
    }
}
