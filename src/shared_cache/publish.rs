//! When a model that this host has fetched is uploaded. Many may wait: what waits is small, and knows no more than which
//! model it is.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

use super::Error;
use super::claim::{self, Claim, HeldLock, HolderWatch};
use super::find::FoundCopy;
use super::handle::{Shared, SharedCache};
use super::upload::{self, UploadFile};
use crate::handle::{Handle, Key};

/// How long to wait for another host's upload, or for a bucket that fails.
const WATCHED: Duration = Duration::from_secs(4 * 3600);

/// Models that may wait at a time.
const MAX_WAITING: usize = 4096;

/// Uploads at once.
const UPLOADS: usize = 2;

/// What has come of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadOutcome {
    /// The model was there already.
    Present,
    /// So many bytes were sent, and now it is there.
    Sent(u64),
    /// Another host has not finished for hours, or the bucket has not answered.
    GivenUp,
    /// It has left this host meanwhile, or is not this host's to give.
    Evicted,
}

/// The uploads of this process.
#[derive(Debug)]
pub(super) struct UploadQueue {
    turns: Semaphore,
    /// Models with an upload that has not ended.
    waiting: Mutex<HashSet<Key>>,
    /// Those among them that the end of the process waits for.
    awaited: AtomicUsize,
    ended: Notify,
}

impl UploadQueue {
    pub fn new() -> UploadQueue {
        UploadQueue {
            turns: Semaphore::new(UPLOADS),
            waiting: Mutex::default(),
            awaited: AtomicUsize::new(0),
            ended: Notify::new(),
        }
    }
}

/// An upload that is to come, or in flight, as long as this lives.
#[derive(Debug)]
pub struct PendingUpload {
    cache: SharedCache,
    key: Key,
    is_awaited: bool,
}

impl PendingUpload {
    /// Decides whether [`SharedCache::settled`] waits for it.
    fn set_awaited(&mut self, is_awaited: bool) {
        let queue = &self.cache.shared.uploads;
        match (self.is_awaited, is_awaited) {
            (false, true) => drop(queue.awaited.fetch_add(1, Ordering::SeqCst)),
            (true, false) => {
                queue.awaited.fetch_sub(1, Ordering::SeqCst);
                queue.ended.notify_waiters();
            }
            _ => {}
        }
        self.is_awaited = is_awaited;
    }
}

impl Drop for PendingUpload {
    fn drop(&mut self) {
        self.set_awaited(false);
        self.cache.shared.uploads.waiting.lock().remove(&self.key);
    }
}

/// What there is to do about a model now.
enum NextStep {
    Done,
    Upload(HeldLock),
    /// Nothing for this time. The end of the process does not wait for it, unless it is `soon`.
    Wait {
        time: Duration,
        soon: bool,
    },
}

impl SharedCache {
    /// Announces an upload, which [`SharedCache::settled`] waits for. `None`: this model waits already, or too many do.
    pub fn begin(&self, handle: &Handle) -> Option<PendingUpload> {
        let key = handle.key();
        let mut waiting = self.shared.uploads.waiting.lock();
        if waiting.len() >= MAX_WAITING || !waiting.insert(key) {
            return None;
        }
        drop(waiting);
        let mut pending = PendingUpload {
            cache: self.clone(),
            key,
            is_awaited: false,
        };
        pending.set_awaited(true);
        Some(pending)
    }

    /// Uploads the model, unless it is there or another host uploads it. `files` is called when its turn has come; `None` means
    /// that the model was evicted.
    ///
    /// # Errors
    ///
    /// The bucket refuses, the copy on this host is damaged, or another host has taken over.
    pub async fn publish<F>(
        &self,
        handle: &Handle,
        files: impl FnOnce() -> F,
        mut pending: PendingUpload,
    ) -> Result<UploadOutcome, Error>
    where
        F: Future<Output = Option<Vec<UploadFile>>>,
    {
        let shared = &*self.shared;
        let (mut watch, began) = (HolderWatch::default(), Instant::now());
        loop {
            let turn = shared.uploads.turns.acquire().await;
            // In boxes, because what waits here is to be small.
            match Box::pin(next_step(shared, handle, &mut watch)).await? {
                NextStep::Done => return Ok(UploadOutcome::Present),
                NextStep::Upload(lock) => {
                    pending.set_awaited(true);
                    return Box::pin(upload::run(shared, handle, files(), lock)).await;
                }
                NextStep::Wait { time, soon } => {
                    pending.set_awaited(soon);
                    drop(turn);
                    if began.elapsed() > WATCHED {
                        return Ok(UploadOutcome::GivenUp);
                    }
                    tokio::time::sleep(time).await;
                }
            }
        }
    }

    /// Ends when no upload of this process is in flight. Models that another host uploads are not waited for.
    pub async fn settled(&self) {
        let queue = &self.shared.uploads;
        loop {
            let ended = queue.ended.notified();
            if queue.awaited.load(Ordering::SeqCst) == 0 {
                return;
            }
            ended.await;
        }
    }
}

async fn next_step(
    shared: &Shared,
    handle: &Handle,
    watch: &mut HolderWatch,
) -> Result<NextStep, Error> {
    let key = handle.key();
    if let Some(time) = shared.backing_off() {
        return Ok(NextStep::Wait { time, soon: false });
    }
    match shared.look_up_in_time(handle).await {
        Ok(FoundCopy::Complete(copy)) if !shared.health.is_wrong(&key, &copy) => {
            return Ok(NextStep::Done);
        }
        Ok(FoundCopy::Absent) => shared.health.forget(&key),
        Ok(_) => {}
        Err(error) => {
            let time = shared.back_off(&error);
            return match error.is_denied() || error.is_not_found() {
                true => Err(error),
                false => Ok(NextStep::Wait { time, soon: false }),
            };
        }
    }
    let claimed = claim::claim(shared, &key, watch).await;
    Ok(
        match claimed.inspect_err(|error| shared.back_off_if_late(error))? {
            Claim::Ours(lock) => NextStep::Upload(lock),
            Claim::Theirs => NextStep::Wait {
                time: shared.options.poll,
                soon: false,
            },
            Claim::Dying(time) => NextStep::Wait { time, soon: true },
        },
    )
}
