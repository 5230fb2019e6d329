//! One model: its state, those who wait for it, and what may be asked of it.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::event::{Class, Effect, Event, Job, Want};
use super::payload::{Copy, Fill, Filler, Real};
use super::state::{Answer, Phase, State};
use super::transition::transition;
use crate::cache::{FileTree, Filling, Sealed};
use crate::handle::Handle;
use crate::models::objects::Object;
use crate::models::range_fill::Streamer;
use crate::models::{Error, Progress, Shared};

/// A model's files: still arriving, or all here.
#[derive(Debug, Clone)]
pub enum Content {
    /// Files are being written; readers wait for what they need.
    Filling(Arc<Filling>),
    /// Complete and verified.
    Sealed(Arc<Sealed>),
}

/// One model and all that is known of it.
///
/// What has no `async` answers from memory, touches neither disk nor network, and may be called where nothing may wait.
pub struct Model {
    handle: Handle,
    object: Option<Object>,
    pub(super) shared: Arc<Shared>,
    inner: Mutex<Inner>,
}

struct Inner {
    state: State<Real>,
    waiters: Vec<Waiter>,
    jobs: u64,
}

/// Somebody who waits, and for how much.
struct Waiter {
    want: Want,
    told: oneshot::Sender<Told>,
}

type Told = Result<Answer<Real>, Error>;

/// Waiters that have an answer, to be told without the lock.
type Woken = Vec<(oneshot::Sender<Told>, Told)>;

impl Model {
    pub(in crate::models) fn new(
        handle: Handle,
        object: Option<Object>,
        shared: Arc<Shared>,
    ) -> Model {
        let plan = object.as_ref().map(Object::plan);
        Model {
            handle,
            object,
            shared,
            inner: Mutex::new(Inner {
                state: State::new(plan),
                waiters: Vec::new(),
                jobs: 0,
            }),
        }
    }

    /// The model's handle.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Where the bytes come from, without secrets, if that was asked in this run.
    pub fn source(&self) -> Option<String> {
        self.inner.lock().state.facts.source.clone()
    }

    /// Whether the model is known to exist or known not to, as far as memory knows.
    pub fn verdict(&self) -> Option<Result<(), Error>> {
        let answer = self
            .inner
            .lock()
            .state
            .answer(Want::Verdict, Instant::now());
        answer.map(|answer| match answer {
            Answer::No(error) => Err(error),
            _ => Ok(()),
        })
    }

    /// What is here, as far as memory knows.
    pub fn here(&self) -> Option<Content> {
        let answer = self
            .inner
            .lock()
            .state
            .answer(Want::Content, Instant::now());
        answer.and_then(content)
    }

    /// The names in a model that was here before, while they are not all here: it has left the cache, or comes back.
    pub fn outline(&self) -> Option<Arc<FileTree>> {
        self.inner.lock().state.facts.names.clone()
    }

    /// Whether memory knows what the disk has of it, or did a moment ago.
    pub fn is_looked_at(&self) -> bool {
        self.inner.lock().state.is_looked_at(Instant::now())
    }

    /// Whether somebody seems to have been at the copy since it was found whole.
    pub fn is_suspect(&self) -> bool {
        matches!(
            self.inner.lock().state.phase,
            Phase::Sealed { suspect: true, .. }
        )
    }

    /// Whether this is an object that its bucket has replaced since.
    pub fn is_outdated(&self) -> bool {
        self.inner.lock().state.facts.replaced
    }

    /// How far the model is that is being fetched. Of what another process fetches only the unpacked bytes are known.
    pub fn progress(&self) -> Option<Progress> {
        let fill = match &self.inner.lock().state.phase {
            Phase::Waiting { holder, .. } => return Some(Progress::of_holder(holder)),
            phase => phase.fill()?.clone(),
        };
        Some(match &fill.by {
            Filler::Archive(transfer) => transfer.progress(),
            Filler::Ranges(_) => Progress::of_files(&fill.filling),
        })
    }

    /// Looks at what the disk has of it, unless memory knows; once however many ask at the same time.
    ///
    /// # Errors
    ///
    /// The disk does not answer. That it fails is logged.
    pub async fn look(self: &Arc<Model>) -> Result<(), Error> {
        self.want(Want::Look).await.map(drop)
    }

    /// Asks the source whether the model exists: headers only, one lookup however many ask.
    ///
    /// # Errors
    ///
    /// It does not, or that could not be found out.
    pub async fn exists(self: &Arc<Model>) -> Result<(), Error> {
        self.want(Want::Verdict).await.map(drop)
    }

    /// The model's files; starts the download when they are not here.
    ///
    /// # Errors
    ///
    /// They cannot be had now. The next call tries again.
    pub async fn content(self: &Arc<Model>) -> Result<Content, Error> {
        let answer = self.want(Want::Content).await?;
        content(answer).ok_or_else(|| self.lost())
    }

