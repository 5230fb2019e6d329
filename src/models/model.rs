//! One model: what is known of it, and the shared steps that make it known.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::progress::Transfer;
use super::step::{Step, join, step};
use super::stream::Streamer;
use super::streaming::Object;
use super::{Error, Shared, VERDICT};
use crate::cache::{Filling, Outline, Partial, Sealed};
use crate::handle::Handle;
use crate::source::Plan;
use parking_lot::Mutex;

/// How long the answer of a stat is good for the download that follows it.
const PLAN: Duration = Duration::from_secs(300);

/// How long a model whose archive does not fit is not looked for in a bucket again: where none answers, each look takes long.
const NO_FILES: Duration = Duration::from_secs(60);

/// How long it is taken for true that the disk has no copy.
const LOOK: Duration = Duration::from_millis(200);

/// A model's files: still arriving, or all here.
#[derive(Debug, Clone)]
pub enum Content {
    /// Files are being written; readers wait for what they need.
    Filling(Arc<Filling>),
    /// Complete and verified.
    Sealed(Arc<Sealed>),
}

/// One model and all that is known of it.
pub struct Model {
    pub(super) handle: Handle,
    pub(super) shared: Arc<Shared>,
    /// What an object of a bucket is, which is a model of one file and never sealed.
    pub(super) object: Option<Object>,
    pub(super) state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) content: Option<Content>,
    plan: Option<(Plan, Instant)>,
    source: Option<String>,
    asking: Option<Step<Result<(), Error>>>,
    starting: Option<Step<Result<Content, Error>>>,
    /// How the latest filling ends, or ended.
    ending: Option<Step<Result<Content, Error>>>,
    /// How far the archive is that is being fetched.
    transfer: Option<Arc<Transfer>>,
    /// Who fills it by ranges.
    streamer: Option<Arc<Streamer>>,
    /// What is streamed has no place where all of it could stay.
    never_sealed: bool,
    /// What was streamed, is complete, and is not to be sealed.
    kept: Option<Arc<Partial>>,
    /// Its archive turned out too large for the cache.
    too_large: bool,
    /// When its files could not be found in place of its archive.
    no_files: Option<Instant>,
    /// The names of the model that was here before.
    pub(super) outline: Option<Arc<Outline>>,
    /// When the disk was last looked at, and the look that goes on.
    pub(super) looked: Option<Instant>,
    pub(super) looking: Option<Step<Result<(), Error>>>,
    /// Somebody seems to have been at the complete copy.
    pub(super) suspect: bool,
    /// It was left for other hosts, or need not be.
    pub(super) left: bool,
    /// When its use was last noted.
    pub(super) noted: Option<Instant>,
    refused: Option<(Error, Instant)>,
    /// How often it was the shared cache's copy that failed.
    shared_failures: u32,
}

impl Model {
    pub(super) fn new(handle: Handle, object: Option<Object>, shared: Arc<Shared>) -> Model {
        Model {
            handle,
            object,
            shared,
            state: Mutex::new(State::default()),
        }
    }

    /// The model's handle.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Where the bytes come from, without secrets, if that was asked in this run.
    pub fn source(&self) -> Option<String> {
        self.state.lock().source.clone()
    }

    /// Whether the model is known to exist or known not to, as far as memory knows.
    pub fn verdict(&self) -> Option<Result<(), Error>> {
        if self.object.is_some() {
            return Some(Ok(()));
        }
        let known = self.state.lock().verdict();
        match known {
            Some(Ok(())) => known,
            // What was here exists, whatever its origin says now.
            _ if self.outline().is_some() => Some(Ok(())),
            _ => known,
        }
    }

    /// Asks the source whether the model exists: headers only, one lookup however many ask.
    pub async fn exists(self: &Arc<Model>) -> Result<(), Error> {
        if self.verdict().is_none() {
            self.look().await?;
        }
        if let Some(verdict) = self.verdict() {
            return verdict;
        }
        let asking = {
            let mut state = self.state.lock();
            if let Some(verdict) = state.verdict() {
                return verdict;
            }
            join(&mut state.asking, || {
                let work = self.clone().ask();
                step(&self.shared.runtime, Err(self.lost()), work)
            })
        };
        asking.await
    }

