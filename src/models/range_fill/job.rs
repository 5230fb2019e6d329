//! What becomes of one job: its place among the connections, its bytes, and its failure.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::{AcquireError, SemaphorePermit};

use super::transfer::bring;
use super::wants::Job;
use super::{Source, Streamer};
use crate::cache;
use crate::models::Error;

impl Streamer {
    /// One transfer, in a task of its own.
    pub(super) async fn transfer(self: Arc<Streamer>, job: Job) {
        let Some(source) = self.files.get(job.file) else {
            return;
        };
        let mut end = self.end.subscribe();
        let result = {
            let bring = async {
                let _place = self.place(&job, source).await;
                bring(&source.from, &source.file, job.range.clone()).await
            };
            tokio::select! {
                result = bring => result,
                _ = end.wait_for(|end| matches!(end, Some(Err(_)))) => return,
            }
        };
        match result {
            Ok(kept) => {
                let missing = |file, range| self.missing(file, range);
                let awaited = |file: usize, range| {
                    let source = self.files.get(file);
                    source.is_some_and(|source| source.file.is_awaited(range))
                };
                self.wants.lock().landed(&job, missing, awaited);
                if !kept {
                    self.short.notify_one();
                }
                self.verify(source).await;
                self.look_for_the_end();
            }
            Err(error) => self.fail(&job, error),
        }
        self.pump();
    }

    /// A place among the connections. Bytes that somebody comes to wait for do not queue behind what is fetched ahead.
    async fn place(&self, job: &Job, source: &Source) -> Result<SemaphorePermit<'_>, AcquireError> {
        let pool = &self.options.pool;
        let awaited = async {
            loop {
                let demanded = self.demanded.notified();
                if job.demanded || source.file.is_awaited(job.range.clone()) {
                    return pool.demand.acquire().await;
                }
                demanded.await;
            }
        };
        tokio::select! {
            place = pool.ahead.acquire(), if !job.demanded => place,
            place = awaited => place,
        }
    }

    /// A file that has just become complete is compared with its checksum at once, so that its readers hear of it soon.
    async fn verify(&self, source: &Source) {
        if !source.file.is_complete() || source.verifying.swap(true, Ordering::Relaxed) {
            return;
        }
        // What its listing did not tell, its own answers may have told by now.
        if let Ok(hashes) = source.from.hashes().await {
            source.file.told(hashes);
        }
        let file = source.file.clone();
        let verified = tokio::task::spawn_blocking(move || file.verify()).await;
        // What is given back and comes again is compared again.
        source.verifying.store(false, Ordering::Relaxed);
        if let Ok(Err(cause @ cache::Error::Mismatch { .. })) = verified {
            let error = Error::of_store(&source.from.shown(), cause);
            self.filling.fail(Arc::new(error.clone()));
            self.finish(Err(error));
        }
    }

    fn fail(self: &Arc<Streamer>, job: &Job, error: Error) {
        let waited = self.wants.lock().failed(job) || self.all_awaited.load(Ordering::Relaxed);
        if waited || error.is_everybodys() {
            self.filling.fail(Arc::new(error.clone()));
            return self.finish(Err(error));
        }
        tracing::debug!(%error, "what was fetched ahead of readers did not come");
        if self.begun.load(Ordering::Relaxed) && !self.again.swap(true, Ordering::Relaxed) {
            let (streamer, again) = (Arc::downgrade(self), self.options.again);
            self.runtime.spawn(async move {
                tokio::time::sleep(again).await;
                if let Some(streamer) = streamer.upgrade() {
                    streamer.again.store(false, Ordering::Relaxed);
                    streamer.want_all();
                }
            });
        }
    }
}
