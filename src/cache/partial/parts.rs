//! The bytes of a model read by ranges, on disk, from one run to the next.
//!
//! ```text
//! parts/<sha1>/
//!   claim          flock(2) of the process that has them open, which has one on the directory too; its time is when that was
//!   plan.json      which files there are, and of which boot the map is
//!   map.<uid>      which blocks of them are in `data` (bitmap.rs), file after file in the order of the plan
//!   synced.<uid>   the same, as far as it is certain to outlive the machine
//!   data/<path>    the files, with holes where nothing has come yet
//! ```
//!
//! The map never says more than `data` holds: a bit is set after its block was written and cleared before the block is
//! given back. So it can be trusted after `kill -9`. After another boot it cannot, because the kernel writes back in any
//! order: `synced` is trusted then, and is removed, for good, before anything makes it untrue.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use parking_lot::{Mutex, RwLock};

use crate::os;
use crate::os::lock::Locked;

use super::super::dirs::base::Base;
use super::super::error::{Context, Error, if_there};
use super::super::layout::{FILE_MODE, Key, Layout, make_dir, new_uid};
use super::super::spec::FileSpec;
use super::super::trash;
use super::plan::{self, Kept, Plan};

/// Open parts. Only the holder of their claim has such a value.
#[derive(Debug)]
pub(in crate::cache) struct Parts {
    layout: Arc<Layout>,
    key: Key,
    pub(in crate::cache) plan: Plan,
    place: RwLock<Arc<Place>>,
    claim: Mutex<Option<Claim>>,
    /// Writers pass together, whoever gives blocks back alone; nobody once it is `false`.
    pub(in crate::cache) gate: RwLock<bool>,
    synced: Mutex<Synced>,
    /// Whether the map has changed since it was last synced.
    dirty: AtomicBool,
}

/// Where they lie.
#[derive(Debug)]
struct Place {
    /// The directory's name in `parts/`.
    name: String,
    top: Base,
    data: Arc<Base>,
    map: File,
}

impl Place {
    /// Opens a directory whose plan names a map that is there.
    fn open(layout: &Layout, name: String, data: Arc<Base>, plan: &Plan) -> io::Result<Place> {
        let top = Base::open(&layout.parts().join(&name))?;
        let map = os::beneath::open(top.dir(), Path::new(&plan.map_name()))?;
        Ok(Place {
            name,
            top,
            data,
            map,
        })
    }

    /// Whether its directories still have the names that they were opened by.
    fn is_there(&self) -> bool {
        self.top.is_there() && self.data.is_there()
    }
}

#[derive(Debug)]
struct Synced {
    /// Changes whenever blocks are about to be given back.
    generation: u64,
    exists: bool,
}

/// The right to use parts.
#[derive(Debug)]
pub(in crate::cache) struct Claim {
    file: Locked,
    /// Still there when somebody has removed the file.
    _dir: Locked,
}

/// The file whose lock is needed to use the parts in `dir`.
pub(in crate::cache) fn claim_of(dir: &Path) -> PathBuf {
    dir.join("claim")
}

/// Takes that right, without waiting. `None` if somebody has it.
pub(in crate::cache) fn claim(dir: &Path) -> io::Result<Option<Claim>> {
    let dir = Base::open(dir)?;
    let Some(locked) = Locked::try_lock(dir.dir().try_clone()?)? else {
        return Ok(None);
    };
    if !dir.is_there() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let file = Locked::open(&dir.path("claim"), FILE_MODE)?;
    Ok(file.map(|file| Claim { file, _dir: locked }))
}

impl Parts {
    /// Opens the parts of `id`, keeping what is still right of them, and says what that is, file by file. If another
    /// process has them open, these are new and gone with this value.
    ///
    /// # Errors
    ///
    /// The disk cannot be written, or failed. Damage is none: what is damaged is begun anew.
    pub(in crate::cache) fn open(
        layout: &Arc<Layout>,
        id: &str,
        boot: &str,
        files: &[FileSpec],
    ) -> Result<(Parts, Vec<Option<Kept>>), Error> {
        layout.prepare()?;
        let key = Key::of(id);
        let (name, claim) = take(layout, &key)?;
        let dir = layout.parts().join(&name);
        match Parts::load(layout, &name, id, boot, files) {
            Ok((parts, kept)) => {
                *parts.claim.lock() = Some(claim);
                parts.stamp();
                Ok((parts, kept))
            }
            Err(error @ (Error::NoSpace { .. } | Error::TooLarge { .. })) => Err(error),
            Err(error) => {
                tracing::warn!(id, %error, "what was kept of a model cannot be used, beginning anew");
                trash::discard_named(layout, &name, &dir)?;
                drop(claim);
                let (name, claim) = take(layout, &key)?;
                let (parts, kept) = Parts::load(layout, &name, id, boot, files)?;
                *parts.claim.lock() = Some(claim);
                Ok((parts, kept))
            }
        }
    }

