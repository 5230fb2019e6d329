//! The state machine: one pure function.

use std::time::{Duration, Instant};

use super::event::{Class, Effect, Event, FillKind, Found, Job, Payload, Want};
use super::state::{Answer, Phase, State};

/// How long the answer of a stat is good for the download that follows it.
const PLAN: Duration = Duration::from_secs(300);

/// How long "no such model" and "not allowed" are remembered.
pub(in crate::models) const VERDICT: Duration = Duration::from_secs(10);

/// How long a model whose archive does not fit is not looked for in a bucket again: where none answers, each look takes long.
const NO_FILES: Duration = Duration::from_secs(60);

/// How often it is recorded on the disk that a model is used.
const NOTE: Duration = Duration::from_secs(60);

/// What becomes of a model, and what is to be done. `fresh` names work that may begin now.
pub(super) fn transition<P: Payload>(
    mut state: State<P>,
    event: Event<P>,
    now: Instant,
    fresh: Job,
) -> (State<P>, Vec<Effect<P>>) {
    let effects = Step {
        state: &mut state,
        now,
        fresh,
    }
    .take(event);
    (state, effects)
}

/// One step: the state, which it changes in place.
struct Step<'a, P: Payload> {
    state: &'a mut State<P>,
    now: Instant,
    fresh: Job,
}

