//! The range filler: brings the parts of files that somebody reads, or will read soon, into a filling.
//!
//! ```text
//! read --Demand--> wants (what next?) --Job--> transfer: Ranged::read --bytes--> FillFile::write_at
//! ```
//!
//! [`Streamer`] hears of every read. What is missing is fetched at once; what will be wanted is guessed by `readers` (who reads
//! in order) and `graph` (TensorFlow's way through a SavedModel). Nothing here knows disks or networks.

mod job;
mod readers;
#[cfg(test)]
mod tests;
mod transfer;
mod wants;
mod whole;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, watch};

use super::Error;
use crate::cache::{Demand, FillFile, Filling};
use crate::config::Prefetch;
use crate::source::{Ranged, RemoteFile};

use crate::savedmodel::{self, Part};
use wants::Wants;

/// Files up to this size come whole: graphs, indices, vocabularies are read whole.
const SMALL: u64 = 1 << 20;

/// The largest window of one reader. Twelve megabytes are on their way on a link of 400 MB/s and 30 ms.
const WINDOW: u64 = 64 << 20;

/// Of tensors that will be read, before anybody has read the index.
const HEAD: u64 = 8 << 20;
const TAIL: u64 = 256 << 10;

/// How models are filled by ranges.
#[derive(Debug, Clone)]
pub struct Options {
    /// What is fetched before it is read.
    pub prefetch: Prefetch,
    /// How many bytes may be fetched ahead of all readers of a model.
    pub ahead: u64,
    /// The connections of all models.
    pub pool: Arc<Pool>,
    /// How long a model that is to come whole waits for its origin, after all tries of a request have failed.
    pub again: Duration,
}

/// How many transfers of all models run at a time. Those that somebody waits for have places of their own.
#[derive(Debug)]
pub struct Pool {
    demand: Semaphore,
    ahead: Semaphore,
}

impl Default for Pool {
    fn default() -> Pool {
        Pool {
            demand: Semaphore::new(64),
            ahead: Semaphore::new(32),
        }
    }
}

/// Fills one filling by ranges, until every byte is there or it is stopped.
#[derive(Debug)]
pub struct Streamer {
    runtime: tokio::runtime::Handle,
    options: Options,
    filling: Arc<Filling>,
    files: Vec<Source>,
    numbers: HashMap<String, usize>,
    wants: Mutex<Wants>,
    begun: AtomicBool,
    /// Somebody waits for every byte.
    all_awaited: AtomicBool,
    /// All of it is to be wanted again, after a while.
    again: AtomicBool,
    /// Somebody waits for bytes that are not there.
    demanded: Notify,
    /// Somebody sees to it that all of it comes.
    gathering: AtomicBool,
    /// Not all that came could be kept, or something has gone.
    short: Notify,
    /// Why all of it cannot be kept, when that turned out.
    shortage: watch::Sender<Option<Error>>,
    end: watch::Sender<Option<Result<(), Error>>>,
}

/// One file, and where it comes from.
#[derive(Debug)]
struct Source {
    file: Arc<FillFile>,
    from: Arc<dyn Ranged>,
    /// TensorFlow's way from here has been followed.
    followed: AtomicBool,
    /// It was seen complete.
    complete: AtomicBool,
    /// It is being compared with its checksum.
    verifying: AtomicBool,
}

/// What the filling tells its reads to; it does not keep the streamer alive.
#[derive(Debug)]
struct Listener(Weak<Streamer>);

impl Demand for Listener {
    fn read(&self, _filling: &Filling, file: &str, range: Range<u64>, present: bool) {
        if let Some(streamer) = self.0.upgrade() {
            streamer.read(file, range, present);
        }
    }

    fn lost(&self) {
        if let Some(streamer) = self.0.upgrade() {
            streamer.short.notify_one();
        }
    }
}

impl Streamer {
    /// Begins to fill `filling`, whose files come from `files`; nothing is fetched before somebody reads.
    pub fn start(
        runtime: &tokio::runtime::Handle,
        filling: Arc<Filling>,
        files: &[RemoteFile],
        options: Options,
    ) -> Arc<Streamer> {
        let mut sources = Vec::new();
        let mut numbers = HashMap::new();
        for remote in files {
            if let Some(file) = filling.get(&remote.name) {
                numbers.insert(remote.name.clone(), sources.len());
                sources.push(Source {
                    file,
                    from: remote.from.clone(),
                    followed: AtomicBool::new(false),
                    complete: AtomicBool::new(false),
                    verifying: AtomicBool::new(false),
                });
            }
        }
        let wants = Wants::new(sources.iter().map(|source| source.file.size()));
        let streamer = Arc::new(Streamer {
            runtime: runtime.clone(),
            options,
            filling,
            files: sources,
            numbers,
            wants: Mutex::new(wants),
            begun: AtomicBool::new(false),
            all_awaited: AtomicBool::new(false),
            again: AtomicBool::new(false),
            demanded: Notify::new(),
            gathering: AtomicBool::new(false),
            short: Notify::new(),
            shortage: watch::Sender::new(None),
            end: watch::Sender::new(None),
        });
        streamer.look_for_the_end();
        let listener = Listener(Arc::downgrade(&streamer));
        streamer.filling.on_read(Arc::new(listener));
        streamer
    }

    fn shown(&self) -> String {
        let first = self.files.first();
        first.map_or_else(String::new, |source| source.from.shown())
    }

