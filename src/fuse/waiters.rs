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
use crate::tree::Error;

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
            let result = tokio::select! {
                biased;
                result = work => result,
                _ = cancelled => Err(Error::Interrupted),
            };
            waiters.table.lock().waiting.remove(&seat);
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