    fn load(
        layout: &Arc<Layout>,
        name: &str,
        id: &str,
        boot: &str,
        files: &[FileSpec],
    ) -> Result<(Parts, Vec<Option<Kept>>), Error> {
        let dir = layout.parts().join(name);
        let top = Base::open(&dir).context("open", &dir)?;
        let data = dir.join("data");
        if make_dir(&data).is_err() {
            trash::discard_named(layout, name, &data)?;
            make_dir(&data)?;
        }
        let data = Arc::new(Base::open(&data).context("open", &data)?);
        let loaded = plan::load(&top, &data, id, boot, files)?;
        let plan::Loaded {
            plan,
            kept,
            unchanged,
        } = loaded;
        if !unchanged {
            plan::forget_synced(&top).context("change", &dir)?;
            plan.write(&top, &kept).context("write", &dir)?;
            plan::prune(&top, &data, &plan, &kept).context("clear", &dir)?;
        }
        let exists = fs::symlink_metadata(top.path(&plan.synced_name())).is_ok();
        let place = Place::open(layout, name.to_owned(), data, &plan).context("open", &dir)?;
        let parts = Parts {
            layout: layout.clone(),
            key: Key::of(id),
            plan,
            place: RwLock::new(Arc::new(place)),
            claim: Mutex::default(),
            gate: RwLock::new(true),
            synced: Mutex::new(Synced {
                generation: 0,
                exists,
            }),
            // What an earlier run wrote may not have been synced by it.
            dirty: AtomicBool::new(true),
        };
        Ok((parts, kept))
    }

    fn place(&self) -> Arc<Place> {
        self.place.read().clone()
    }

    /// The directory's name in `parts/`.
    pub(in crate::cache) fn name(&self) -> String {
        self.place().name.clone()
    }

    /// The directory of the files.
    pub(in crate::cache) fn data(&self) -> Arc<Base> {
        self.place().data.clone()
    }

    /// Whether nothing of them stays when they are closed: another process keeps those of this model, or somebody has taken
    /// these away.
    pub(in crate::cache) fn is_passing(&self) -> bool {
        let place = self.place();
        Key::parse(&place.name).is_none() || !place.is_there()
    }

    /// Makes the directories anew if somebody has taken them away, or at any rate if they are `broken`: every file that was
    /// in them is lost. Returns whether it did.
    ///
    /// # Errors
    ///
    /// The disk cannot be written, or failed; the parts are closed.
    pub(in crate::cache) fn restore(&self, broken: bool) -> Result<bool, Error> {
        let mut claim = self.claim.lock();
        if claim.is_none() {
            return Err(Error::Abandoned);
        }
        let place = self.place();
        if place.is_there() && !broken {
            return Ok(false);
        }
        tracing::warn!(
            parts = place.name,
            "the cache was cleared under an unfinished model, beginning anew"
        );
        let name = match place.top.is_there() {
            true => place.name.clone(),
            false => {
                self.layout.prepare()?;
                let (name, taken) = take(&self.layout, &self.key)?;
                *claim = Some(taken);
                name
            }
        };
        let dir = self.layout.parts().join(&name);
        let data = dir.join("data");
        trash::discard_named(&self.layout, &name, &data)?;
        make_dir(&data)?;
        let data = Arc::new(Base::open(&data).context("open", &data)?);
        let top = Base::open(&dir).context("open", &dir)?;
        let begin = || {
            plan::forget_synced(&top)?;
            if_there(os::beneath::remove(
                top.dir(),
                Path::new(&self.plan.map_name()),
            ))?;
            self.plan.write_new(&top)?;
            Place::open(&self.layout, name, data, &self.plan)
        };
        let begun = begin().context("write", &dir)?;
        let mut synced = self.synced.lock();
        synced.generation += 1;
        synced.exists = false;
        *self.place.write() = Arc::new(begun);
        Ok(true)
    }

