//! Any order of events, against a world of one disk, one origin and one lock.

use proptest::prelude::*;

use super::*;

/// Work that was begun and has not ended.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Work {
    Look { mend: bool },
    Ask,
    Start,
    Fill { kind: FillKind },
}

/// One thing that happens; a number chooses among what there is.
#[derive(Clone, Debug)]
enum Happening {
    Want(Want),
    /// A piece of work gets on, well or badly.
    Go(usize, Luck),
    /// Another process evicts the copy, or clears the cache.
    Evict,
    /// Another process completes the model.
    Appear,
    Open,
    Damage,
    Time(u64),
    /// Nobody uses the model any more, and then somebody does.
    Unused,
    /// `kill -9`, between any two effects.
    Crash,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Luck {
    Good,
    /// Files come by ranges, or are not to be sealed, or another process was first.
    Other,
    Bad(Class),
}

fn happening() -> impl Strategy<Value = Happening> {
    let want = prop_oneof![
        Just(Want::Look),
        Just(Want::Verdict),
        Just(Want::Content),
        Just(Want::Sealed)
    ];
    let class = prop_oneof![
        Just(Class::Passing),
        Just(Class::Verdict),
        Just(Class::Replaced),
        Just(Class::NoSpace),
        Just(Class::SharedCopy)
    ];
    let luck = prop_oneof![
        4 => Just(Luck::Good),
        2 => Just(Luck::Other),
        2 => class.prop_map(Luck::Bad)
    ];
    prop_oneof![
        6 => want.prop_map(Happening::Want),
        12 => (any::<usize>(), luck).prop_map(|(which, luck)| Happening::Go(which, luck)),
        1 => Just(Happening::Evict),
        1 => Just(Happening::Appear),
        2 => Just(Happening::Open),
        1 => Just(Happening::Damage),
        2 => (0..400_u64).prop_map(Happening::Time),
        1 => Just(Happening::Unused),
        1 => Just(Happening::Crash),
    ]
}

struct World {
    is_object: bool,
    state: State<Toy>,
    works: Vec<(Job, Work)>,
    waiters: Vec<Want>,
    now: Instant,
    jobs: u64,
    /// The copy on the disk, and all that were ever complete.
    disk: Option<u64>,
    copies: Vec<u64>,
    remembered: bool,
}

impl World {
    fn new(is_object: bool) -> World {
        World {
            is_object,
            state: State::new(is_object.then_some(1)),
            works: Vec::new(),
            waiters: Vec::new(),
            now: Instant::now(),
            jobs: 0,
            disk: None,
            copies: Vec::new(),
            remembered: false,
        }
    }

    fn feed(&mut self, event: Event<Toy>) {
        self.jobs += 1;
        let (next, effects) = transition(self.state.clone(), event, self.now, Job(self.jobs));
        self.state = next;
        let told = effects
            .iter()
            .any(|effect| matches!(effect, Effect::Tell(_)));
        let state = &self.state;
        self.waiters
            .retain(|want| state.answer(*want, self.now).is_none() && !told);
        for effect in effects {
            match effect {
                Effect::Look { job, mend } => self.works.push((job, Work::Look { mend })),
                Effect::Ask { job } => self.works.push((job, Work::Ask)),
                Effect::Start { job, .. } => self.works.push((job, Work::Start)),
                Effect::Stop { fill } => self.works.retain(|(job, _)| job.0 != fill),
                Effect::FailReaders { fill, .. } => {
                    assert!(
                        self.state.phase.fill() != Some(&fill),
                        "state first, then readers"
                    );
                }
                _ => {}
            }
        }
    }

    fn seal(&mut self) -> u64 {
        let copy = self.copies.len() as u64 + 1;
        self.copies.push(copy);
        self.disk = Some(copy);
        self.remembered = true;
        copy
    }

