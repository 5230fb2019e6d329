//! The one retry policy, for probes and downloads alike: what is worth another attempt, when, and when to give up.
//!
//! Time is counted from the last progress, not from the first attempt: a download may take days, but nothing may
//! be silent for longer than `--timeout`. Worth another attempt are 408, 429, every 5xx, and connections that fail
//! or break (what Google Cloud Storage asks its clients to retry); a `Retry-After` is obeyed, or, if it lies beyond
//! the timeout, ends the matter at once.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;

use super::address::Address;
use super::error::{Error, Tries};
use super::refusal::Refusal;

/// Attempts without progress before an origin counts as down. With [`FIRST_WAIT`] doubling each time it is about ten
/// seconds, which outlasts a restarting server but does not hold a reader of a dead one for a whole `--timeout`.
const MAX_ATTEMPTS: u32 = 8;
/// The wait after the first failure; long enough for a load balancer to pick another backend.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// No single wait is longer, unless the origin asks for it.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Why an attempt came to nothing.
#[derive(Clone)]
pub(super) enum Failure {
    /// An answer without a body for us.
    Answer {
        status: u16,
        retry_after: Option<Duration>,
        refusal: Refusal,
    },
    /// A connection that failed or broke; `lasting` if another attempt cannot mend it.
    Broken { why: String, lasting: bool },
    /// No answer, or no connection, within the timeout.
    Silent,
}

enum Verdict {
    After(Duration),
    /// `Retry-After` lies beyond the timeout.
    TooLate {
        status: u16,
        after: Duration,
    },
    Enough,
}

/// Attempts and time since the last progress of one request or transfer.
pub(crate) struct RetryState {
    timeout: Duration,
    since: Instant,
    attempts: u32,
    /// All waits between attempts since something new came.
    waited: Duration,
    /// When the present attempt began, and why the one before failed.
    began: Instant,
    before: Option<Failure>,
}

impl RetryState {
    pub fn new(timeout: Duration) -> RetryState {
        RetryState {
            timeout,
            since: Instant::now(),
            attempts: 0,
            waited: Duration::ZERO,
            began: Instant::now(),
            before: None,
        }
    }

    /// Starts the clock anew: something came.
    pub fn record_progress(&mut self) {
        *self = RetryState::new(self.timeout);
    }

    /// Starts the clock anew for something that came and was not new: attempts and waits count on.
    pub fn extend(&mut self) {
        self.since = Instant::now();
    }

    /// Starts the clock anew from the time at which something was sent. False if that was known.
    pub fn record_sent(&mut self, at: Instant) -> bool {
        let is_new = at > self.since;
        self.since = self.since.max(at);
        is_new
    }

    /// Counts attempts anew for another hop or URL; the clock goes on.
    pub fn begin_target(&mut self) {
        self.attempts = 0;
        self.before = None;
    }

    /// Counts an attempt.
    pub fn begin_attempt(&mut self) {
        self.attempts += 1;
        self.began = Instant::now();
    }

    /// When to give up.
    pub fn deadline(&self) -> Instant {
        self.since + self.timeout
    }

    /// For messages.
    pub fn tries(&self) -> Tries {
        Tries {
            attempts: self.attempts,
            elapsed: self.since.elapsed(),
        }
    }

