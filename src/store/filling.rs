//! A model whose files are arriving: one filler, many readers, and no reader ever waits here.
//!
//! An archive's files are appended one after another; `ranged.rs` is the other way, files of which any part may come.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use parking_lot::Mutex;

use super::base::Base;
use super::error::{Context, Error, Failure, if_there};
use super::fillfile::FillFile;
use super::index::{Attr, Child, Conflict, Entry, Index, is_plain};
use super::layout::create_new;
use super::room::Room;
use super::shared::Shared;
use super::staging::Staging;
use super::waiting::{Need, Progress, Wait, Waiters, Woken};
use super::writer::Writer;

/// The answer to a lookup in a filling.
#[derive(Clone, Debug)]
pub enum Found {
    /// A file; its size is exact, its bytes may still be arriving.
    File(Arc<FillFile>),
    /// A directory.
    Dir {
        /// Of the directory itself.
        mtime: SystemTime,
    },
    /// Every name is known, or a file is in the way, and this is none of them.
    Absent,
    /// Not known yet: wait for `Need::Name`.
    NotYet,
    /// The filling failed.
    Failed(Failure),
}

/// A staging directory and what is known of it.
///
/// Locks are held for lookups in memory only, never over a system call.
#[derive(Debug)]
pub struct Filling {
    pub(super) shared: Arc<Shared>,
    /// The directory under which the files lie; `None` in memory.
    pub(super) base: Option<Arc<Base>>,
    state: Mutex<State>,
    /// Of a range filling: its files, in the order of the plan.
    pub(super) ranged: Vec<Arc<FillFile>>,
    /// Of an archive's filling: what it takes of the disk.
    pub(super) staging: Option<Staging>,
    /// How many are reading all of it, so that nothing may be given back.
    pub(super) frozen: AtomicUsize,
}

#[derive(Debug)]
struct State {
    index: Index<Arc<FillFile>>,
    names_known: bool,
    sealed: bool,
    names: Waiters<String>,
    listings: Waiters<()>,
    seals: Waiters<()>,
}

impl Filling {
    /// `staging` is an empty directory that nobody else writes to; `room` gives back when its disk is full.
    pub(super) fn new(staging: &Path, room: Option<Arc<Room>>) -> Result<Filling, Error> {
        let base = Base::open(staging).context("open", staging)?;
        let counted = room.clone().map(|room| Staging::new(room, staging));
        let shared = Arc::new(Shared::new(room));
        let names = Index::new(SystemTime::now());
        let filling = Filling::of(shared, Some(Arc::new(base)), names, Vec::new());
        Ok(Filling {
            staging: counted,
            ..filling
        })
    }

    /// With `ranged`, every name is known, and is in `index`.
    pub(super) fn of(
        shared: Arc<Shared>,
        base: Option<Arc<Base>>,
        index: Index<Arc<FillFile>>,
        ranged: Vec<Arc<FillFile>>,
    ) -> Filling {
        let state = State {
            index,
            names_known: !ranged.is_empty(),
            sealed: false,
            names: Waiters::default(),
            listings: Waiters::default(),
            seals: Waiters::default(),
        };
        Filling {
            shared,
            base,
            state: Mutex::new(state),
            ranged,
            staging: None,
            frozen: AtomicUsize::new(0),
        }
    }

    /// Adds a directory and its missing parents, or sets the time of one that is there. "" is the model itself.
    ///
    /// # Errors
    ///
    /// The name is a file's or no plain relative path; the filling has failed.
    pub fn dir(&self, path: &str, mtime: SystemTime) -> Result<(), Error> {
        if !path.is_empty() {
            vet(path)?;
        }
        let missing = self.state.lock().index.missing(path, true);
        self.add_dirs(path, missing)?;
        self.change(|state| state.index.add_dir(path, mtime))
    }