impl<P: Payload> Step<'_, P> {
    fn take(&mut self, event: Event<P>) -> Vec<Effect<P>> {
        match event {
            Event::Wanted(want) => self.wanted(want),
            Event::Looked { job, found } if self.is(job) => self.looked(found),
            Event::Planned { job, plan, source } if self.is(job) => self.planned(plan, source),
            Event::NoFiles { job } if self.is(job) => {
                self.state.facts.no_files = Some(self.now + NO_FILES);
                Vec::new()
            }
            Event::Started { job, fill, kind } => self.started(job, fill, kind),
            Event::Busy { job, holder } if self.is(job) => {
                if let Phase::Starting { want, .. } | Phase::Waiting { want, .. } = self.state.phase
                {
                    self.state.phase = Phase::Waiting { job, want, holder };
                }
                Vec::new()
            }
            Event::Completed { job } if self.is(job) => {
                if let Phase::Filling { fill, .. } = &self.state.phase {
                    let fill = fill.clone();
                    self.state.phase = Phase::Complete { job, fill };
                }
                Vec::new()
            }
            Event::Sealed { job, copy } if self.is(job) => self.sealed(copy),
            Event::Short { job, error } if self.is(job) => self.short(error),
            Event::Failed { job, error, class } if self.is(job) => self.failed(error, class),
            Event::Damaged { copy, names, what } => self.damaged(copy, names, what),
            Event::Suspected { copy } => {
                if let Phase::Sealed {
                    copy: ours,
                    suspect,
                } = &mut self.state.phase
                {
                    *suspect |= *ours == copy;
                }
                Vec::new()
            }
            Event::Used => self.used(),
            Event::Opened => self.opened(),
            Event::Unused => self.unused(),
            // Of work that is not this state's.
            _ => Vec::new(),
        }
    }

    fn is(&self, job: Job) -> bool {
        self.state.phase.job() == Some(job)
    }

    fn wanted(&mut self, want: Want) -> Vec<Effect<P>> {
        if let Some(most) = self.state.phase.want_mut() {
            *most = want.max(*most);
        }
        if let (Want::Sealed, Phase::Filling { job, fill, .. }) = (want, &self.state.phase)
            && self.state.answer(want, self.now).is_none()
        {
            let (job, fill) = (*job, fill.clone());
            return vec![Effect::FetchAll { job, fill }];
        }
        if self.state.phase.job().is_some() || self.state.answer(want, self.now).is_some() {
            return Vec::new();
        }
        match &self.state.phase {
            Phase::Unknown | Phase::Away | Phase::Known { .. } | Phase::Refused { .. } => {}
            _ => return Vec::new(),
        }
        let then = match std::mem::replace(&mut self.state.phase, Phase::Away) {
            Phase::Unknown => Phase::Away,
            phase => phase,
        };
        if self.state.facts.object.is_some() {
            return self.go_on(then, want);
        }
        self.look(want, then)
    }

    /// Looks at the disk first: somebody else may have fetched the model.
    fn look(&mut self, want: Want, then: Phase<P>) -> Vec<Effect<P>> {
        let (job, mend) = (self.fresh, want >= Want::Content);
        let then = Box::new(then);
        self.state.phase = Phase::Looking {
            job,
            want,
            mend,
            then,
        };
        vec![Effect::Look { job, mend }]
    }

    fn looked(&mut self, found: Found<P>) -> Vec<Effect<P>> {
        if !matches!(self.state.phase, Phase::Looking { .. }) {
            return Vec::new();
        }
        let Phase::Looking {
            want, mend, then, ..
        } = self.take_phase()
        else {
            return Vec::new();
        };
        self.state.facts.looked = Some(self.now);
        match found {
            Found::Copy(copy) => {
                self.keep(copy);
                Vec::new()
            }
            Found::Away(names) => {
                let facts = &mut self.state.facts;
                facts.names = names.or(facts.names.take());
                match want >= Want::Content && !mend {
                    true => self.look(want, *then),
                    false => self.go_on(*then, want),
                }
            }
        }
    }

    /// What comes after the disk had nothing.
    fn go_on(&mut self, then: Phase<P>, want: Want) -> Vec<Effect<P>> {
        self.state.phase = then;
        let verdict = self.state.answer(Want::Verdict, self.now);
        if want == Want::Look || (want == Want::Verdict && verdict.is_some()) {
            return Vec::new();
        }
        if want >= Want::Content {
            match &self.state.phase {
                Phase::Known { plan, until } if until.is_none_or(|until| self.now < until) => {
                    let plan = plan.clone();
                    return self.start(plan, want);
                }
                _ => {}
            }
            if let Some(Answer::No(error)) = verdict {
                return vec![Effect::Tell(error)];
            }
        }
        self.ask(want)
    }

    fn ask(&mut self, want: Want) -> Vec<Effect<P>> {
        let job = self.fresh;
        self.state.phase = Phase::Asking { job, want };
        vec![Effect::Ask { job }]
    }

    fn planned(&mut self, plan: P::Plan, source: String) -> Vec<Effect<P>> {
        let Phase::Asking { want, .. } = self.state.phase else {
            return Vec::new();
        };
        self.state.facts.source = Some(source);
        if want >= Want::Content {
            return self.start(plan, want);
        }
        let until = Some(self.now + PLAN);
        self.state.phase = Phase::Known { plan, until };
        Vec::new()
    }

    fn start(&mut self, plan: P::Plan, want: Want) -> Vec<Effect<P>> {
        let (job, facts) = (self.fresh, &self.state.facts);
        let start = Effect::Start {
            job,
            plan,
            too_large: facts.too_large,
            ask_for_files: facts.no_files.is_none_or(|until| until <= self.now),
        };
        self.state.phase = Phase::Starting { job, want };
        vec![start]
    }

    fn started(&mut self, job: Job, fill: P::Fill, kind: FillKind) -> Vec<Effect<P>> {
        let (Phase::Starting { want, .. } | Phase::Waiting { want, .. }, true) =
            (&self.state.phase, self.is(job))
        else {
            return vec![Effect::Stop { fill }];
        };
        let want = *want;
        self.state.phase = Phase::Filling {
            job,
            want,
            fill: fill.clone(),
            kind,
        };
        match want == Want::Sealed && self.state.answer(want, self.now).is_none() {
            true => vec![Effect::FetchAll { job, fill }],
            false => Vec::new(),
        }
    }

    fn sealed(&mut self, copy: P::Copy) -> Vec<Effect<P>> {
        let is_new = self.state.phase.fill().is_some();
        if matches!(
            self.state.phase,
            Phase::Looking { .. } | Phase::Asking { .. }
        ) {
            return Vec::new();
        }
        self.keep(copy);
        if !is_new {
            return Vec::new();
        }
        self.state.facts.published = true;
        vec![Effect::Publish]
    }

    fn keep(&mut self, copy: P::Copy) {
        self.state.facts.names = None; // the copy has the names too
        self.state.phase = Phase::Sealed {
            copy,
            suspect: false,
        };
    }

    fn short(&mut self, error: P::Error) -> Vec<Effect<P>> {
        let Phase::Filling { want, .. } = &mut self.state.phase else {
            return Vec::new();
        };
        *want = Want::Content;
        vec![Effect::Tell(error)]
    }

    /// The one bad end of all work.
    fn failed(&mut self, error: P::Error, class: Class) -> Vec<Effect<P>> {
        let mut phase = self.take_phase();
        let mut effects = Vec::new();
        if let Some(fill) = phase.fill() {
            let (readers, error) = (fill.clone(), error.clone());
            effects.push(Effect::FailReaders {
                fill: readers,
                error,
            });
            effects.push(Effect::Stop { fill: fill.clone() });
        }
        let want = phase.want_mut().copied();
        if let Phase::Looking { then, .. } = phase {
            self.state.phase = *then;
            effects.push(Effect::Tell(error));
            return effects;
        }
        let facts = &mut self.state.facts;
        facts.too_large |= class == Class::NoSpace;
        match class {
            // What the bucket refuses is not refused by the hub.
            Class::SharedCopy if want == Some(Want::Sealed) => {
                effects.extend(self.ask(Want::Sealed));
                return effects;
            }
            Class::Replaced if facts.object.is_some() => {
                facts.replaced = true;
                effects.push(Effect::Forget);
            }
            Class::Verdict if facts.object.is_none() && facts.names.is_none() => {
                self.state.phase = Phase::Refused {
                    error: error.clone(),
                    until: self.now + VERDICT,
                };
            }
            _ => {}
        }
        effects.push(Effect::Tell(error));
        effects
    }

    fn damaged(&mut self, copy: P::Copy, names: P::Names, what: String) -> Vec<Effect<P>> {
        match &self.state.phase {
            Phase::Sealed { copy: ours, .. } if *ours == copy => {}
            // Another reader may have said so before, and the present copy be a new one.
            _ => return Vec::new(),
        }
        self.state.phase = Phase::Away;
        self.state.facts.names = Some(names);
        self.state.facts.looked = None;
        vec![Effect::Warn { copy, what }]
    }

    fn used(&mut self) -> Vec<Effect<P>> {
        let Phase::Sealed { copy, .. } = &self.state.phase else {
            return Vec::new();
        };
        let noted = &mut self.state.facts.noted;
        if noted.is_some_and(|at| self.now.saturating_duration_since(at) < NOTE) {
            return Vec::new();
        }
        *noted = Some(self.now);
        vec![Effect::NoteUse { copy: copy.clone() }]
    }

    fn opened(&mut self) -> Vec<Effect<P>> {
        let mut effects = self.used();
        if matches!(self.state.phase, Phase::Sealed { .. })
            && !std::mem::replace(&mut self.state.facts.published, true)
        {
            effects.push(Effect::Publish);
        }
        effects
    }

    fn unused(&mut self) -> Vec<Effect<P>> {
        let fill = match &self.state.phase {
            Phase::Filling {
                fill,
                kind: FillKind::Ranges { .. },
                ..
            }
            | Phase::Complete { fill, .. } => fill.clone(),
            _ => return Vec::new(),
        };
        self.take_phase();
        vec![Effect::Stop { fill }]
    }

    /// Takes the phase out, and puts the one in its place in which nothing is under way.
    fn take_phase(&mut self) -> Phase<P> {
        let back = match &self.state.facts.object {
            Some(plan) => Phase::known(plan.clone()),
            None => Phase::Away,
        };
        std::mem::replace(&mut self.state.phase, back)
    }
}