    /// Writes bits into the map, which begin at byte `at` of it.
    pub(in crate::cache) fn save(&self, at: u64, bits: &[u8]) -> io::Result<()> {
        self.dirty.store(true, Ordering::Release);
        self.place().map.write_all_at(bits, at)
    }

    /// Removes the map: nothing of it will be trusted by a later run.
    pub(in crate::cache) fn forget_map(&self) -> io::Result<()> {
        if_there(os::beneath::remove(
            self.place().top.dir(),
            Path::new(&self.plan.map_name()),
        ))
        .map(drop)
    }

    /// To be called before a block is given back or lost. Afterwards the next boot trusts nothing, until the next sync.
    pub(in crate::cache) fn unsync(&self) -> io::Result<()> {
        let mut synced = self.synced.lock();
        synced.generation += 1;
        if synced.exists {
            plan::forget_synced(&self.place().top)?;
            synced.exists = false;
        }
        self.dirty.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether there is anything to sync, and what is to be given to [`Parts::synced`] afterwards.
    pub(in crate::cache) fn begin_sync(&self) -> Option<u64> {
        let generation = self.synced.lock().generation;
        self.dirty
            .swap(false, Ordering::AcqRel)
            .then_some(generation)
    }

    /// Says that the blocks of `map` are on the disk for good. `false`: some were given back meanwhile.
    pub(in crate::cache) fn synced(&self, generation: u64, map: &[u8]) -> io::Result<bool> {
        let top = &self.place().top;
        let temp = top.path("synced.tmp");
        if_there(fs::remove_file(&temp))?;
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(&temp)?;
        file.write_all_at(map, 0)?;
        file.sync_all()?;
        os::beneath::open_read(top.dir(), Path::new(plan::NAME))?.sync_all()?;
        let mut synced = self.synced.lock();
        if synced.generation != generation {
            self.dirty.store(true, Ordering::Release);
            fs::remove_file(&temp)?;
            return Ok(false);
        }
        fs::rename(&temp, top.path(&self.plan.synced_name()))?;
        synced.exists = true;
        top.dir().sync_all()?;
        Ok(true)
    }

    /// Ends all writing and giving back, as long as it is not reopened.
    pub(in crate::cache) fn shut(&self) {
        *self.gate.write() = false;
    }

    /// Unless the files have another name already.
    pub(in crate::cache) fn reopen(&self) {
        if self.data().is_there() {
            *self.gate.write() = true;
        }
    }

    /// Ends all writing and lets the claim go.
    pub(in crate::cache) fn close(&self) {
        *self.gate.write() = false;
        if self.is_passing() {
            self.remove();
        }
        self.stamp();
        drop(self.claim.lock().take());
    }

    /// Ends all writing, and takes everything away.
    pub(in crate::cache) fn remove(&self) {
        *self.gate.write() = false;
        let Some(claim) = self.claim.lock().take() else {
            return; // somebody else's by now
        };
        let place = self.place();
        let dir = self.layout.parts().join(&place.name);
        // Otherwise somebody has taken it away, and what has its name is another's.
        if place.top.is_there()
            && let Err(error) = trash::discard_named(&self.layout, &place.name, &dir)
        {
            tracing::warn!(%error, "cannot remove an unfinished model");
        }
        drop(claim);
    }

    fn stamp(&self) {
        if let Some(claim) = &*self.claim.lock()
            && let Err(error) = claim.file.file().set_modified(SystemTime::now())
        {
            tracing::debug!(%error, "cannot note when a model was used");
        }
    }
}

/// Makes the directory and takes its claim, or those of a new one if somebody else has it.
fn take(layout: &Layout, key: &Key) -> Result<(String, Claim), Error> {
    let name = key.to_string();
    let dir = layout.parts().join(&name);
    for _ in 0..4 {
        if make_dir(&dir).is_err() {
            trash::discard_named(layout, &name, &dir)?;
            make_dir(&dir)?;
        }
        match claim(&dir) {
            Ok(Some(claim)) => return Ok((name, claim)),
            Ok(None) => break,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {} // just being reclaimed
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => break,
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                return Err(Error::io("lock", dir, error));
            }
            Err(_) => trash::discard_named(layout, &name, &dir)?,
        }
    }
    let name = format!("{key}.{}", new_uid()?);
    let dir = layout.parts().join(&name);
    make_dir(&dir)?;
    match claim(&dir).context("lock", &dir)? {
        Some(claim) => Ok((name, claim)),
        None => Err(Error::Abandoned),
    }
}
