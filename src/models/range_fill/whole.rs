//! A model of which everything is wanted: it comes in its turn, or not at all if there is no space for it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Streamer;
use crate::cache::Turn;
use crate::models::Error;

/// How often, and after what pause, a model goes on whose bytes were refused although space was reserved for it.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(300);

impl Streamer {
    /// Brings everything, beside other models of which all is wanted or after them; a failure is final. Ends when there is no
    /// space for it, and says why; readers get what they wait for all the same.
    pub async fn await_all(self: &Arc<Streamer>) -> Error {
        let mut shortage = self.shortage.subscribe();
        if !self.gathering.swap(true, Ordering::AcqRel) {
            self.all_awaited.store(true, Ordering::Relaxed);
            let streamer = self.clone();
            self.runtime.spawn(async move { streamer.gather().await });
        }
        while shortage.changed().await.is_ok() {
            let told = shortage.borrow_and_update().clone();
            if let Some(error) = told {
                return error;
            }
        }
        Error::lost(&"a streamed model")
    }

    /// Wants everything, when there is space for it, until it is there or there is none.
    async fn gather(self: Arc<Streamer>) {
        let mut end = self.end.subscribe();
        let result = tokio::select! {
            error = self.in_turn() => Err(error),
            _ = end.wait_for(Option::is_some) => Ok(()),
        };
        if result.is_err() {
            self.all_awaited.store(false, Ordering::Relaxed);
        }
        self.gathering.store(false, Ordering::Release);
        if let Err(error) = result {
            self.shortage.send_replace(Some(error));
        }
    }

    async fn in_turn(self: &Arc<Streamer>) -> Error {
        let mut refused: Option<(u64, u32)> = None;
        loop {
            let filling = self.filling.clone();
            match tokio::task::spawn_blocking(move || filling.reserve()).await {
                Ok(Ok(Turn::Later(others))) => others.await,
                Ok(Ok(Turn::Reserved)) => {
                    self.want_all();
                    self.short.notified().await;
                    // What gives way to it may still be being written.
                    let bytes = self.filling.progress().bytes;
                    let tries = match refused {
                        Some((before, tries)) if before == bytes => tries + 1,
                        _ => 0,
                    };
                    refused = Some((bytes, tries));
                }
                Ok(Err(cause)) => match &mut refused {
                    Some((_, tries)) if *tries < TRIES => {
                        *tries += 1;
                        tokio::time::sleep(PAUSE).await;
                    }
                    _ => return Error::of_store(&self.shown(), cause),
                },
                Err(_) => return Error::lost(&self.shown()),
            }
        }
    }

    /// Not everything is there after all: waits for it again.
    pub fn reopen(self: &Arc<Streamer>) {
        for source in &self.files {
            source.complete.store(false, Ordering::Relaxed);
        }
        self.end.send_if_modified(|end| {
            let ended_well = matches!(end, Some(Ok(())));
            if ended_well {
                *end = None;
            }
            ended_well
        });
        if self.all_awaited.load(Ordering::Relaxed) && !self.gathering.swap(true, Ordering::AcqRel)
        {
            let streamer = self.clone();
            self.runtime.spawn(async move { streamer.gather().await });
        }
        self.look_for_the_end();
    }
}
