//! The one filler of a model, or an object, that comes by ranges.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::super::error::{Context, Error, Failure};
use super::super::layout::Key;
use super::super::lock::Holder;
use super::super::lock::locks::Locks;
use super::super::partial::bitmap;
use super::super::partial::parts::Parts;
use super::super::partial::plan;
use super::super::sealed::Sealed;
use super::super::sealed::publish::{Entry, SYNC_EACH, make_durable};
use super::super::space::budget::Budget;
use super::super::space::room::Room;
use super::fillfile::Body;
use super::filling::Filling;

/// The right to fill one model, or one object, by ranges. Dropped, it fails the filling for its readers, and what is on disk
/// stays for the next one.
///
/// Its methods may take as long as the disk needs.
#[derive(Debug)]
pub struct Partial {
    filling: Arc<Filling>,
    home: Option<Home>,
    id: String,
    room: Arc<Room>,
    /// Where the bytes come from, without secrets.
    origin: Option<String>,
    /// One verifies or seals at a time.
    ending: Mutex<()>,
    /// Nothing is left to be done when it is dropped.
    over: AtomicBool,
}

/// Where it is on disk.
#[derive(Debug)]
pub(in crate::cache) struct Home {
    pub(in crate::cache) parts: Arc<Parts>,
    pub(in crate::cache) locks: Arc<Locks>,
}

/// What became of an attempt to seal.
#[derive(Debug)]
pub enum Sealing {
    /// It is a complete model of the cache now.
    Sealed(Sealed),
    /// Somebody else fills the same model: ours stays complete, and can be tried again. tensorflow_hub tries every 5 seconds.
    Busy(Holder),
    /// It is in memory, where nothing can be sealed.
    InMemory,
}

impl Partial {
    pub(in crate::cache) fn new(
        id: &str,
        filling: Arc<Filling>,
        home: Option<Home>,
        room: Arc<Room>,
    ) -> Partial {
        Partial {
            filling,
            home,
            id: id.to_owned(),
            room,
            origin: None,
            ending: Mutex::default(),
            over: AtomicBool::new(false),
        }
    }

    /// Says where the bytes come from, without secrets.
    pub fn comes_from(&mut self, origin: &str) {
        self.origin = Some(origin.to_owned());
    }

    /// What is being filled.
    pub fn filling(&self) -> Arc<Filling> {
        self.filling.clone()
    }

    /// Whether every byte is present.
    #[cfg(test)]
    pub fn is_complete(&self) -> bool {
        self.filling.is_complete()
    }

    /// Whether it is in memory, and so gone with this process.
    pub fn is_in_memory(&self) -> bool {
        self.home.is_none()
    }

    /// How much all fillings that share memory, or the disk, with this one may take together. To read ahead by more than a
    /// share of it is to fetch bytes twice.
    pub fn limit(&self) -> u64 {
        self.room.budget().limit(self.room.used())
    }

    /// Compares every file with its checksum, where one is known.
    ///
    /// # Errors
    ///
    /// `TooShort`: bytes are missing, and nothing else has changed. Otherwise `Failed` with the reason, which every reader of
    /// the filling is told too; nothing is kept of it then.
    pub fn verify(&self) -> Result<(), Error> {
        let _one = self.ending.lock();
        self.verify_frozen()
    }