    /// The model's files; starts the download when they are not here.
    pub async fn content(self: &Arc<Model>) -> Result<Content, Error> {
        self.look().await?;
        if let Some(content) = self.here() {
            return Ok(content);
        }
        let starting = {
            let mut state = self.state.lock();
            if let Some(content) = &state.content {
                return Ok(content.clone());
            }
            join(&mut state.starting, || {
                let work = self.clone().start();
                step(&self.shared.runtime, Err(self.lost()), work)
            })
        };
        starting.await
    }

    /// Fetches all of the model, and waits until it is complete and verified. What the shared cache has wrong comes from
    /// the hub.
    pub async fn sealed(self: &Arc<Model>) -> Result<Arc<Sealed>, Error> {
        let mut failures = self.state.lock().shared_failures;
        loop {
            if let Content::Sealed(sealed) = self.content().await? {
                if let Some(noted) = self.is_used() {
                    let _ = noted.await;
                }
                return Ok(sealed);
            }
            let (ending, streamer, never) = {
                let state = self.state.lock();
                (
                    state.ending.clone(),
                    state.streamer.clone(),
                    state.never_sealed,
                )
            };
            if streamer.is_some() && never {
                return Err(Error::Unsealed {
                    handle: self.handle.url(),
                });
            }
            let Some(ending) = ending else {
                continue;
            };
            let ended = match streamer {
                None => ending.await,
                Some(streamer) => tokio::select! {
                    ended = ending => ended,
                    shortage = streamer.await_all() => return Err(shortage),
                },
            };
            let failed = std::mem::replace(&mut failures, self.state.lock().shared_failures);
            match ended {
                Err(_) if failed < failures => {}
                Ok(Content::Filling(_)) => {
                    return Err(Error::Unsealed {
                        handle: self.handle.url(),
                    });
                }
                ended => drop(ended?),
            }
        }
    }

    async fn ask(self: Arc<Model>) -> Result<(), Error> {
        let answer = self.shared.plan(&self.handle).await;
        let mut state = self.state.lock();
        state.asking = None;
        match answer {
            Ok(plan) => {
                state.source = Some(plan.shown());
                state.plan = Some((plan, Instant::now()));
                Ok(())
            }
            Err(error) => {
                let error = Error::Source(error);
                state.refuse(&error);
                Err(error)
            }
        }
    }

    async fn start(self: Arc<Model>) -> Result<Content, Error> {
        let started = self.try_start().await;
        let mut state = self.state.lock();
        state.starting = None;
        if let Ok(content) = &started {
            // A fill that has already ended has left its own word.
            if state.content.is_none() && matches!(content, Content::Sealed(_)) {
                state.content = Some(content.clone());
            }
        }
        started
    }

    async fn try_start(self: &Arc<Model>) -> Result<Content, Error> {
        if let Some(sealed) = self.mended().await? {
            return Ok(Content::Sealed(Arc::new(sealed)));
        }
        self.exists().await?;
        match self.planned().await? {
            Plan::Archive(archive) => match self.instead_of(&archive).await {
                Some(folder) => self.stream(folder).await,
                None => self.download(archive).await,
            },
            Plan::Files(folder) => self.stream(folder).await,
        }
    }

    /// What the answer of `exists` said. Asked again if it is not there: the model was in the cache when `exists` looked,
    /// and has gone since.
    async fn planned(&self) -> Result<Plan, Error> {
        if let Some(object) = &self.object {
            return Ok(Plan::Files(object.folder.clone()));
        }
        let told = self.state.lock().plan.take();
        match told {
            Some((plan, _)) => Ok(plan),
            None => {
                let asked = self.shared.plan(&self.handle).await;
                asked.map_err(Error::Source)
            }
        }
    }

    /// Says that the model is being filled; `work` is the rest of it.
    pub(super) fn is_filling(
        &self,
        filling: Arc<Filling>,
        streamer: Option<Arc<Streamer>>,
        work: impl Future<Output = Result<Content, Error>> + Send + 'static,
    ) -> Content {
        let content = Content::Filling(filling);
        let mut state = self.state.lock();
        state.content = Some(content.clone());
        state.streamer = streamer;
        state.ending = Some(step(&self.shared.runtime, Err(self.lost()), work));
        content
    }