    /// Fetches all of the model, and waits until it is complete and verified. What the shared cache has wrong comes from
    /// the hub.
    ///
    /// # Errors
    ///
    /// It cannot be had now, or there is no place where all of it could stay.
    pub async fn sealed(self: &Arc<Model>) -> Result<Arc<Sealed>, Error> {
        let Answer::Sealed(Copy(sealed)) = self.want(Want::Sealed).await? else {
            return Err(Error::Unsealed {
                handle: self.handle.url(),
            });
        };
        for effect in self.step(Event::Used, None) {
            if let Some(noted) = self.run(effect) {
                let _ = noted.await;
            }
        }
        Ok(sealed)
    }

    /// Records that somebody reads the complete model, so that it leaves the cache last, and has it looked at again now and
    /// then. At the first time it is also left for other hosts, should an earlier run not have come to it.
    pub fn record_open(self: &Arc<Model>) {
        self.feed(Event::Opened);
    }

    /// A file of `copy` was missing or changed on the disk: forgets the copy, so that the next open brings it back.
    pub fn damaged(self: &Arc<Model>, copy: &Arc<Sealed>, what: &str) {
        self.feed(Event::Damaged {
            copy: Copy(copy.clone()),
            names: copy.file_tree().clone(),
            what: what.to_owned(),
        });
    }

    /// What all models work with.
    pub(in crate::models) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The object that this model is, if it is one.
    pub(in crate::models) fn object(&self) -> Option<&Object> {
        self.object.as_ref()
    }

    /// Who streams it, if somebody does.
    pub(in crate::models) fn streamer(&self) -> Option<Arc<Streamer>> {
        match &self.inner.lock().state.phase.fill()?.by {
            Filler::Ranges(streamer) => Some(streamer.clone()),
            Filler::Archive(_) => None,
        }
    }

    /// Takes note of what has happened.
    pub(in crate::models) fn feed(self: &Arc<Model>, event: Event<Real>) {
        for effect in self.step(event, None) {
            self.run(effect);
        }
    }

    /// Ends a job with an error.
    pub(in crate::models) fn fail(self: &Arc<Model>, job: Job, error: Error) {
        let class = Class::of(&error);
        self.feed(Event::Failed { job, error, class });
    }

    /// Ends a fill by ranges with an error, which may be that of the shared cache's copy.
    pub(in crate::models) fn fail_ranges(self: &Arc<Model>, job: Job, error: Error) {
        let class = match self.shared.record_copy_failure(&self.handle, &error) {
            true => Class::SharedCopy,
            false => Class::of(&error),
        };
        self.feed(Event::Failed { job, error, class });
    }

    pub(in crate::models) fn lost(&self) -> Error {
        Error::Lost {
            handle: self.handle.url(),
        }
    }

    async fn want(self: &Arc<Model>, want: Want) -> Told {
        let (told, answer) = oneshot::channel();
        for effect in self.step(Event::Wanted(want), Some(Waiter { want, told })) {
            self.run(effect);
        }
        match answer.await {
            Ok(Ok(Answer::No(error))) => Err(error),
            Ok(told) => told,
            Err(_) => Err(self.lost()),
        }
    }

    /// The next state. What is left to be done comes back, and those who have an answer are told it.
    fn step(&self, event: Event<Real>, waiter: Option<Waiter>) -> Vec<Effect<Real>> {
        let (effects, woken) = self.inner.lock().step(event, waiter);
        for (waiter, told) in woken {
            let _ = waiter.send(told); // it may have gone
        }
        effects
    }
}

impl Inner {
    fn step(&mut self, event: Event<Real>, waiter: Option<Waiter>) -> (Vec<Effect<Real>>, Woken) {
        let now = Instant::now();
        self.jobs += 1;
        let state = std::mem::replace(&mut self.state, State::new(None));
        let effects;
        (self.state, effects) = transition(state, event, now, Job(self.jobs));
        self.waiters.retain(|waiter| !waiter.told.is_closed());
        self.waiters.extend(waiter);
        let error = effects.iter().find_map(|effect| match effect {
            Effect::Tell(error) => Some(error),
            _ => None,
        });
        let mut woken = Woken::new();
        for waiter in std::mem::take(&mut self.waiters) {
            match (self.state.answer(waiter.want, now), error) {
                (Some(answer), _) => woken.push((waiter.told, Ok(answer))),
                (None, Some(error)) => woken.push((waiter.told, Err(error.clone()))),
                (None, None) => self.waiters.push(waiter),
            }
        }
        (effects, woken)
    }
}

impl Drop for Model {
    /// Ends its transfers. Nothing here touches the disk: whoever fills the model does that when it ends, and files are
    /// closed in a thread for that.
    fn drop(&mut self) {
        for effect in self.inner.get_mut().step(Event::Unused, None).0 {
            if let Effect::Stop { fill } = effect {
                fill.stop();
                self.shared.runtime.spawn_blocking(move || drop(fill));
            }
        }
    }
}

fn content(answer: Answer<Real>) -> Option<Content> {
    match answer {
        Answer::Filling(fill) => Some(Content::Filling(fill.filling)),
        Answer::Sealed(Copy(sealed)) => Some(Content::Sealed(sealed)),
        _ => None,
    }
}

impl Fill {
    /// Ends the transfers of ranges.
    pub(super) fn stop(&self) {
        if let Filler::Ranges(streamer) = &self.by {
            streamer.stop();
        }
    }
}
