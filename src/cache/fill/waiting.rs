//! Waiting for a filling without holding a thread: a need becomes a future that only its own event wakes.

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::sync::oneshot;

use super::fillfile::FillFile;

/// What a reader of a filling may have to wait for.
#[derive(Clone, Debug)]
pub enum Need {
    /// That it is known whether this name exists.
    Name(String),
    /// That every name is known.
    Names,
    /// That these bytes of a file are present (clamped to its size).
    Bytes {
        /// The file, as `find` gave it.
        file: Arc<FillFile>,
        /// In bytes from its start.
        range: Range<u64>,
    },
}

/// How far a filling is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of all files so far, holes and replaced copies included: it never shrinks.
    pub bytes: u64,
    /// When a byte or a name last came.
    pub grown: Instant,
}

/// Resolves when a [`Need`] is met or never will be (the filling failed, the file was replaced): look again then.
/// Dropping it ends the wait.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct Wait(Option<oneshot::Receiver<()>>);

impl Wait {
    /// Nothing to wait for.
    pub(in crate::cache) fn over() -> Wait {
        Wait(None)
    }
}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            None => Poll::Ready(()),
            // An error means that the filling is gone, which ends the wait as well.
            Some(receiver) => Pin::new(receiver).poll(cx).map(|_| self.0 = None),
        }
    }
}

/// Those who wait for events of one kind, each with what exactly (`K`).
#[derive(Debug)]
pub(in crate::cache) struct Waiters<K>(Vec<(K, oneshot::Sender<()>)>);

impl<K> Default for Waiters<K> {
    fn default() -> Self {
        Waiters(Vec::new())
    }
}

impl<K> Waiters<K> {
    pub(in crate::cache) fn add(&mut self, key: K) -> Wait {
        // Readers that give up leave a closed sender behind; sweeping when the list has doubled bounds them.
        if self.0.len() >= 16 && self.0.len().is_power_of_two() {
            self.0.retain(|(_, sender)| !sender.is_closed());
        }
        let (sender, receiver) = oneshot::channel();
        self.0.push((key, sender));
        Wait(Some(receiver))
    }

    /// Moves those whose need is met to `woken`.
    pub(super) fn take_met(&mut self, woken: &mut Woken, mut met: impl FnMut(&K) -> bool) {
        woken.0.extend(
            self.0
                .extract_if(.., |(key, _)| met(key))
                .map(|(_, sender)| sender),
        );
    }

    /// Whether somebody who has not given up waits for what `is` says yes to.
    pub(super) fn any(&self, mut is: impl FnMut(&K) -> bool) -> bool {
        self.0
            .iter()
            .any(|(key, sender)| !sender.is_closed() && is(key))
    }

    pub(in crate::cache) fn take_all(&mut self, woken: &mut Woken) {
        woken.0.extend(self.0.drain(..).map(|(_, sender)| sender));
    }
}

/// Waiters taken off their lists under a lock, to be woken (by dropping this) once the lock is released.
#[derive(Debug, Default)]
#[must_use = "dropping it too early wakes with the lock held"]
pub(in crate::cache) struct Woken(Vec<oneshot::Sender<()>>);

impl Woken {
    pub(in crate::cache) fn wake(self) {
        for sender in self.0 {
            // The waiter may be gone.
            let _ = sender.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    fn done(wait: &mut Wait) -> bool {
        Pin::new(wait)
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    }

    #[test]
    fn only_those_whose_need_is_met_wake() {
        let mut waiters = Waiters::default();
        let (mut low, mut high) = (waiters.add(10), waiters.add(20));
        assert!(!done(&mut low) && !done(&mut high));
        let mut woken = Woken::default();
        waiters.take_met(&mut woken, |end| *end <= 15);
        woken.wake();
        assert!(done(&mut low) && !done(&mut high));
        assert!(done(&mut low), "asking again after the end is harmless");
        drop(waiters);
        assert!(done(&mut high), "whoever could wake it is gone");
    }

    #[test]
    fn waiters_that_gave_up_do_not_pile_up() {
        let mut waiters = Waiters::default();
        let kept = waiters.add(0);
        for _ in 0..10_000 {
            drop(waiters.add(1));
        }
        assert!(waiters.0.len() <= 16, "{}", waiters.0.len());
        drop(kept);
    }
}
