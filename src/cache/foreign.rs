//! Locks that tensorflow_hub holds, or a tfhub-fs on another host: whose they are, and whether they still mean anything.
//!
//! tensorflow_hub never asks whether a holder lives; it waits for two periods of 10 minutes without growth. We know more
//! when the lock names this host: then its process can be looked for, and 10 seconds without growth are enough. They
//! remain, because a container may share our host name and not our process ids.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::os;

use super::error::if_there;
use super::layout::{Key, Layout, is_hex};
use super::plain;

/// How long nothing may have grown before a lock of a dead process is taken over.
const QUIET: Duration = Duration::from_secs(10);
/// tensorflow_hub's `LOCK_FILE_TIMEOUT_SEC`: the distance of the two samples that must be equal.
const PERIOD: Duration = Duration::from_secs(600);
/// Between a file's time and the kernel's count of ticks since boot, which are not one clock.
const SLACK: Duration = Duration::from_secs(2);
/// `USER_HZ`, the unit of process start times in `/proc`, is 100 on every architecture that Rust supports.
const TICK: Duration = Duration::from_millis(10);

/// The text of a lock: `<hostname>.<pid>.<uid>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LockText {
    pub(super) host: String,
    pub(super) pid: u32,
    pub(super) uid: String,
}

impl LockText {
    /// `None` for a text that tensorflow_hub does not write. A host name may hold dots, a uid is hex.
    pub(super) fn parse(text: &str) -> Option<LockText> {
        let (rest, uid) = text.rsplit_once('.')?;
        let (host, pid) = rest.rsplit_once('.')?;
        if !is_uid(uid) {
            return None;
        }
        Some(LockText {
            host: host.to_owned(),
            pid: pid.parse().ok()?,
            uid: uid.to_owned(),
        })
    }

    /// Whether the process that took this lock at `since` on the host named `here` runs no more.
    fn is_dead(&self, here: &str, since: SystemTime) -> bool {
        if self.host != here {
            return false;
        }
        let Ok(boot) = os::host::boot_time() else {
            return false;
        };
        let boot = UNIX_EPOCH + Duration::from_secs(boot);
        let after = |time: SystemTime| since.checked_add(SLACK).is_some_and(|since| since < time);
        if after(boot) || !os::process::pid_exists(self.pid) {
            return true;
        }
        // Pids are given anew, and in a container almost always to the same program. Whoever has this one now did not
        // take the lock if it started later.
        os::process::Process::of(self.pid).is_some_and(|process| {
            let ticks = u32::try_from(process.start).unwrap_or(u32::MAX);
            boot.checked_add(TICK * ticks).is_some_and(after)
        })
    }
}

/// Whether this is what the end of a lock's text, and of a staging directory's name, looks like.
pub(super) fn is_uid(uid: &str) -> bool {
    uid.len() == 32 && is_hex(uid)
}

impl std::fmt::Display for LockText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.host, self.pid, self.uid)
    }
}

/// One look at a lock.
#[derive(Clone, Debug)]
pub(super) struct Sight {
    /// The lock's whole text.
    pub(super) text: String,
    /// The same, if it has the usual form.
    pub(super) parsed: Option<LockText>,
    /// The size of its holder's staging directory.
    pub(super) bytes: u64,
    /// Whether the holder is known to run no more.
    pub(super) dead: bool,
}

impl Sight {
    /// Looks at the lock of a model; `None` if there is none.
    pub(super) fn of(layout: &Layout, key: &Key, here: &str) -> io::Result<Option<Sight>> {
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
pub(super) fn tree_size(dir: &Path) -> u64 {
    os::dir::sum(dir, |entry| entry.size)
}

/// What repeated looks at one lock have shown.
#[derive(Debug)]
pub(super) struct Watch {
    text: String,
    bytes: u64,
    grown: Instant,
    sample: Sample,
}

/// tensorflow_hub's memory of a lock. Its first sample has no text, so that the first period never ends a wait.
#[derive(Debug)]
struct Sample {
    at: Instant,
    bytes: u64,
    text: Option<String>,
}

/// What is to be done about a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Wait.
    Held,
    /// Its process is gone: take it over, and its staging directory away.
    Dead,
    /// By tensorflow_hub's own rule it may be taken over; its process may still be there.
    Idle,
}

impl Watch {
    pub(super) fn new(sight: &Sight, now: Instant) -> Watch {
        Watch {
            text: sight.text.clone(),
            bytes: sight.bytes,
            grown: now,
            sample: Sample {
                at: now,
                bytes: 0,
                text: None,
            },
        }
    }

    /// Takes another look into account.
    pub(super) fn look(&mut self, sight: &Sight, now: Instant) -> Verdict {
        if (&self.text, self.bytes) != (&sight.text, sight.bytes) {
            (self.text, self.bytes, self.grown) = (sight.text.clone(), sight.bytes, now);
        }
        if sight.dead && now.duration_since(self.grown) >= QUIET {
            return Verdict::Dead;
        }
        if now.duration_since(self.sample.at) <= PERIOD {
            return Verdict::Held;
        }
        if self.sample.bytes == sight.bytes && self.sample.text.as_ref() == Some(&sight.text) {
            return Verdict::Idle;
        }
        self.sample = Sample {
            at: now,
            bytes: sight.bytes,
            text: Some(sight.text.clone()),
        };
        Verdict::Held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "0123456789abcdef0123456789abcdef";

    fn sight(text: &str, bytes: u64, dead: bool) -> Sight {
        Sight {
            text: text.into(),
            parsed: None,
            bytes,
            dead,
        }
    }

    #[test]
    fn texts_are_parsed_from_their_end() {
        let text = format!("a.b.example.com.42.{UID}");
        let lock = LockText::parse(&text).unwrap();
        assert_eq!(
            (lock.host.as_str(), lock.pid, lock.uid.as_str()),
            ("a.b.example.com", 42, UID)
        );
        assert_eq!(lock.to_string(), text);
        for text in [
            "",
            "x",
            "h.42",
            "h.42.../../../etc",
            "h.x.0123456789abcdef0123456789abcdef",
            "h.1.ABC",
        ] {
            assert_eq!(LockText::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_dead_are_told_from_the_living() {
        let lock = |host: &str, pid| LockText {
            host: host.into(),
            pid,
            uid: UID.into(),
        };
        let me = std::process::id();
        let now = SystemTime::now();
        assert!(!lock("here", me).is_dead("here", now));
        assert!(lock("here", 0x7fff_fff0).is_dead("here", now));
        assert!(!lock("there", 0x7fff_fff0).is_dead("here", now));
        assert!(
            lock("here", 1).is_dead("here", UNIX_EPOCH),
            "before this boot"
        );
        let earlier = UNIX_EPOCH + Duration::from_secs(os::host::boot_time().unwrap());
        assert!(
            lock("here", me).is_dead("here", earlier),
            "this process started long after boot"
        );
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