    /// Waits until it is time for another attempt; an error if there is to be none.
    pub(super) async fn wait_for_retry(
        &mut self,
        address: &Address,
        failure: Failure,
    ) -> Result<(), Error> {
        let wait = match self.verdict(&failure, self.since.elapsed()) {
            Verdict::After(wait) => wait,
            Verdict::TooLate { status, after } => {
                return Err(Error::RetryAfter {
                    url: address.to_string(),
                    status,
                    after,
                    tries: self.tries(),
                });
            }
            Verdict::Enough => return Err(self.give_up(address, failure)),
        };
        let why = self.give_up(address, failure.clone());
        self.before = Some(failure);
        self.waited += wait;
        tracing::debug!(attempt = self.attempts, "trying again in {wait:?}: {why}");
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// What to do about a failure, `elapsed` after the last progress.
    fn verdict(&self, failure: &Failure, elapsed: Duration) -> Verdict {
        // An answer that breaks off again and again is as silent to whoever waits for all of it as none.
        let left = self.timeout.saturating_sub(elapsed.max(self.waited));
        let mut wait = backoff(self.attempts);
        match *failure {
            Failure::Answer { status, .. } if !transient(status) => return Verdict::Enough,
            Failure::Broken { lasting: true, .. } => return Verdict::Enough,
            Failure::Answer {
                status,
                retry_after: Some(after),
                ..
            } if after > left => return Verdict::TooLate { status, after },
            Failure::Answer {
                retry_after: Some(after),
                ..
            } => wait = wait.max(after),
            _ => {}
        }
        match self.attempts < MAX_ATTEMPTS && wait < left {
            true => Verdict::After(wait),
            false => Verdict::Enough,
        }
    }

    /// The error that a failure is once nothing more is tried.
    pub(super) fn give_up(&self, address: &Address, failure: Failure) -> Error {
        let (url, tries) = (address.to_string(), self.tries());
        match self.telling(failure) {
            Failure::Answer {
                status, refusal, ..
            } => Error::Status {
                url,
                status,
                refusal,
                tries,
            },
            Failure::Broken { why, .. } => Error::Transport { url, why, tries },
            Failure::Silent => Error::Stalled {
                url,
                waited: tries.elapsed,
                tries,
            },
        }
    }

    /// Of an attempt that the deadline overtook, what failed before tells more: an origin that answers 503 again and
    /// again is down, and not slow, whatever it was about to say last.
    fn telling(&self, failure: Failure) -> Failure {
        match (&failure, &self.before) {
            (Failure::Silent, Some(before)) if self.began.elapsed() < self.timeout / 2 => {
                before.clone()
            }
            _ => failure,
        }
    }
}

/// Whether a retry may be answered otherwise.
pub(super) fn transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..=599)
}

