//! A step that many await and one task takes.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};

/// The shared end of a step; it goes on when everyone who awaits it has left.
pub(super) type Step<T> = Shared<BoxFuture<'static, T>>;

/// Runs `work` in a task of its own; `lost` is the answer should that task panic.
pub(super) fn step<T: Clone + Send + Sync + 'static>(
    runtime: &tokio::runtime::Handle,
    lost: T,
    work: impl Future<Output = T> + Send + 'static,
) -> Step<T> {
    let task = runtime.spawn(work);
    async move { task.await.unwrap_or(lost) }.boxed().shared()
}

/// The step that goes on in `slot`, or else the one that `begin` begins there.
///
/// A step clears its slot when it ends. One that ended without (it panicked) is not joined, or its error would stay.
pub(super) fn join<T: Clone>(
    slot: &mut Option<Step<T>>,
    begin: impl FnOnce() -> Step<T>,
) -> Step<T> {
    match slot {
        Some(step) if step.peek().is_none() => step.clone(),
        _ => slot.insert(begin()).clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(work: impl Future<Output = u32> + Send + 'static) -> impl FnOnce() -> Step<u32> {
        || step(&tokio::runtime::Handle::current(), 0, work)
    }

    #[tokio::test]
    async fn a_step_is_shared_and_outlives_who_began_it() {
        let (go, gone) = tokio::sync::oneshot::channel();
        let mut slot = None;
        let first = join(&mut slot, begin(async move { gone.await.unwrap() }));
        let second = join(&mut slot, begin(async { unreachable!("one goes on") }));
        drop(first);
        go.send(7).unwrap();
        assert_eq!(second.await, 7);
    }

    #[tokio::test]
    async fn a_step_that_panicked_is_taken_again() {
        let mut slot = None;
        let lost = join(&mut slot, begin(async { panic!("a bug") }));
        assert_eq!(lost.await, 0);
        assert_eq!(join(&mut slot, begin(async { 7 })).await, 7);
    }
}
