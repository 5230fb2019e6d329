//! Every phase with every event.

use super::*;

const NOW: Duration = Duration::from_secs(1000);

fn now() -> Instant {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *START.get_or_init(Instant::now) + NOW
}

fn at(phase: Phase<Toy>) -> State<Toy> {
    State {
        phase,
        ..State::new(None)
    }
}

fn object(phase: Phase<Toy>) -> State<Toy> {
    State {
        phase,
        ..State::new(Some(1))
    }
}

fn looking(want: Want, mend: bool) -> Phase<Toy> {
    Phase::Looking {
        job: Job(1),
        want,
        mend,
        then: Box::new(Phase::Away),
    }
}

fn filling(want: Want, kind: FillKind) -> Phase<Toy> {
    Phase::Filling {
        job: Job(1),
        want,
        fill: 1,
        kind,
    }
}

fn phases() -> Vec<(&'static str, State<Toy>)> {
    let job = Job(1);
    let (fresh, over) = (now() + Duration::from_secs(1), now());
    let known = |until| Phase::Known { plan: 1, until };
    let refused = |until| Phase::Refused { error: "no", until };
    let mut evicted = at(Phase::Away);
    evicted.facts.names = Some(1);
    vec![
        ("unknown", at(Phase::Unknown)),
        ("looking", at(looking(Want::Verdict, false))),
        ("mending", at(looking(Want::Content, true))),
        ("away", at(Phase::Away)),
        ("evicted", evicted),
        (
            "asking",
            at(Phase::Asking {
                job,
                want: Want::Verdict,
            }),
        ),
        (
            "asking to read",
            at(Phase::Asking {
                job,
                want: Want::Content,
            }),
        ),
        ("known", at(known(Some(fresh)))),
        ("known before", at(known(Some(over)))),
        ("object", object(known(None))),
        ("refused", at(refused(fresh))),
        ("refused before", at(refused(over))),
        (
            "starting",
            at(Phase::Starting {
                job,
                want: Want::Content,
            }),
        ),
        (
            "starting whole",
            at(Phase::Starting {
                job,
                want: Want::Sealed,
            }),
        ),
        (
            "waiting",
            at(Phase::Waiting {
                job,
                want: Want::Content,
                holder: 1,
            }),
        ),
        ("archive", at(filling(Want::Content, FillKind::Archive))),
        ("ranges", at(filling(Want::Content, RANGES))),
        ("ranges whole", at(filling(Want::Sealed, RANGES))),
        ("in memory", at(filling(Want::Content, UNSEALABLE))),
        ("object filling", object(filling(Want::Content, UNSEALABLE))),
        ("complete", at(Phase::Complete { job, fill: 1 })),
        ("object complete", object(Phase::Complete { job, fill: 1 })),
        (
            "sealed",
            at(Phase::Sealed {
                copy: 1,
                suspect: false,
            }),
        ),
    ]
}

fn events(job: Job) -> Vec<(&'static str, Event<Toy>)> {
    let failed = |class| Event::Failed {
        job,
        error: "failed",
        class,
    };
    let damaged = |copy| Event::Damaged {
        copy,
        names: 1,
        what: "file".to_owned(),
    };
    let looked = |found| Event::Looked { job, found };
    let started = |kind| Event::Started { job, fill: 2, kind };
    vec![
        ("want look", Event::Wanted(Want::Look)),
        ("want verdict", Event::Wanted(Want::Verdict)),
        ("want content", Event::Wanted(Want::Content)),
        ("want sealed", Event::Wanted(Want::Sealed)),
        ("copy found", looked(Found::Copy(2))),
        ("nothing found", looked(Found::Away(None))),
        ("names found", looked(Found::Away(Some(2)))),
        (
            "planned",
            Event::Planned {
                job,
                plan: 2,
                source: "s".to_owned(),
            },
        ),
        ("no files", Event::NoFiles { job }),
        ("started", started(RANGES)),
        ("busy", Event::Busy { job, holder: 2 }),
        ("completed", Event::Completed { job }),
        ("sealed", Event::Sealed { job, copy: 2 }),
        (
            "short",
            Event::Short {
                job,
                error: "short",
            },
        ),
        ("failed", failed(Class::Passing)),
        ("refused", failed(Class::Verdict)),
        ("replaced", failed(Class::Replaced)),
        ("no space", failed(Class::NoSpace)),
        ("shared copy", failed(Class::SharedCopy)),
        ("damaged", damaged(1)),
        ("other damaged", damaged(2)),
        ("suspected", Event::Suspected { copy: 1 }),
        ("used", Event::Used),
        ("opened", Event::Opened),
        ("unused", Event::Unused),
    ]
}