    fn take(&mut self, happening: &Happening) {
        match happening {
            Happening::Want(want) => {
                self.waiters.push(*want);
                self.feed(Event::Wanted(*want));
            }
            Happening::Go(which, luck) if !self.works.is_empty() => {
                let at = which % self.works.len();
                self.go(at, *luck);
            }
            Happening::Evict => self.disk = None,
            Happening::Appear if !self.is_object && self.disk.is_none() => {
                self.seal();
            }
            Happening::Open => {
                if let Phase::Sealed { copy, .. } = self.state.phase {
                    match self.disk == Some(copy) {
                        true => self.feed(Event::Opened),
                        false => self.damaged(copy),
                    }
                }
            }
            Happening::Damage => {
                if let (Phase::Sealed { copy, .. }, Some(_)) = (&self.state.phase, self.disk) {
                    let copy = *copy;
                    self.disk = None;
                    self.damaged(copy);
                }
            }
            Happening::Time(seconds) => self.now += Duration::from_secs(*seconds),
            Happening::Unused => {
                let holds = |work: &(Job, Work)| !matches!(work.1, Work::Fill { kind } if kind != FillKind::Archive);
                if self.waiters.is_empty() && !self.works.iter().any(holds) {
                    self.feed(Event::Unused);
                    assert!(
                        self.works.is_empty(),
                        "every transfer has ended: {:?}",
                        self.works
                    );
                    self.state = State::new(self.is_object.then_some(1));
                }
            }
            Happening::Crash => {
                self.works.clear();
                self.waiters.clear();
                self.state = State::new(self.is_object.then_some(1));
            }
            Happening::Go(..) | Happening::Appear => {}
        }
    }

    fn damaged(&mut self, copy: u64) {
        self.feed(Event::Damaged {
            copy,
            names: 1,
            what: "file".to_owned(),
        });
    }

    /// Work gets on: ends, or becomes other work under the same name.
    fn go(&mut self, at: usize, luck: Luck) {
        let (job, work) = self.works.remove(at);
        if let Luck::Bad(class) = luck {
            return self.feed(Event::Failed {
                job,
                error: "bad",
                class,
            });
        }
        match work {
            Work::Look { .. } => {
                let found = match self.disk {
                    Some(copy) => Found::Copy(copy),
                    None => Found::Away(self.remembered.then_some(1)),
                };
                self.feed(Event::Looked { job, found });
            }
            Work::Ask => self.feed(Event::Planned {
                job,
                plan: 1,
                source: "origin".to_owned(),
            }),
            Work::Start if self.disk.is_some() => {
                let copy = self.disk.unwrap_or_default();
                self.feed(Event::Sealed { job, copy });
            }
            Work::Start => {
                let kind = match (self.is_object, luck) {
                    (true, _) => UNSEALABLE,
                    (false, Luck::Good) => FillKind::Archive,
                    (false, _) => RANGES,
                };
                self.works.push((job, Work::Fill { kind }));
                self.feed(Event::Started {
                    job,
                    fill: job.0,
                    kind,
                });
            }
            Work::Fill {
                kind: FillKind::Ranges { can_seal: false },
            } => {
                self.works.push((job, work)); // it may still fail
                self.feed(Event::Completed { job });
            }
            Work::Fill { .. } => {
                let copy = self.seal();
                self.feed(Event::Sealed { job, copy });
            }
        }
    }

    fn check(&self) {
        let under_way = self.state.phase.job();
        if let Some(job) = under_way {
            let works = self.works.iter().filter(|(work, _)| *work == job);
            assert_eq!(works.count(), 1, "{:?}", self.state);
        }
        if !self.waiters.is_empty() {
            assert!(
                under_way.is_some(),
                "nobody works for {:?}: {:?}",
                self.waiters,
                self.state
            );
        }
        for want in &self.waiters {
            assert!(
                self.state.answer(*want, self.now).is_none(),
                "{want:?} was not told"
            );
        }
        if let Phase::Sealed { copy, .. } = &self.state.phase {
            assert!(self.copies.contains(copy), "never half");
            assert!(!self.is_object);
        }
        if let Some(Answer::No(_)) = self.state.answer(Want::Verdict, self.now) {
            assert!(!self.is_object && self.state.facts.names.is_none());
        }
    }

    /// Everything is well again: whoever opens now gets something to read, and nobody waits for ever.
    fn recovers(&mut self) {
        self.now += Duration::from_secs(3600);
        self.take(&Happening::Want(Want::Content));
        for _ in 0..10 {
            self.check();
            if self.waiters.is_empty() {
                break;
            }
            let at = self
                .works
                .iter()
                .position(|(job, _)| Some(*job) == self.state.phase.job());
            self.go(at.unwrap(), Luck::Good);
        }
        assert!(self.waiters.is_empty(), "{:?}", self.waiters);
        assert!(
            self.state.answer(Want::Content, self.now).is_some(),
            "{:?}",
            self.state
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_nobody_waits_in_vain(
        is_object in any::<bool>(),
        happenings in prop::collection::vec(happening(), 1..80),
    ) {
        let mut world = World::new(is_object);
        for happening in &happenings {
            world.take(happening);
            world.check();
        }
        world.recovers();
    }
}
