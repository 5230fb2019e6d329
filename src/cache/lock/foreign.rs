//! Locks that tensorflow_hub holds, or a tfhub-fs on another host: who holds them, and whether the holder is gone.

use std::io;
use std::path::Path;
use std::time::Instant;

use crate::hubdir::{LockText, QUIET, STALE, Stillness};
use crate::os;

use super::super::dirs::plain;
use super::super::error::if_there;
use super::super::layout::{Key, Layout};

/// One look at a lock.
#[derive(Clone, Debug)]
pub(in crate::cache) struct Sight {
    /// The lock's whole text.
    pub text: String,
    /// Its parts, if it has the usual form.
    pub parsed: Option<LockText>,
    /// The size of its holder's staging directory.
    pub bytes: u64,
    /// Whether the holder is known to run no more.
    pub dead: bool,
}

impl Sight {
    /// Looks at the lock of a model; `None` if there is none.
    pub(in crate::cache) fn of(
        layout: &Layout,
        key: &Key,
        here: &str,
    ) -> io::Result<Option<Sight>> {
        let path = layout.lock(key);
        let Some(meta) = if_there(std::fs::symlink_metadata(&path))? else {
            return Ok(None);
        };
        let Some(text) = if_there(plain::read(&path))? else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(&text).into_owned();
        let parsed = LockText::parse(&text);
        let since = meta.modified()?;
        Ok(Some(Sight {
            bytes: parsed
                .as_ref()
                .map_or(0, |lock| tree_size(&layout.staging(key, &lock.uid))),
            dead: parsed
                .as_ref()
                .is_some_and(|lock| lock.is_dead(here, since)),
            parsed,
            text,
        }))
    }
}

/// The sum of all files' lengths, as tensorflow_hub counts it; what cannot be read counts nothing.
pub(in crate::cache) fn tree_size(dir: &Path) -> u64 {
    os::dir::sum(dir, |entry| entry.size)
}

/// What repeated looks at one lock have shown.
#[derive(Debug)]
pub(in crate::cache) struct Watch {
    text: String,
    since: Instant,
    stillness: Stillness<u64>,
}

/// What is to be done about a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cache) enum Verdict {
    /// Wait.
    Held,
    /// Its process is gone: take it over, and its staging directory away.
    Dead,
    /// By tensorflow_hub's own rule it may be taken over; its process may still be there.
    Idle,
}

impl Watch {
    pub(in crate::cache) fn new(sight: &Sight, now: Instant) -> Watch {
        let mut stillness = Stillness::default();
        stillness.record(&sight.bytes, now);
        Watch {
            text: sight.text.clone(),
            since: now,
            stillness,
        }
    }

    /// Takes another look into account.
    pub(in crate::cache) fn look(&mut self, sight: &Sight, now: Instant) -> Verdict {
        if self.text != sight.text {
            *self = Watch::new(sight, now);
        }
        let still = self.stillness.record(&sight.bytes, now);
        // tensorflow_hub compares samples that are one period apart, and its first sample never counts.
        match still {
            _ if sight.dead && still >= QUIET => Verdict::Dead,
            _ if still > STALE && now.duration_since(self.since) > 2 * STALE => Verdict::Idle,
            _ => Verdict::Held,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn sight(text: &str, bytes: u64, dead: bool) -> Sight {
        Sight {
            text: text.into(),
            parsed: None,
            bytes,
            dead,
        }
    }

    #[test]
    fn a_dead_holder_is_given_ten_seconds_of_no_growth() {
        let start = Instant::now();
        let at = |secs| start + Duration::from_secs(secs);
        let mut watch = Watch::new(&sight("a", 1, true), start);
        assert_eq!(watch.look(&sight("a", 1, true), at(9)), Verdict::Held);
        assert_eq!(
            watch.look(&sight("a", 2, true), at(10)),
            Verdict::Held,
            "it grows: a process of another namespace"
        );
        assert_eq!(watch.look(&sight("a", 2, true), at(19)), Verdict::Held);
        assert_eq!(
            watch.look(&sight("b", 2, true), at(20)),
            Verdict::Held,
            "another holder"
        );
        assert_eq!(watch.look(&sight("b", 2, true), at(30)), Verdict::Dead);
        assert_eq!(watch.look(&sight("b", 2, false), at(31)), Verdict::Held);
    }

    #[test]
    fn others_get_two_periods_as_tensorflow_hub_gives() {
        let start = Instant::now();
        let at = |secs| start + Duration::from_secs(secs);
        let mut watch = Watch::new(&sight("a", 5, false), start);
        let mut look = |bytes, secs| watch.look(&sight("a", bytes, false), at(secs));
        assert_eq!(look(5, 599), Verdict::Held);
        assert_eq!(look(5, 601), Verdict::Held, "the first sample has no text");
        assert_eq!(look(6, 1202), Verdict::Held, "it grew");
        assert_eq!(look(6, 1700), Verdict::Held);
        assert_eq!(look(6, 1803), Verdict::Idle);
    }
}
