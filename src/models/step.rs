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
