//! One model: what is known of it, and the shared steps that make it known.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::time::sleep;

use super::fill::{self, Unfilled};
use super::step::{Step, join, step};
use super::{Error, Shared, VERDICT};
use crate::handle::Handle;
use crate::source::{Archive, Plan};
use crate::store::{Begin, Filling, Lead, Sealed};

/// How often a follower looks whether another process has finished the model.
const FOLLOW: std::time::Duration = std::time::Duration::from_millis(50);

/// How long the answer of a stat is good for the download that follows it.
const PLAN: std::time::Duration = std::time::Duration::from_secs(300);

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
    handle: Handle,
    shared: Arc<Shared>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    content: Option<Content>,
    plan: Option<(Plan, Instant)>,
    source: Option<String>,
    asking: Option<Step<Result<(), Error>>>,
    starting: Option<Step<Result<Content, Error>>>,
    /// How the latest filling ends, or ended.
    ending: Option<Step<Result<Arc<Sealed>, Error>>>,
    refused: Option<(Error, Instant)>,
}

impl Model {
    pub(super) fn new(handle: Handle, shared: Arc<Shared>) -> Model {
        Model {
            handle,
            shared,
            state: Mutex::new(State::default()),
        }
    }

    /// The model's handle.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// What is here now, without any request: from memory, or from the local disk at the first look.
    pub fn here(&self) -> Option<Content> {
        if let Some(content) = &self.state.lock().content {
            return Some(content.clone());
        }
        let sealed = match self.shared.cache.sealed(&self.handle.url()) {
            Ok(found) => Arc::new(found?),
            Err(error) => {
                tracing::warn!(model = %self.handle, %error, "the cached copy cannot be read");
                return None;
            }
        };
        let mut state = self.state.lock();
        Some(state.content.get_or_insert(Content::Sealed(sealed)).clone())
    }

    /// Where the bytes come from, without secrets, if that was asked in this run.
    pub fn source(&self) -> Option<String> {
        self.state.lock().source.clone()
    }

    /// Whether the model is known to exist or known not to, without any request. What memory knows is not asked of the
    /// disk: programs look for absent names all day.
    pub fn verdict(&self) -> Option<Result<(), Error>> {
        let known = self.state.lock().verdict();
        known.or_else(|| self.here().map(|_| Ok(())))
    }

    /// Asks the source whether the model exists: headers only, one lookup however many ask.
    pub async fn exists(self: &Arc<Model>) -> Result<(), Error> {
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

    /// Waits until the model is complete and verified.
    pub async fn sealed(self: &Arc<Model>) -> Result<Arc<Sealed>, Error> {
        loop {
            if let Content::Sealed(sealed) = self.content().await? {
                return Ok(sealed);
            }
            let ending = self.state.lock().ending.clone();
            if let Some(ending) = ending {
                return ending.await;
            }
        }
    }

    /// A file of `copy` was missing or changed on the disk: forget the copy, so that the next open heals it.
    pub fn damaged(&self, copy: &Arc<Sealed>, what: &str) {
        let mut state = self.state.lock();
        // Another reader may have said so before, and the present copy be a new one.
        if matches!(&state.content, Some(Content::Sealed(present)) if Arc::ptr_eq(present, copy)) {
            tracing::warn!(model = %self.handle, what, "the cached copy was damaged; fetching it again");
            state.content = None;
        }
    }

    async fn ask(self: Arc<Model>) -> Result<(), Error> {
        let answer = self.shared.source.plan(&self.handle).await;
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
        self.exists().await?;
        let lead = match self.lead().await? {
            Leading::Sealed(sealed) => return Ok(Content::Sealed(Arc::new(sealed))),
            Leading::Lead(lead) => lead,
        };
        let archive = self.archive().await?;
        let content = Content::Filling(lead.filling());
        let mut state = self.state.lock();
        state.content = Some(content.clone());
        let work = self.clone().fill(archive, lead);
        state.ending = Some(step(&self.shared.runtime, Err(self.lost()), work));
        Ok(content)
    }

    /// What the answer of `exists` said of the archive. Asked again if it is not there: the model was in the cache when
    /// `exists` looked, and has gone since.
    async fn archive(&self) -> Result<Archive, Error> {
        let told = self.state.lock().plan.take();
        let plan = match told {
            Some((plan, _)) => plan,
            None => {
                let asked = self.shared.source.plan(&self.handle).await;
                asked.map_err(Error::Source)?
            }
        };
        match plan {
            Plan::Archive(archive) => Ok(archive),
            Plan::Files(_) => Err(self.lost()),
        }
    }

    /// Fills the model to its end, good or bad.
    async fn fill(self: Arc<Model>, archive: Archive, lead: Lead) -> Result<Arc<Sealed>, Error> {
        let filling = lead.filling();
        let work = fill::run(self.shared.clone(), self.handle.clone(), archive, lead);
        // A task of its own: a panic in it must not leave the model filling for ever.
        let result = match self.shared.runtime.spawn(work).await {
            Ok(result) => result,
            Err(_) => Err(Unfilled {
                error: self.lost(),
                lead: None,
            }),
        };
        let mut state = self.state.lock();
        match result {
            Ok(sealed) => {
                state.content = Some(Content::Sealed(sealed.clone()));
                Ok(sealed)
            }
            Err(Unfilled { error, lead }) => {
                // First this, then the readers: whoever of them opens again at once starts anew.
                state.content = None;
                state.refuse(&error);
                drop(state);
                filling.fail(Arc::new(error.clone()));
                // Deletes what was staged, which may be much.
                self.shared.runtime.spawn_blocking(move || drop(lead));
                Err(error)
            }
        }
    }

    /// Becomes the one who fetches, or waits for the process that does.
    async fn lead(self: &Arc<Model>) -> Result<Leading, Error> {
        let mut grown = 0;
        let mut moved = Instant::now();
        loop {
            match self.begin().await? {
                Begin::Sealed(sealed) => return Ok(Leading::Sealed(sealed)),
                Begin::Lead(lead) => return Ok(Leading::Lead(lead)),
                Begin::Busy(holder) => {
                    if holder.grown != grown {
                        grown = holder.grown;
                        moved = Instant::now();
                    }
                    let after = moved.elapsed();
                    if after > self.shared.options.timeout {
                        return Err(Error::Held {
                            handle: self.handle.url(),
                            who: holder.who,
                            after,
                        });
                    }
                    sleep(FOLLOW).await;
                }
            }
        }
    }

    /// `Cache::begin` off the async threads: it may delete a broken copy.
    async fn begin(self: &Arc<Model>) -> Result<Begin, Error> {
        let model = self.clone();
        let begun =
            tokio::task::spawn_blocking(move || model.shared.cache.begin(&model.handle.url()));
        match begun.await {
            Ok(result) => result.map_err(|cause| Error::Store {
                handle: self.handle.url(),
                cause: Arc::new(cause),
            }),
            Err(_) => Err(self.lost()),
        }
    }

    fn lost(&self) -> Error {
        Error::Lost {
            handle: self.handle.url(),
        }
    }
}

enum Leading {
    Sealed(Sealed),
    Lead(Lead),
}

impl State {
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