    /// Says that the model is complete.
    pub(super) fn is_sealed(&self, sealed: &Arc<Sealed>) -> Content {
        let content = Content::Sealed(sealed.clone());
        let mut state = self.state.lock();
        state.content = Some(content.clone());
        state.transfer = None;
        state.suspect = false;
        state.streamer = None;
        state.outline = None;
        state.left = true;
        content
    }

    /// Says that its archive is being fetched, and counts what comes.
    pub(super) fn is_transferred(&self, size: Option<u64>) -> Arc<Transfer> {
        let transfer = Arc::new(Transfer::new(size));
        self.state.lock().transfer = Some(transfer.clone());
        transfer
    }

    /// What there is now, and the transfer of its archive, if one is under way here.
    pub(super) fn under_way(&self) -> (Option<Content>, Option<Arc<Transfer>>) {
        let state = self.state.lock();
        (state.content.clone(), state.transfer.clone())
    }

    /// Whether what is streamed now can become a complete model.
    pub(super) fn may_be_sealed(&self, may: bool) {
        self.state.lock().never_sealed = !may;
    }

    /// Keeps what is complete and not to be sealed.
    pub(super) fn keep(&self, partial: Arc<Partial>) {
        self.state.lock().kept = Some(partial);
    }

    /// Who streams it, if somebody does.
    pub(super) fn streamer(&self) -> Option<Arc<Streamer>> {
        self.state.lock().streamer.clone()
    }

    /// Ends all transfers of what is streamed.
    pub(super) fn stop_streaming(&self) {
        if let Some(streamer) = self.state.lock().streamer.take() {
            streamer.stop();
        }
    }

    /// Says that a filling has come to a bad end.
    pub(super) fn has_failed(&self, filling: &Filling, error: &Error) {
        let of_copy = self.shared.record_copy_failure(&self.handle, error);
        // First this, then the readers: whoever of them opens again at once starts anew.
        let mut state = self.state.lock();
        state.content = None;
        state.transfer = None;
        state.streamer = None;
        state.kept = None;
        state.too_large |= error.is_no_space();
        match of_copy {
            // What the bucket refuses is not refused by the hub.
            true => state.shared_failures += 1,
            false => state.refuse(error),
        }
        drop(state);
        self.outdate(error);
        filling.fail(Arc::new(error.clone()));
    }

    /// Whether an earlier try found the archive too large for the cache.
    pub(super) fn was_too_large(&self) -> bool {
        self.state.lock().too_large
    }

    /// Whether its files were looked for a short time ago, and not found.
    pub(super) fn had_no_files(&self) -> bool {
        let at = self.state.lock().no_files;
        at.is_some_and(|at| at.elapsed() < NO_FILES)
    }

    pub(super) fn has_no_files(&self) {
        self.state.lock().no_files = Some(Instant::now());
    }

    pub(super) fn lost(&self) -> Error {
        Error::Lost {
            handle: self.handle.url(),
        }
    }
}

impl Drop for Model {
    /// Ends its transfers, and deletes what was staged: not in the thread that drops it, which may be one that answers the
    /// kernel.
    fn drop(&mut self) {
        self.stop_streaming();
        let state = std::mem::take(self.state.get_mut());
        if state.content.is_some() || state.kept.is_some() {
            self.shared.runtime.spawn_blocking(move || drop(state));
        }
    }
}

impl State {
    /// Whether what is known of the disk is true, or was a moment ago.
    pub(super) fn is_looked_at(&self) -> bool {
        self.content.is_some() || self.looked.is_some_and(|at| at.elapsed() < LOOK)
    }

    fn refuse(&mut self, error: &Error) {
        self.refused = error.is_verdict().then(|| (error.clone(), Instant::now()));
    }

    /// What is known of the model's existence.
    fn verdict(&self) -> Option<Result<(), Error>> {
        let planned = self.plan.as_ref();
        if self.content.is_some() || planned.is_some_and(|(_, at)| at.elapsed() < PLAN) {
            return Some(Ok(()));
        }
        let (error, at) = self.refused.as_ref()?;
        (at.elapsed() < VERDICT).then(|| Err(error.clone()))
    }
}