    /// Starts a file of exactly `size` bytes and adds its missing parents. An earlier file of the same name is replaced.
    ///
    /// # Errors
    ///
    /// As [`Filling::dir`]; the disk is full or failed.
    pub fn file(&self, path: &str, size: u64, mtime: SystemTime) -> Result<Writer, Error> {
        vet(path)?;
        let Some(base) = self.base.clone().filter(|_| self.ranged.is_empty()) else {
            return Err(Error::Abandoned);
        };
        let (missing, earlier) = {
            let mut state = self.state.lock();
            if let Some(Entry::Dir(_)) = state.index.get(path) {
                return Err(Error::DirAndFile {
                    name: path.to_owned(),
                    what: path.to_owned(),
                });
            }
            (
                state.index.missing(path, false),
                state.index.remove_file(path),
            )
        };
        if !self
            .staging
            .as_ref()
            .is_none_or(|staging| staging.grow(size))
        {
            return Err(Error::Full {
                name: path.to_owned(),
                size,
            });
        }
        let (real, shown) = (base.path(path), base.shown(path));
        if let Some(earlier) = earlier {
            earlier.replace();
            if_there(std::fs::remove_file(&real)).context("replace", &shown)?;
        }
        self.add_dirs(path, missing)?;
        let disk = Arc::new(create(&base, path).context("create", &shown)?);
        let shared = self.shared.clone();
        let file = Arc::new(FillFile::appended(path, size, mtime, shared, (base, &disk)));
        self.change(|state| state.index.add_file(path, file.clone()))?;
        Ok(Writer::new(file, disk))
    }

    /// Says that every name has been added: what is not there now does not exist.
    pub fn names_known(&self) {
        let mut woken = Woken::default();
        {
            let mut state = self.state.lock();
            state.names_known = true;
            state.names.take_all(&mut woken);
            state.listings.take_all(&mut woken);
        }
        woken.wake();
    }

    /// Ends the filling as failed: all waiters wake, and every read from now on is `why`. The first reason stays; a sealed
    /// model cannot fail any more.
    pub fn fail(&self, why: Failure) {
        let mut woken = Woken::default();
        let files: Vec<Arc<FillFile>> = {
            let mut state = self.state.lock();
            if state.sealed || self.shared.failure.set(why).is_err() {
                return;
            }
            state.names.take_all(&mut woken);
            state.listings.take_all(&mut woken);
            state.seals.take_all(&mut woken);
            state.index.files().map(|(_, file)| file.clone()).collect()
        };
        woken.wake();
        for file in files {
            file.wake_all();
        }
    }

    /// Why the filling failed, if it did.
    pub fn failure(&self) -> Option<Failure> {
        self.shared.failure.get().cloned()
    }

    /// Looks a path up; "" is the model itself.
    pub fn find(&self, path: &str) -> Found {
        match self.failure() {
            Some(why) => Found::Failed(why),
            None => self.state.lock().find(path),
        }
    }

    /// The listing of a directory, sorted by name: `None` until every name is known (wait for `Need::Names`), after a
    /// failure, and for what is no directory.
    pub fn children(&self, dir: &str) -> Option<Vec<Child>> {
        let state = self.state.lock();
        if !state.names_known || self.shared.failure.get().is_some() {
            return None;
        }
        let child = |(name, entry): (&str, Entry<'_, Arc<FillFile>>)| Child {
            name: name.to_owned(),
            attr: match entry {
                Entry::Dir(mtime) => Attr::Dir { mtime },
                Entry::File(file) => Attr::File {
                    size: file.size(),
                    mtime: file.mtime(),
                },
            },
        };
        Some(state.index.children(dir)?.map(child).collect())
    }

    /// A future that resolves when `need` is met or never will be: look again then. At once, if so already.
    pub fn changed(&self, need: Need) -> Wait {
        if let Need::Bytes { file, range } = need {
            return file.wait(range);
        }
        let mut state = self.state.lock();
        // `fail` sets the failure under this lock, so that no wake-up is lost.
        if self.shared.failure.get().is_some() {
            return Wait::over();
        }
        match need {
            Need::Name(name) if state.is_open(&name) => state.names.add(name),
            Need::Names if !state.names_known => state.listings.add(()),
            Need::Sealed if !state.sealed => state.seals.add(()),
            _ => Wait::over(),
        }
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        *self.shared.progress.lock()
    }

