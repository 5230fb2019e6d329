//! A filling whose bytes come in any order: every name is known from the start.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use super::super::error::Error;
use super::super::partial::parts::Parts;
use super::super::partial::plan::Kept;
use super::super::partial::sparse::Sparse;
use super::super::sealed::index::{Conflict, Index};
use super::super::space::reservation::Stake;
use super::super::space::room::Room;
use super::super::space::turns::Turn;
use super::super::spec::FileSpec;
use super::demand::Demand;
use super::fillfile::{Body, FillFile};
use super::filling::{Filling, Found, vet};
use super::shared::Shared;
use super::site::Site;

/// The parts of a filling on disk, and what is there of each file.
pub(super) type OnDisk = (Arc<Parts>, Vec<Option<Kept>>);

impl Filling {
    /// A filling of `files`, which were vetted; in memory, if it has no parts on disk.
    pub(in crate::cache) fn ranged(
        files: &[FileSpec],
        names: Names,
        on_disk: Option<OnDisk>,
        room: Arc<Room>,
    ) -> Arc<Filling> {
        let parts = on_disk.as_ref().map(|(parts, _)| parts.clone());
        let kept = on_disk.map(|(_, kept)| kept).unwrap_or_default();
        let sizes = files.iter().map(|file| file.size);
        let whole = sizes.fold(0, u64::saturating_add);
        let filling = Arc::new_cyclic(|me| {
            let stake = Stake::new(room.clone(), whole);
            let shared = Arc::new(Shared::ranged(stake, me.clone()));
            let made = make(files, kept, parts.as_ref(), &shared);
            let mut index = names.0;
            for file in &made {
                index.add_file(file.path(), file.clone());
            }
            let site = parts.map(|parts| Arc::new(Site::of(parts.data())));
            Filling::of(shared, site, index, made)
        });
        room.enter(&filling);
        filling
    }

    /// Tells `demand` of every read from now on, instead of whom it told before. It should not keep the filling alive.
    pub fn on_read(&self, demand: Arc<dyn Demand>) {
        self.shared.set_demand(Some(demand));
    }

    /// The files of a range filling, in the order they were given in; none of an archive's.
    pub fn files(&self) -> &[Arc<FillFile>] {
        &self.ranged
    }

    /// A file by its path.
    pub fn get(&self, path: &str) -> Option<Arc<FillFile>> {
        match self.find(path) {
            Found::File(file) => Some(file),
            _ => None,
        }
    }

    /// Whether every byte of every file is present.
    #[cfg(test)]
    pub fn is_complete(&self) -> bool {
        self.ranged.iter().all(|file| file.is_complete())
    }

    /// Reserves space for all of a range filling, so that nothing of it is given back: beside other models that are to come
    /// whole, or after them. To be called again when a write was refused ([`FillFile::write_at`]). Looks at the disk.
    ///
    /// # Errors
    ///
    /// [`Error::TooSmall`]: it does not fit.
    pub fn reserve(&self) -> Result<Turn, Error> {
        match &self.shared.stake {
            Some(stake) => stake.reserve().map_err(Error::TooSmall),
            None => Ok(Turn::Reserved),
        }
    }

    /// Whether its bytes may be given back.
    pub(in crate::cache) fn may_shrink(&self) -> bool {
        let is_reserved = |stake: &Stake| stake.is_reserved();
        !self.is_frozen() && !self.shared.stake.as_ref().is_some_and(is_reserved)
    }

    /// Nothing is given back while the answer lives.
    pub(super) fn freeze(&self) -> Frozen<'_> {
        self.frozen.fetch_add(1, Ordering::AcqRel);
        Frozen(self)
    }

    fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::Acquire) > 0
    }
}

fn make(
    files: &[FileSpec],
    kept: Vec<Option<Kept>>,
    parts: Option<&Arc<Parts>>,
    shared: &Arc<Shared>,
) -> Vec<Arc<FillFile>> {
    let offsets = parts.map(|parts| parts.plan.offsets()).unwrap_or_default();
    let mut kept = kept.into_iter();
    let make = |(number, spec): (usize, &FileSpec)| {
        let kept = kept.next().flatten();
        let body = match parts {
            None => Body::Memory,
            Some(parts) => Body::Sparse(Box::new(Sparse::new(
                parts.clone(),
                &spec.path,
                spec.size,
                offsets.get(number).copied().unwrap_or(0),
                kept.as_ref().map(|kept| kept.inode),
            ))),
        };
        let (size, mtime) = (spec.size, spec.mtime);
        let file = FillFile::new(&spec.path, size, mtime, spec.hashes, shared.clone(), body);
        if let Some(kept) = kept {
            let mut map = file.map.lock();
            for range in kept.presence.ranges() {
                map.segments.found(range);
            }
            if let Some(stake) = &shared.stake {
                stake.begin_with(kept.presence.bytes());
            }
            map.present = kept.presence;
        }
        Arc::new(file)
    };
    files.iter().enumerate().map(make).collect()
}

/// See [`Filling::freeze`].
#[derive(Debug)]
pub(super) struct Frozen<'a>(&'a Filling);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        self.0.frozen.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The names of a model, every one of them a plain relative path, and none a file and a directory at once.
#[derive(Debug)]
pub(in crate::cache) struct Names(Index<Arc<FillFile>>);

impl Names {
    /// # Errors
    ///
    /// The first name that is not so; a name that appears twice; no name at all.
    pub(in crate::cache) fn vetted(files: &[FileSpec], dirs: &[String]) -> Result<Names, Error> {
        if files.is_empty() {
            return Err(Error::Empty { path: "".into() });
        }
        let mut taken: Vec<&str> = files.iter().map(|file| &*file.path).collect();
        taken.sort_unstable();
        let mut index = Index::new(SystemTime::now());
        let dirs = dirs.iter().map(|dir| (&**dir, true));
        let files = files.iter().map(|file| (&*file.path, false));
        for (path, is_dir) in dirs.chain(files) {
            vet(path)?;
            let collides = |what: &str| Error::DirAndFile {
                name: path.to_owned(),
                what: what.to_owned(),
            };
            let missing = index.missing(path, is_dir);
            for dir in missing.map_err(|Conflict(what)| collides(&what))? {
                if taken.binary_search(&&*dir).is_ok() {
                    return Err(collides(&dir));
                }
                index.add_dir(&dir, SystemTime::now());
            }
            if !is_dir && index.get(path).is_some() {
                return Err(collides(path));
            }
        }
        match taken.windows(2).find(|two| two.first() == two.last()) {
            Some(twice) => Err(Error::Twice {
                name: twice.first().copied().unwrap_or_default().to_owned(),
            }),
            None => Ok(Names(index)),
        }
    }
}
