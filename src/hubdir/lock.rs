//! `<sha1>.lock`: its text, and when its holder counts as gone.
//!
//! tensorflow_hub never asks whether a holder is alive; it waits until the staging directory has not grown for
//! `LOCK_FILE_TIMEOUT_SEC`. We know more when the lock names this host: its process can be looked up, and ten seconds
//! without growth are enough. They remain, because a container may share our host name and not our process ids.

use std::fs::File;
use std::io::{self, Read};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::handle::Key;
use crate::os;

/// How long nothing may have changed before the lock of a dead process is taken over.
pub const QUIET: Duration = Duration::from_secs(10);
/// How long nothing may have changed before any lock is taken over: tensorflow_hub's `LOCK_FILE_TIMEOUT_SEC`.
pub const STALE: Duration = Duration::from_secs(600);
/// A file's time and the kernel's count of ticks since boot are not one clock.
const SLACK: Duration = Duration::from_secs(2);
/// `USER_HZ`, the unit of process start times in `/proc`, is 100 on every architecture that Rust supports.
const TICK: Duration = Duration::from_millis(10);
/// Digits of a uid that may stand for a place.
const MARK: usize = 8;

/// The text of a lock: `<hostname>.<pid>.<uid>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockText {
    /// The host's name, which may contain dots.
    pub host: String,
    /// The process, in its own namespace.
    pub pid: u32,
    /// 32 lower-case hex digits that tell this lock from all others.
    pub uid: String,
}

impl LockText {
    /// The text of a lock that this process is about to take.
    pub fn new(host: &str, uid: String) -> LockText {
        LockText {
            host: host.to_owned(),
            pid: std::process::id(),
            uid,
        }
    }

    /// Makes the uid begin with eight digits that stand for `place`, for [`LockText::is_marked`].
    pub fn marked(mut self, place: &str) -> LockText {
        let mark = mark(place);
        if self.uid.is_char_boundary(MARK) {
            self.uid.replace_range(..MARK, &mark);
        }
        self
    }

    /// Whether the lock was [`LockText::marked`] with `place`. tensorflow_hub's locks are not marked.
    pub fn is_marked(&self, place: &str) -> bool {
        self.uid.starts_with(&mark(place))
    }

    /// Parses a lock's text; `None` if tensorflow_hub does not write such a text.
    pub fn parse(text: &str) -> Option<LockText> {
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

    /// Whether the process that took this lock at `since` on the host named `here` is known to run no more.
    pub fn is_dead(&self, here: &str, since: SystemTime) -> bool {
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
        // Pids are reused, and in a container almost always by the same program. A process that started later did not
        // take the lock.
        os::process::Process::of(self.pid).is_some_and(|process| {
            let ticks = u32::try_from(process.start).unwrap_or(u32::MAX);
            boot.checked_add(TICK * ticks).is_some_and(after)
        })
    }
}

impl std::fmt::Display for LockText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.host, self.pid, self.uid)
    }
}

fn mark(place: &str) -> String {
    Key::of(place).to_string().chars().take(MARK).collect()
}

/// Whether `uid` may end a lock's text and a staging directory's name.
pub fn is_uid(uid: &str) -> bool {
    uid.len() == 32
        && uid
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// 16 random bytes in hex, the form of tensorflow_hub's task uid (a uuid4 without its dashes).
///
/// # Errors
///
/// Those of reading `/dev/urandom`.
pub fn new_uid() -> io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// For how long something that is looked at again and again has been the same.
#[derive(Debug)]
pub struct Stillness<S> {
    seen: Option<(S, Instant)>,
}

impl<S> Default for Stillness<S> {
    fn default() -> Stillness<S> {
        Stillness { seen: None }
    }
}

impl<S: PartialEq + Clone> Stillness<S> {
    /// Records what is seen at `now`, and returns for how long it has been so.
    pub fn record(&mut self, sight: &S, now: Instant) -> Duration {
        match &self.seen {
            Some((seen, since)) if seen == sight => now.duration_since(*since),
            _ => {
                self.seen = Some((sight.clone(), now));
                Duration::ZERO
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "0123456789abcdef0123456789abcdef";

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
            "a.b.0123456789abcdef0123456789abcdef",
            "h.1.ABC",
        ] {
            assert_eq!(LockText::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_marked_lock_tells_where_it_was_written() {
        let lock = |uid: &str| LockText::new("h", uid.to_owned());
        let marked = lock(UID).marked("one");
        assert!(marked.is_marked("one") && !marked.is_marked("other"));
        assert!(!lock(UID).is_marked("one"));
        assert_eq!(LockText::parse(&marked.to_string()), Some(marked));
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
    fn uids_are_hex_and_differ() {
        let (a, b) = (new_uid().unwrap(), new_uid().unwrap());
        assert!(a != b && is_uid(&a), "{a} {b}");
    }
}