    /// Every name with what must be true of it on disk.
    ///
    /// # Errors
    ///
    /// The model is not complete, and so must not be sealed.
    pub(super) fn contents(&self) -> Result<Contents, Error> {
        if let Some(why) = self.failure() {
            return Err(Error::Failed(why));
        }
        let path = || {
            let base = self.base.as_ref();
            base.map_or_else(PathBuf::new, |base| base.named().to_path_buf())
        };
        let state = self.state.lock();
        if !state.names_known {
            return Err(Error::NamesOpen { path: path() });
        }
        let mut files = HashMap::new();
        for (name, file) in state.index.files() {
            if !file.is_complete() {
                return Err(Error::TooShort {
                    name,
                    size: file.size(),
                    got: file.bytes_present(),
                });
            }
            files.insert(name, (file.size(), *file.crc32c.lock()));
        }
        if files.is_empty() {
            return Err(Error::Empty { path: path() });
        }
        let dirs = state
            .index
            .dirs()
            .map(|(name, mtime)| (name.to_owned(), mtime))
            .collect();
        Ok(Contents { files, dirs })
    }

    pub(super) fn set_sealed(&self) {
        let mut woken = Woken::default();
        {
            let mut state = self.state.lock();
            state.sealed = true;
            self.shared.sealed.store(true, Ordering::Release);
            state.seals.take_all(&mut woken);
        }
        woken.wake();
    }

    /// Adds directories to the names. On the disk they are made when a file needs them, and the rest at sealing: an
    /// archive that is nothing but directories costs the disk nothing before it is refused.
    fn add_dirs(&self, path: &str, missing: Result<Vec<String>, Conflict>) -> Result<(), Error> {
        let missing = missing.map_err(|Conflict(what)| Error::DirAndFile {
            name: path.to_owned(),
            what,
        })?;
        for dir in missing {
            self.change(|state| state.index.add_dir(&dir, SystemTime::now()))?;
        }
        Ok(())
    }

    /// Changes the names, unless the filling has failed, and wakes those who waited for one of them.
    fn change(&self, change: impl FnOnce(&mut State)) -> Result<(), Error> {
        let mut woken = Woken::default();
        {
            let mut state = self.state.lock();
            if let Some(why) = self.failure() {
                return Err(Error::Failed(why));
            }
            change(&mut state);
            let mut names = std::mem::take(&mut state.names);
            names.take_met(&mut woken, |name| !state.is_open(name));
            state.names = names;
        }
        woken.wake();
        self.shared.grow(0);
        Ok(())
    }
}

impl State {
    fn find(&self, path: &str) -> Found {
        match self.index.get(path) {
            Some(Entry::File(file)) => Found::File(file.clone()),
            Some(Entry::Dir(mtime)) => Found::Dir { mtime },
            None if self.names_known || self.index.is_under_file(path) => Found::Absent,
            None => Found::NotYet,
        }
    }

    fn is_open(&self, path: &str) -> bool {
        matches!(self.find(path), Found::NotYet)
    }
}

/// What a complete filling consists of.
#[derive(Debug)]
pub(super) struct Contents {
    /// Path, size in bytes, and checksum, if that is known.
    pub(super) files: HashMap<String, (u64, Option<u32>)>,
    /// Path and time, the model itself ("") included.
    pub(super) dirs: Vec<(String, SystemTime)>,
}

/// Creates a file, and the directories above it that are not on the disk yet.
fn create(base: &Base, path: &str) -> io::Result<File> {
    let real = base.path(path);
    match create_new(&real) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some((parent, _)) = path.rsplit_once('/') {
                base.make_dir(parent)?;
            }
            create_new(&real)
        }
        created => created,
    }
}

pub(super) fn vet(path: &str) -> Result<(), Error> {
    if is_plain(path) {
        Ok(())
    } else {
        Err(Error::BadName {
            name: path.to_owned(),
        })
    }
}
