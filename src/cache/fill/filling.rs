//! A model whose files are arriving: one filler, many readers, and no reader ever waits here.
//!
//! An archive's files are appended one after another (`appending.rs`); `ranged.rs` is the other way, files of which any part
//! may come.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use parking_lot::{Mutex, MutexGuard};

use crate::os;

use super::super::error::{Error, Failure};
use super::super::sealed::index::{Attr, Child, Entry, Index};
use super::super::sealed::publish::Contents;
use super::super::space::room::Room;
use super::fillfile::FillFile;
use super::shared::Shared;
use super::site::Site;
use super::waiting::{Need, Progress, Wait, Waiters, Woken};
use crate::handle::is_plain_path;

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
    pub(in crate::cache) shared: Arc<Shared>,
    /// Where the files lie; `None` in memory.
    site: Option<Arc<Site>>,
    state: Mutex<State>,
    /// Of a range filling: its files, in the order of the plan.
    pub(super) ranged: Vec<Arc<FillFile>>,
    /// How many are reading all of it, so that nothing may be given back.
    pub(super) frozen: AtomicUsize,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) index: Index<Arc<FillFile>>,
    pub(super) names_known: bool,
    sealed: bool,
    names: Waiters<String>,
    listings: Waiters<()>,
}

impl Filling {
    /// Of an archive; at `site`. A full disk asks `room` to give back.
    pub(super) fn new(site: Arc<Site>, room: Option<Arc<Room>>) -> Filling {
        let names = Index::new(SystemTime::now());
        let shared = Arc::new(Shared::new(room));
        Filling::of(shared, Some(site), names, Vec::new())
    }

    /// With `ranged`, every name is known, and is in `index`.
    pub(super) fn of(
        shared: Arc<Shared>,
        site: Option<Arc<Site>>,
        index: Index<Arc<FillFile>>,
        ranged: Vec<Arc<FillFile>>,
    ) -> Filling {
        let state = State {
            index,
            names_known: !ranged.is_empty(),
            sealed: false,
            names: Waiters::default(),
            listings: Waiters::default(),
        };
        Filling {
            shared,
            site,
            state: Mutex::new(state),
            ranged,
            frozen: AtomicUsize::new(0),
        }
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
            state.index.files().map(|(_, file)| file.clone()).collect()
        };
        woken.wake();
        for file in files {
            file.wake_all();
        }
    }

    /// Where the files lie.
    pub(in crate::cache) fn site(&self) -> Option<&Arc<Site>> {
        self.site.as_ref()
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
            _ => Wait::over(),
        }
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        *self.shared.progress.lock()
    }

    pub(super) fn set_sealed(&self) {
        let mut state = self.state.lock();
        state.sealed = true;
        self.shared.sealed.store(true, Ordering::Release);
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Changes the names, unless the filling has failed, and wakes those who waited for one of them.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> Result<T, Error> {
        let mut woken = Woken::default();
        let changed = {
            let mut state = self.state.lock();
            if let Some(why) = self.failure() {
                return Err(Error::Failed(why));
            }
            let changed = change(&mut state);
            let mut names = std::mem::take(&mut state.names);
            names.take_met(&mut woken, |name| !state.is_open(name));
            state.names = names;
            if state.names_known {
                state.listings.take_all(&mut woken);
            }
            changed
        };
        woken.wake();
        self.shared.grow(0);
        Ok(changed)
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

pub(super) fn vet(path: &str) -> Result<(), Error> {
    if is_plain_path(path) {
        Ok(())
    } else {
        Err(Error::BadName {
            name: path.to_owned(),
        })
    }
}

impl Filling {
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
            let site = self.site();
            site.map_or_else(PathBuf::new, |site| os::fs::shown(site.base.named()))
        };
        let state = self.state();
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
}