    /// Everything is wanted.
    fn want_all(self: &Arc<Streamer>) {
        let mut order: Vec<usize> = (0..self.files.len()).collect();
        order.sort_by_key(|number| self.size(*number));
        let mut wants = self.wants.lock();
        for number in order {
            wants.ahead(number, 0..self.size(number));
        }
        drop(wants);
        self.pump();
    }

    /// A part of a file will be wanted soon.
    pub fn hint(self: &Arc<Streamer>, file: &str, part: Part) {
        if let Some(number) = self.numbers.get(file) {
            self.expect(*number, part);
            self.pump();
        }
    }

    /// Ends well when every byte is there, badly when the filling has failed or the streamer was stopped.
    pub async fn done(&self) -> Result<(), Error> {
        let mut end = self.end.subscribe();
        let ended = end.wait_for(Option::is_some).await;
        let lost = || Error::lost(&"a streamed model");
        ended.map_or_else(
            |_| Err(lost()),
            |end| end.clone().unwrap_or_else(|| Err(lost())),
        )
    }

    /// Ends when the filling has failed, or the streamer was stopped: also after every byte was there.
    pub async fn failed(&self) -> Error {
        let mut end = self.end.subscribe();
        let failed = end.wait_for(|end| matches!(end, Some(Err(_)))).await;
        match failed.as_deref() {
            Ok(Some(Err(error))) => error.clone(),
            _ => Error::lost(&"a streamed model"),
        }
    }

    /// Ends every transfer. Readers of what is not there are told by the next try.
    pub fn stop(&self) {
        self.finish(Err(Error::lost(&"a streamed model")));
    }

    fn size(&self, number: usize) -> u64 {
        self.files
            .get(number)
            .map_or(0, |source| source.file.size())
    }

    fn read(self: &Arc<Streamer>, file: &str, range: Range<u64>, present: bool) {
        let Some(number) = self.numbers.get(file).copied() else {
            return;
        };
        if !present {
            self.wants.lock().demand(number, range.clone());
            self.demanded.notify_waiters();
        }
        if self.options.prefetch != Prefetch::None {
            self.look_ahead(number, file, &range);
        }
        self.pump();
    }

    /// What a read of a file makes likely.
    fn look_ahead(self: &Arc<Streamer>, number: usize, name: &str, range: &Range<u64>) {
        if self.options.prefetch == Prefetch::Model && !self.begun.swap(true, Ordering::Relaxed) {
            self.want_all();
        }
        let Some(source) = self.files.get(number) else {
            return;
        };
        if !source.followed.swap(true, Ordering::Relaxed) {
            if source.file.size() <= SMALL.min(self.options.ahead) {
                self.wants.lock().ahead(number, 0..source.file.size());
            }
            for (next, part) in savedmodel::next(name, self.numbers.keys().map(String::as_str)) {
                if let Some(number) = self.numbers.get(next) {
                    self.expect(*number, part);
                }
            }
        }
        let mut wants = self.wants.lock();
        let most = self.window(&wants);
        wants.follow(number, range, most);
    }

    fn expect(&self, number: usize, part: Part) {
        let size = self.size(number);
        let mut wants = self.wants.lock();
        let window = self.window(&wants);
        match part {
            Part::Small if size <= SMALL.min(window) => wants.ahead(number, 0..size),
            Part::Small => {}
            Part::Tensors => {
                wants.ahead(number, size.saturating_sub(TAIL)..size);
                wants.ahead(number, 0..HEAD.min(window));
            }
            Part::InOrder => wants.expect(number, window),
        }
    }

    /// How far ahead of one reader may be fetched.
    fn window(&self, wants: &Wants) -> u64 {
        let readers = wants.readers().max(1) as u64;
        WINDOW.min(self.options.ahead / readers)
    }

    /// Starts the transfers that may start now.
    fn pump(self: &Arc<Streamer>) {
        // Not when everything has come: it may be given back, and be wanted again.
        if matches!(*self.end.borrow(), Some(Err(_))) {
            return;
        }
        loop {
            let job = self
                .wants
                .lock()
                .next(|file, range| self.missing(file, range));
            let Some(job) = job else {
                return;
            };
            let streamer = self.clone();
            self.runtime
                .spawn(async move { streamer.transfer(job).await });
        }
    }

    fn missing(&self, number: usize, range: Range<u64>) -> Vec<Range<u64>> {
        let source = self.files.get(number);
        source.map_or_else(Vec::new, |source| source.file.missing(range))
    }

    /// Ends when every file is complete. What was given back counts as missing again.
    fn look_for_the_end(&self) {
        let seen = |source: &Source| {
            source.complete.load(Ordering::Relaxed) || {
                let complete = source.file.is_complete();
                source.complete.store(complete, Ordering::Relaxed);
                complete
            }
        };
        if !self.files.iter().all(seen) {
            return;
        }
        for source in &self.files {
            source
                .complete
                .store(source.file.is_complete(), Ordering::Relaxed);
        }
        if self.files.iter().all(seen) {
            self.finish(Ok(()));
        }
    }

    /// The first end stays, but for a good one: what was given back since may not come again.
    fn finish(&self, result: Result<(), Error>) {
        self.end.send_if_modified(|end| {
            let is_new = match end {
                None => true,
                Some(earlier) => earlier.is_ok() && result.is_err(),
            };
            if is_new {
                *end = Some(result);
            }
            is_new
        });
    }
}
