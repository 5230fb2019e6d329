//! The state machine with numbers for what it carries.

mod property;
mod table;

use std::time::{Duration, Instant};

use super::event::{Class, Effect, Event, FillKind, Found, Job, Payload, Want};
use super::state::{Answer, Phase, State};
use super::transition::transition;

#[derive(Clone, Debug, PartialEq)]
struct Toy;

impl Payload for Toy {
    type Names = u64;
    type Copy = u64;
    type Plan = u64;
    type Fill = u64;
    type Holder = u64;
    type Error = &'static str;
}

const RANGES: FillKind = FillKind::Ranges { can_seal: true };
const UNSEALABLE: FillKind = FillKind::Ranges { can_seal: false };

/// An effect in one word.
fn name(effect: &Effect<Toy>) -> &'static str {
    match effect {
        Effect::Look { mend: false, .. } => "look",
        Effect::Look { mend: true, .. } => "mend",
        Effect::Ask { .. } => "ask",
        Effect::Start { .. } => "start",
        Effect::FetchAll { .. } => "fetch all",
        Effect::FailReaders { .. } => "fail readers",
        Effect::Tell(_) => "tell",
        Effect::Stop { .. } => "stop",
        Effect::Forget => "forget",
        Effect::Publish => "publish",
        Effect::NoteUse { .. } => "note",
        Effect::Warn { .. } => "warn",
    }
}