/// The phase in a word or two.
fn shown(state: &State<Toy>) -> String {
    let text = match &state.phase {
        Phase::Unknown => "unknown".to_owned(),
        Phase::Looking { want, mend, .. } => {
            format!("{} for {want:?}", if *mend { "mending" } else { "looking" })
        }
        Phase::Away if state.facts.names.is_some() => "evicted".to_owned(),
        Phase::Away => "away".to_owned(),
        Phase::Asking { want, .. } => format!("asking for {want:?}"),
        Phase::Known { .. } => "known".to_owned(),
        Phase::Refused { .. } => "refused".to_owned(),
        Phase::Starting { want, .. } => format!("starting for {want:?}"),
        Phase::Waiting { want, .. } => format!("waiting for {want:?}"),
        Phase::Filling { want, .. } => format!("filling for {want:?}"),
        Phase::Complete { .. } => "complete".to_owned(),
        Phase::Sealed { suspect: true, .. } => "suspect".to_owned(),
        Phase::Sealed { .. } => "sealed".to_owned(),
    };
    match state.facts.replaced {
        true => format!("replaced, {text}"),
        false => text,
    }
}

/// What every pair that changes anything leads to: phase, event, next phase, effects. All other pairs change nothing.
const TABLE: &str = include_str!("table.txt");

#[test]
fn every_phase_answers_every_event_as_the_table_says() {
    let mut told = String::new();
    for (phase, state) in phases() {
        for (event, happens) in events(Job(1)) {
            let (next, effects) = transition(state.clone(), happens, now(), Job(2));
            if shown(&next) == shown(&state) && effects.is_empty() {
                continue;
            }
            let effects: Vec<_> = effects.iter().map(name).collect();
            told += &format!(
                "{phase} + {event} -> {} [{}]\n",
                shown(&next),
                effects.join(", ")
            );
        }
    }
    if let Ok(path) = std::env::var("TFHUB_FS_TEST_TABLE") {
        std::fs::write(path, &told).unwrap();
    }
    for (told, wanted) in told.lines().zip(TABLE.lines()) {
        assert_eq!(told, wanted);
    }
    assert_eq!(told.lines().count(), TABLE.lines().count());
}

#[test]
fn an_event_of_other_work_changes_nothing() {
    for (phase, state) in phases() {
        for (event, happens) in events(Job(9)) {
            let of_a_job = !matches!(
                happens,
                Event::Wanted(_)
                    | Event::Damaged { .. }
                    | Event::Suspected { .. }
                    | Event::Used
                    | Event::Opened
                    | Event::Unused
            );
            if !of_a_job {
                continue;
            }
            let (next, effects) = transition(state.clone(), happens, now(), Job(2));
            assert_eq!(
                format!("{next:?}"),
                format!("{state:?}"),
                "{phase} + {event}"
            );
            // What it has begun to fill is not let go on.
            let effects: Vec<_> = effects.iter().map(name).collect();
            let wanted: &[&str] = if event == "started" { &["stop"] } else { &[] };
            assert_eq!(effects, wanted, "{phase} + {event}");
        }
    }
}

/// "The next open tries again": after any failure, whoever wants to read has work begun, or is told what is remembered.
#[test]
fn after_a_failure_the_next_open_tries_again() {
    for (phase, state) in phases() {
        for (event, happens) in events(Job(1)) {
            if !matches!(happens, Event::Failed { .. }) || state.phase.job().is_none() {
                continue;
            }
            let (failed, _) = transition(state.clone(), happens, now(), Job(2));
            assert!(
                failed.phase.fill().is_none(),
                "{phase} + {event}: no reader gets it"
            );
            let later = now() + Duration::from_secs(60);
            let (next, effects) = transition(failed, Event::Wanted(Want::Content), later, Job(3));
            let goes_on = !effects.is_empty() || next.phase.job().is_some();
            assert!(goes_on, "{phase} + {event}: {next:?}");
        }
    }
}
