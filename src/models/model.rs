//! One model: what is known of it, and the shared steps that make it known.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::time::sleep;

use super::step::{Step, step};
use super::{Error, Patience, Shared, VERDICT, fill};
use crate::handle::Handle;
use crate::source::Plan;
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

    /// Whether the model is known to exist or known not to, without any request.
    pub fn verdict(&self) -> Option<Result<(), Error>> {
        if self.here().is_some() {
            return Some(Ok(()));
        }
        let state = self.state.lock();
        if state.fresh_plan().is_some() {
            return Some(Ok(()));
        }
        state.fresh_refusal().map(Err)
    }

    /// Asks the source whether the model exists: headers only, one lookup however many ask.
    pub async fn exists(self: &Arc<Model>) -> Result<(), Error> {
        if let Some(verdict) = self.verdict() {
            return verdict;
        }
        let step = {
            let mut state = self.state.lock();
            if state.asking.is_none() {
                state.asking = Some(step(
                    &self.shared.runtime,
                    Err(self.lost()),
                    self.clone().ask(),
                ));
            }
            state.asking.clone()
        };
        match step {
            Some(step) => step.await,
            None => Err(self.lost()),
        }
    }

    /// The model's files; starts the download when they are not here.
    pub async fn content(self: &Arc<Model>) -> Result<Content, Error> {
        if let Some(content) = self.here() {
            return Ok(content);
        }
        let step = {
            let mut state = self.state.lock();
            if let Some(content) = &state.content {
                return Ok(content.clone());
            }
            if state.starting.is_none() {
                state.starting = Some(step(
                    &self.shared.runtime,
                    Err(self.lost()),
                    self.clone().start(),
                ));
            }
            state.starting.clone()
        };
        match step {
            Some(step) => step.await,
            None => Err(self.lost()),
        }
    }

    /// Waits until the model is complete and verified.
    pub async fn sealed(self: &Arc<Model>) -> Result<Arc<Sealed>, Error> {
        loop {
            match self.content().await? {
                Content::Sealed(sealed) => return Ok(sealed),
                Content::Filling(filling) => {
                    let patience = Patience::new(&self.handle, self.shared.options.timeout);
                    patience.sealed(&filling).await?;
                }
            }
        }
    }

    /// A sealed file was missing or changed on the disk: forget the copy, so that the next open heals it.
    pub fn damaged(&self, what: &str) {
        let mut state = self.state.lock();
        if let Some(Content::Sealed(_)) = state.content {
            tracing::warn!(model = %self.handle, what, "the cached copy was damaged; fetching it again");
            state.content = None;
        }
    }

    /// Whether a fetch is going on.
    pub(super) fn is_busy(&self) -> bool {
        let state = self.state.lock();
        state.asking.is_some()
            || state.starting.is_some()
            || matches!(state.content, Some(Content::Filling(_)))
    }

    /// The end of a fill, told by its task.
    pub(super) fn filled(&self, result: Result<Arc<Sealed>, Error>) {
        let mut state = self.state.lock();
        state.plan = None;
        state.content = match result {
            Ok(sealed) => Some(Content::Sealed(sealed)),
            Err(error) => {
                state.refuse(&error);
                None
            }
        };
    }

    async fn ask(self: Arc<Model>) -> Result<(), Error> {
        let answer = self.shared.source.plan(&self.handle).await;
        let mut state = self.state.lock();
        state.asking = None;
        match answer {
            Ok(plan) => {
                let Plan::Archive(archive) = &plan;
                state.source = Some(archive.resource.shown());
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
        if let Some(content) = self.here() {
            return Ok(content);
        }
        match self.lead().await? {
            Leading::Sealed(sealed) => Ok(Content::Sealed(Arc::new(sealed))),
            Leading::Lead(lead) => {
                let plan = self.state.lock().plan.take();
                let Some((Plan::Archive(archive), _)) = plan else {
                    return Err(self.lost());
                };
                let filling = lead.filling();
                self.state.lock().content = Some(Content::Filling(filling.clone()));
                let model = self.clone();
                let shared = self.shared.clone();
                self.shared.runtime.spawn(async move {
                    fill::run(&shared, &model, archive, lead).await;
                });
                Ok(Content::Filling(filling))
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

    fn fresh_plan(&self) -> Option<&Plan> {
        let (plan, at) = self.plan.as_ref()?;
        (at.elapsed() < PLAN).then_some(plan)
    }

    fn fresh_refusal(&self) -> Option<Error> {
        let (error, at) = self.refused.as_ref()?;
        (at.elapsed() < VERDICT).then(|| error.clone())
    }
}
