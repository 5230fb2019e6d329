//! A task whose result many await.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};

/// The result of a task, which goes on when everyone who awaits it has left.
pub(super) type SharedTask<T> = Shared<BoxFuture<'static, T>>;

/// Runs `work` in a task of its own; `lost` is the answer should that task panic.
pub(super) fn shared_task<T: Clone + Send + Sync + 'static>(
    runtime: &tokio::runtime::Handle,
    lost: T,
    work: impl Future<Output = T> + Send + 'static,
) -> SharedTask<T> {
    let task = runtime.spawn(work);
    async move { task.await.unwrap_or(lost) }.boxed().shared()
}

/// The task that runs in `slot`, or else the one that `begin` spawns there.
///
/// A task clears its slot when it ends. One that ended without (it panicked) is not joined, or its error would stay.
pub(super) fn join_or_spawn<T: Clone>(
    slot: &mut Option<SharedTask<T>>,
    begin: impl FnOnce() -> SharedTask<T>,
) -> SharedTask<T> {
    match slot {
        Some(task) if task.peek().is_none() => task.clone(),
        _ => slot.insert(begin()).clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(work: impl Future<Output = u32> + Send + 'static) -> impl FnOnce() -> SharedTask<u32> {
        || shared_task(&tokio::runtime::Handle::current(), 0, work)
    }

    #[tokio::test]
    async fn a_task_is_shared_and_outlives_whoever_spawned_it() {
        let (go, gone) = tokio::sync::oneshot::channel();
        let mut slot = None;
        let first = join_or_spawn(&mut slot, begin(async move { gone.await.unwrap() }));
        let second = join_or_spawn(&mut slot, begin(async { unreachable!("one goes on") }));
        drop(first);
        go.send(7).unwrap();
        assert_eq!(second.await, 7);
    }

    #[tokio::test]
    async fn a_task_that_panicked_is_spawned_again() {
        let mut slot = None;
        let lost = join_or_spawn(&mut slot, begin(async { panic!("a bug") }));
        assert_eq!(lost.await, 0);
        assert_eq!(join_or_spawn(&mut slot, begin(async { 7 })).await, 7);
    }
}
