//! What is known of a model.

use std::time::{Duration, Instant};

use super::event::{FillKind, Job, Payload, Want};

/// How long it is taken for true that the disk has no copy.
const LOOK: Duration = Duration::from_millis(200);

/// Everything that `transition` reads.
#[derive(Clone, Debug)]
pub(super) struct State<P: Payload> {
    pub(super) phase: Phase<P>,
    pub(super) facts: Facts<P>,
}

/// Where a model is on its way. `job` is the work under way, `want` the most that somebody waits for.
#[derive(Clone, Debug)]
pub(super) enum Phase<P: Payload> {
    /// Nobody has looked.
    Unknown,
    /// The disk is looked at; if it has nothing, it goes on with `then`: `Away`, `Known` or `Refused`.
    Looking {
        job: Job,
        want: Want,
        mend: bool,
        then: Box<Phase<P>>,
    },
    /// Not on the disk. It was there before if its names are known.
    Away,
    /// The origin is asked.
    Asking { job: Job, want: Want },
    /// It exists, and this is how it is fetched. An object's plan does not expire.
    Known {
        plan: P::Plan,
        until: Option<Instant>,
    },
    /// Its origin says that it does not exist, or refuses.
    Refused { error: P::Error, until: Instant },
    /// Whoever may fill it is found out.
    Starting { job: Job, want: Want },
    /// Another process fills it.
    Waiting {
        job: Job,
        want: Want,
        holder: P::Holder,
    },
    /// Files are arriving.
    Filling {
        job: Job,
        want: Want,
        fill: P::Fill,
        kind: FillKind,
    },
    /// Every byte has come, and is not to be sealed. What is given back is fetched again when it is read.
    Complete { job: Job, fill: P::Fill },
    /// A complete, verified copy.
    Sealed {
        copy: P::Copy,
        /// Somebody seems to have been at it.
        suspect: bool,
    },
}

/// What is known in every phase.
#[derive(Clone, Debug)]
pub(super) struct Facts<P: Payload> {
    /// The plan of an object of a bucket, which is a model of one file and never sealed.
    pub(super) object: Option<P::Plan>,
    /// The object is not any more what was listed.
    pub(super) replaced: bool,
    /// The names of the model that was here before.
    pub(super) names: Option<P::Names>,
    /// When the disk was last looked at.
    pub(super) looked: Option<Instant>,
    /// Where the bytes come from, without secrets.
    pub(super) source: Option<String>,
    /// Its archive turned out too large for the cache.
    pub(super) too_large: bool,
    /// Until when its origin is not asked again for single files.
    pub(super) no_files: Option<Instant>,
    /// It was left for other hosts, or need not be.
    pub(super) published: bool,
    /// When its use was last recorded.
    pub(super) noted: Option<Instant>,
}

/// What can be said without waiting.
#[derive(Clone, Debug)]
pub(super) enum Answer<P: Payload> {
    /// It was looked at, or exists.
    Yes,
    /// Its files are arriving.
    Filling(P::Fill),
    /// It is complete.
    Sealed(P::Copy),
    /// It does not exist, or is refused.
    No(P::Error),
    /// It cannot be sealed.
    Unsealable,
}

impl<P: Payload> State<P> {
    /// A model that nobody has looked at; or an object of a bucket, whose plan is known.
    pub(super) fn new(object: Option<P::Plan>) -> State<P> {
        let phase = match &object {
            Some(plan) => Phase::known(plan.clone()),
            None => Phase::Unknown,
        };
        State {
            phase,
            facts: Facts {
                object,
                replaced: false,
                names: None,
                looked: None,
                source: None,
                too_large: false,
                no_files: None,
                published: false,
                noted: None,
            },
        }
    }

    /// What can be said at once to somebody who wants that much.
    pub(super) fn answer(&self, want: Want, now: Instant) -> Option<Answer<P>> {
        match want {
            Want::Look => self.is_looked_at(now).then_some(Answer::Yes),
            Want::Verdict => self.verdict(now),
            Want::Content => self.content(),
            Want::Sealed => match &self.phase {
                Phase::Sealed { copy, .. } => Some(Answer::Sealed(copy.clone())),
                Phase::Complete { .. }
                | Phase::Filling {
                    kind: FillKind::Ranges { can_seal: false },
                    ..
                } => Some(Answer::Unsealable),
                _ => None,
            },
        }
    }

    /// Whether it is known what the disk has of it, or was a moment ago.
    pub(super) fn is_looked_at(&self, now: Instant) -> bool {
        let fresh = |at: Instant| now.saturating_duration_since(at) < LOOK;
        match self.phase {
            Phase::Unknown | Phase::Looking { .. } => false,
            Phase::Away | Phase::Known { .. } | Phase::Refused { .. } => {
                self.facts.object.is_some() || self.facts.looked.is_some_and(fresh)
            }
            _ => true,
        }
    }

    fn verdict(&self, now: Instant) -> Option<Answer<P>> {
        // What was here exists, whatever its origin says now.
        if self.facts.object.is_some() || self.facts.names.is_some() {
            return Some(Answer::Yes);
        }
        self.phase.verdict(now)
    }

    fn content(&self) -> Option<Answer<P>> {
        match &self.phase {
            Phase::Filling { fill, .. } | Phase::Complete { fill, .. } => {
                Some(Answer::Filling(fill.clone()))
            }
            Phase::Sealed { copy, .. } => Some(Answer::Sealed(copy.clone())),
            _ => None,
        }
    }
}

impl<P: Payload> Phase<P> {
    /// A plan that does not expire.
    pub(super) fn known(plan: P::Plan) -> Phase<P> {
        Phase::Known { plan, until: None }
    }

    /// The work under way.
    pub(super) fn job(&self) -> Option<Job> {
        match self {
            Phase::Looking { job, .. }
            | Phase::Asking { job, .. }
            | Phase::Starting { job, .. }
            | Phase::Waiting { job, .. }
            | Phase::Filling { job, .. }
            | Phase::Complete { job, .. } => Some(*job),
            _ => None,
        }
    }

    /// The most that somebody waits for.
    pub(super) fn want_mut(&mut self) -> Option<&mut Want> {
        match self {
            Phase::Looking { want, .. }
            | Phase::Asking { want, .. }
            | Phase::Starting { want, .. }
            | Phase::Waiting { want, .. }
            | Phase::Filling { want, .. } => Some(want),
            _ => None,
        }
    }

    /// The files that readers may have.
    pub(super) fn fill(&self) -> Option<&P::Fill> {
        match self {
            Phase::Filling { fill, .. } | Phase::Complete { fill, .. } => Some(fill),
            _ => None,
        }
    }

    /// What is known of the model's existence.
    fn verdict(&self, now: Instant) -> Option<Answer<P>> {
        match self {
            Phase::Unknown | Phase::Away | Phase::Asking { .. } => None,
            Phase::Looking { then, .. } => then.verdict(now),
            Phase::Known { until, .. } => {
                let fresh = until.is_none_or(|until| now < until);
                fresh.then_some(Answer::Yes)
            }
            Phase::Refused { error, until } => (now < *until).then(|| Answer::No(error.clone())),
            Phase::Starting { .. }
            | Phase::Waiting { .. }
            | Phase::Filling { .. }
            | Phase::Complete { .. }
            | Phase::Sealed { .. } => Some(Answer::Yes),
        }
    }
}