/// The wait after the `attempts`th failure: doubling, and a random part of it, so that a fleet that failed together
/// does not come back together.
pub(crate) fn backoff(attempts: u32) -> Duration {
    let doubled = FIRST_WAIT.saturating_mul(1 << attempts.saturating_sub(1).min(16));
    let whole = doubled.min(MAX_WAIT);
    // A fresh RandomState is seeded by the system: random enough, and std has it.
    let random = (RandomState::new().hash_one(attempts) % 1000) as u32;
    whole / 2 + whole / 2 * random / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> Address {
        Address::parse("http://127.0.0.1/x?sig=secret").unwrap()
    }

    fn answer(status: u16, after: Option<u64>) -> Failure {
        Failure::Answer {
            status,
            retry_after: after.map(Duration::from_secs),
            refusal: Refusal::default(),
        }
    }

    #[test]
    fn waits_grow_and_stay_bounded() {
        for (attempts, least, most) in [
            (1, 50, 100),
            (2, 100, 200),
            (4, 400, 800),
            (40, 5_000, 10_000),
        ] {
            for _ in 0..20 {
                let wait = backoff(attempts).as_millis();
                assert!((least..=most).contains(&wait), "{attempts}: {wait}");
            }
        }
    }

    const MINUTE: Duration = Duration::from_secs(60);

    /// Fails in the same way until it is enough, in a time that passes only by waiting.
    fn run(failure: Failure, each: Duration) -> (RetryState, Duration, Verdict) {
        let mut retry = RetryState::new(MINUTE);
        let mut elapsed = Duration::ZERO;
        loop {
            retry.begin_attempt();
            // An attempt ends at the deadline at the latest.
            elapsed = (elapsed + each).min(MINUTE);
            match retry.verdict(&failure, elapsed) {
                Verdict::After(wait) => elapsed += wait,
                verdict => return (retry, elapsed, verdict),
            }
        }
    }

    #[test]
    fn an_origin_that_stays_down_is_given_up() {
        let (retry, elapsed, verdict) = run(answer(503, None), Duration::ZERO);
        assert!(matches!(verdict, Verdict::Enough));
        assert_eq!(retry.attempts, MAX_ATTEMPTS);
        assert!((5..15).contains(&elapsed.as_secs()), "{elapsed:?}");
        let error = retry.give_up(&address(), answer(503, None));
        assert!(!error.is_timeout() && !error.is_denied() && !error.is_not_found());
        assert!(
            error.to_string().contains("answered 503 (8 attempts in "),
            "{error}"
        );
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn a_host_that_never_picks_up_is_a_timeout_within_the_timeout() {
        let (retry, elapsed, verdict) = run(Failure::Silent, Duration::from_secs(10));
        assert!(
            matches!(verdict, Verdict::Enough) && elapsed <= MINUTE,
            "{elapsed:?}"
        );
        assert!(retry.attempts > 3 && retry.give_up(&address(), Failure::Silent).is_timeout());
    }

    #[test]
    fn retry_after_is_obeyed_within_the_timeout_only() {
        let mut retry = RetryState::new(MINUTE);
        retry.begin_attempt();
        let after = |seconds, elapsed| {
            retry.verdict(&answer(429, Some(seconds)), Duration::from_secs(elapsed))
        };
        assert!(matches!(after(7, 0), Verdict::After(wait) if wait.as_secs() == 7));
        assert!(matches!(after(7, 50), Verdict::After(wait) if wait.as_secs() == 7));
        assert!(matches!(after(7, 54), Verdict::TooLate { status: 429, .. }));
        // Zero is no leave to hammer.
        assert!(matches!(after(0, 0), Verdict::After(wait) if wait.as_millis() >= 50));
    }

    #[test]
    fn what_will_not_change_is_not_asked_again() {
        let retry = RetryState::new(MINUTE);
        let enough = |failure| matches!(retry.verdict(&failure, Duration::ZERO), Verdict::Enough);
        for status in [400, 401, 403, 404, 410, 206] {
            assert!(enough(answer(status, Some(1))), "{status}");
        }
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(!enough(answer(status, Some(1))), "{status}");
        }
        for lasting in [true, false] {
            let why = String::from("invalid certificate");
            assert_eq!(enough(Failure::Broken { why, lasting }), lasting);
        }
    }

    #[tokio::test]
    async fn an_attempt_overtaken_by_the_deadline_does_not_hide_what_failed() {
        let mut retry = RetryState::new(Duration::from_millis(400));
        retry.begin_attempt();
        retry
            .wait_for_retry(&address(), answer(503, None))
            .await
            .unwrap();
        retry.begin_attempt();
        assert_eq!(
            retry.give_up(&address(), Failure::Silent).status(),
            Some(503)
        );
        tokio::time::sleep(Duration::from_millis(210)).await;
        assert!(retry.give_up(&address(), Failure::Silent).is_timeout());
        retry.begin_target();
        retry.begin_attempt();
        assert!(retry.give_up(&address(), Failure::Silent).is_timeout());
    }

    #[test]
    fn progress_starts_the_clock_anew() {
        let mut retry = RetryState::new(MINUTE);
        let began = retry.since;
        retry.begin_attempt();
        retry.extend();
        assert!(retry.since > began && retry.attempts == 1);
        retry.record_progress();
        assert_eq!(retry.attempts, 0);
    }

    #[test]
    fn an_answer_that_always_breaks_off_is_waited_for_no_longer_than_silence() {
        let cut = Failure::Broken {
            why: String::from("the body ended early"),
            lasting: false,
        };
        let timeout = Duration::from_secs(4);
        let mut retry = RetryState::new(timeout);
        loop {
            retry.begin_attempt();
            retry.extend();
            match retry.verdict(&cut, Duration::ZERO) {
                Verdict::After(wait) => retry.waited += wait,
                verdict => break assert!(matches!(verdict, Verdict::Enough)),
            }
        }
        assert!(retry.waited < timeout, "{:?}", retry.waited);
    }
}