    fn verify_frozen(&self) -> Result<(), Error> {
        let _frozen = self.filling.freeze();
        for file in self.filling.files() {
            match file.verify() {
                Ok(()) => {}
                Err(Error::Failed(why)) => return Err(Error::Failed(why)),
                Err(error @ Error::Mismatch { .. }) => return Err(self.fail(Arc::new(error))),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Verifies what was not verified yet, and gives the model its name in the cache. Readers of the filling go on meanwhile,
    /// and after it.
    ///
    /// # Errors
    ///
    /// As [`Partial::verify`]; the disk is full or failed, and the parts stay as they are.
    pub fn seal(&self) -> Result<Sealing, Error> {
        let Some(Home { parts, locks }) = &self.home else {
            return Ok(Sealing::InMemory);
        };
        let _one = self.ending.lock();
        let _frozen = self.filling.freeze();
        if parts.restore(false)? {
            self.filling.files().iter().for_each(|file| file.cleared());
        }
        self.verify_frozen()?;
        self.finish_files(parts)?;
        let contents = self.filling.contents()?;
        make_durable(&parts.data(), &contents)?;
        let key = Key::of(&self.id);
        let held = match locks.take(&key)? {
            Ok(held) => held,
            Err(holder) => return Ok(Sealing::Busy(holder)),
        };
        // Nobody writes or gives back from here on; somebody may have done so since the files were looked at.
        parts.shut();
        let entry = Entry {
            layout: held.layout(),
            key: held.key(),
            url: &self.id,
            host: locks.host(),
            origin: self.origin.as_deref(),
            expected: None,
        };
        let published = self
            .filling
            .contents()
            .and_then(|contents| entry.publish(&parts.data(), contents));
        let (sealed, _) = published.inspect_err(|_| parts.reopen())?;
        self.filling.set_sealed();
        self.end(0);
        parts.remove();
        Ok(Sealing::Sealed(sealed))
    }

    /// Makes what is there outlive the machine: to be called now and then. (`kill -9` it outlives anyway.)
    ///
    /// # Errors
    ///
    /// The disk failed.
    pub fn sync(&self) -> Result<(), Error> {
        let Some(Home { parts, .. }) = &self.home else {
            return Ok(());
        };
        let Some(generation) = parts.begin_sync() else {
            return Ok(());
        };
        let mut map = Vec::new();
        let mut touched = Vec::new();
        for file in self.filling.files() {
            let bytes = 0..bitmap::len(file.size());
            let bits = bitmap::pack(&file.map.lock().present, file.size(), bytes);
            if bits.iter().any(|bits| *bits != 0) {
                touched.push(file);
            }
            map.extend(bits);
        }
        if touched.len() > SYNC_EACH {
            parts
                .data()
                .sync_all()
                .context("sync", parts.data().named())?;
        } else {
            for file in touched {
                let synced = file.open().and_then(|disk| disk.sync_all());
                synced.context("sync", file.shown())?;
            }
        }
        let synced = parts.synced(generation, &map);
        synced.map(drop).context("sync", parts.data().named())
    }

    /// Fails the filling for all its readers, and keeps nothing of it.
    pub fn discard(&self, why: Failure) {
        self.fail(why);
    }

    fn fail(&self, why: Failure) -> Error {
        self.filling.fail(why.clone());
        self.end(0);
        if let Some(home) = &self.home {
            home.parts.remove();
        }
        Error::Failed(why)
    }

    /// Looks that every file is at its place and as long as it should be, removes what else is there, and sets the times.
    fn finish_files(&self, parts: &Parts) -> Result<(), Error> {
        let names = self
            .filling
            .files()
            .iter()
            .map(|file| file.path())
            .collect();
        plan::clear(&parts.data(), &names).context("list", parts.data().named())?;
        let mut lost = None;
        for file in self.filling.files() {
            let Body::Sparse(disk) = &file.body else {
                continue;
            };
            if file.size() == 0 {
                file.open().context("create", file.shown())?;
            }
            let generation = disk.generation();
            let whole = disk.open_read().and_then(|disk| {
                let whole = disk.metadata()?.len() == file.size();
                if let Err(error) = disk.set_modified(file.mtime()) {
                    tracing::debug!(file = file.path(), %error, "cannot set the time of a file");
                }
                Ok(whole)
            });
            if !whole.unwrap_or(false) {
                file.lost(disk, generation);
                lost = lost.or_else(|| Some(file.too_short()));
            }
        }
        lost.map_or(Ok(()), Err)
    }

    /// Ends what the room knows of the filling. `idle`: how many of its bytes stay on disk.
    fn end(&self, idle: u64) {
        self.over.store(true, Ordering::Release);
        if let (Some(home), Budget::Disk(budget)) = (&self.home, self.room.budget()) {
            budget.idle.close(&home.parts.name(), idle);
            budget.record_end(&Key::of(&self.id));
        }
        // Last: whoever waits for this space then sees what is complete.
        if let Some(stake) = &self.filling.shared.stake {
            stake.take();
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.over.load(Ordering::Acquire) {
            return;
        }
        self.filling.fail(Arc::new(Error::Abandoned));
        if let Some(home) = &self.home {
            let is_passing = home.parts.is_passing();
            home.parts.close();
            let idle = match is_passing {
                true => 0,
                false => self
                    .filling
                    .files()
                    .iter()
                    .map(|file| file.bytes_present())
                    .sum(),
            };
            self.end(idle);
        }
    }
}
