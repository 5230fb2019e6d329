//! The one table of everything that waits.
//!
//! A request that cannot be answered at once sits here with its caller and the future of its answer. The kernel tells
//! fuser of interruptions, but fuser 0.18 does not tell us, so the table looks at its callers itself, five times a
//! second: whoever has a signal to handle, or is gone, is answered EINTR, and Ctrl-C ends a wait within a second.
//! Deadlines belong to the futures: each ends when nothing has moved for `--timeout`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::os::signals::Caller;
use crate::vfs::Error;

/// How often callers are looked at.
const LOOK: Duration = Duration::from_millis(200);

/// The table.
#[derive(Clone)]
pub(super) struct Waiters {
    runtime: tokio::runtime::Handle,
    table: Arc<Mutex<Table>>,
}

#[derive(Default)]
struct Table {
    next: u64,
    waiting: HashMap<u64, Waiter>,
}

struct Waiter {
    caller: Arc<Caller>,
    cancel: Option<oneshot::Sender<()>>,
}

impl Waiters {
    /// An empty table; its watch runs on `runtime` until the table is dropped.
    pub fn new(runtime: tokio::runtime::Handle) -> Waiters {
        let table = Arc::new(Mutex::new(Table::default()));
        let watched = Arc::downgrade(&table);
        runtime.spawn(async move {
            let mut ticks = tokio::time::interval(LOOK);
            loop {
                ticks.tick().await;
                match watched.upgrade() {
                    Some(table) => cancel_interrupted(&table),
                    None => return,
                }
            }
        });
        Waiters { runtime, table }
    }

    /// Waits for `work` on behalf of thread `pid`, then calls `answer` with its result, or with
    /// [`Error::Interrupted`] when the caller was interrupted first.
    pub fn wait<T: Send + 'static>(
        &self,
        pid: u32,
        work: BoxFuture<'static, Result<T, Error>>,
        answer: impl FnOnce(Result<T, Error>) + Send + 'static,
    ) {
        let (cancel, cancelled) = oneshot::channel();
        let seat = self.sit(Waiter {
            caller: Arc::new(Caller::new(pid)),
            cancel: Some(cancel),
        });
        let waiters = self.clone();
        self.runtime.spawn(async move {
            // Dropped however the wait ends, in a panic too.
            let seat = WaiterGuard { waiters, seat };
            let result = tokio::select! {
                biased;
                result = work => result,
                _ = cancelled => Err(Error::Interrupted),
            };
            drop(seat);
            answer(result);
        });
    }

    fn sit(&self, waiter: Waiter) -> u64 {
        let mut table = self.table.lock();
        table.next += 1;
        let seat = table.next;
        table.waiting.insert(seat, waiter);
        seat
    }
}

/// A row of the table; it goes when this is dropped.
struct WaiterGuard {
    waiters: Waiters,
    seat: u64,
}

impl Drop for WaiterGuard {
    fn drop(&mut self) {
        self.waiters.table.lock().waiting.remove(&self.seat);
    }
}

/// Cancels the waits of callers that have a signal to handle. Reads /proc with the table unlocked.
fn cancel_interrupted(table: &Mutex<Table>) {
    let callers: Vec<(u64, Arc<Caller>)> = {
        let table = table.lock();
        let waiting = table.waiting.iter();
        waiting
            .map(|(seat, waiter)| (*seat, waiter.caller.clone()))
            .collect()
    };
    for (seat, caller) in callers {
        if caller.interrupted()
            && let Some(waiter) = table.lock().waiting.get_mut(&seat)
            && let Some(cancel) = waiter.cancel.take()
        {
            let _ = cancel.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};
    use std::time::Instant;

    use futures_util::FutureExt;

    use super::*;

    /// A wait for ever on behalf of `pid`, and how it ends.
    fn stuck(waiters: &Waiters, pid: u32) -> oneshot::Receiver<Result<(), Error>> {
        let (told, end) = oneshot::channel();
        waiters.wait(pid, std::future::pending().boxed(), |result| {
            let _ = told.send(result);
        });
        end
    }

    fn sleeper() -> Child {
        Command::new("sleep").arg("60").spawn().unwrap()
    }

    #[tokio::test]
    async fn a_result_is_answered_and_its_seat_left() {
        let waiters = Waiters::new(tokio::runtime::Handle::current());
        let (told, end) = oneshot::channel();
        let work = async { Ok(7) }.boxed();
        waiters.wait(0, work, |result: Result<i32, Error>| {
            let _ = told.send(result);
        });
        assert_eq!(end.await.unwrap().unwrap(), 7);
        assert!(waiters.table.lock().waiting.is_empty());
    }

    #[tokio::test]
    async fn who_is_killed_is_let_go_within_a_second_and_nobody_else() {
        let waiters = Waiters::new(tokio::runtime::Handle::current());
        let (mut killed, other) = (sleeper(), sleeper());
        let end = stuck(&waiters, killed.id());
        let mut goes_on = stuck(&waiters, other.id());
        killed.kill().unwrap();
        let begun = Instant::now();
        assert!(matches!(end.await.unwrap(), Err(Error::Interrupted)));
        assert!(begun.elapsed() < Duration::from_secs(1));
        assert!(goes_on.try_recv().is_err());
        assert_eq!(waiters.table.lock().waiting.len(), 1);
        for mut child in [killed, other] {
            let _ = child.kill();
            child.wait().unwrap();
        }
    }

    #[tokio::test]
    async fn a_panic_leaves_no_seat_behind() {
        let waiters = Waiters::new(tokio::runtime::Handle::current());
        let (told, end) = oneshot::channel::<()>();
        let work = async { panic!("a bug") }.boxed();
        waiters.wait(0, work, move |_: Result<(), Error>| drop(told));
        assert!(
            end.await.is_err(),
            "the reply is dropped, which answers EIO"
        );
        assert!(waiters.table.lock().waiting.is_empty());
    }
}
