//! The compressed form: one archive is fetched by whoever leads, and unpacked into a filling.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::Error;
use super::fill::{self, Unfilled};
use super::model::{Content, Model};
use crate::source::Archive;
use crate::store::{Begin, Lead, Sealed};

/// How often a follower looks whether another process has finished the model.
const FOLLOW: Duration = Duration::from_millis(50);

enum Leading {
    Sealed(Sealed),
    Lead(Lead),
}

impl Model {
    /// Starts the download, unless another process finishes it first.
    pub(super) async fn download(self: &Arc<Model>, archive: Archive) -> Result<Content, Error> {
        let lead = match self.lead().await? {
            Leading::Sealed(sealed) => return Ok(Content::Sealed(Arc::new(sealed))),
            Leading::Lead(lead) => lead,
        };
        let filling = lead.filling();
        let work = self.clone().fill(archive, lead);
        Ok(self.is_filling(filling, None, work))
    }

    /// Fills the model to its end, good or bad.
    async fn fill(self: Arc<Model>, archive: Archive, lead: Lead) -> Result<Content, Error> {
        let filling = lead.filling();
        let work = fill::run(self.shared.clone(), self.handle.clone(), archive, lead);
        // A task of its own: a panic in it must not leave the model filling for ever.
        let result = match self.shared.runtime.spawn(work).await {
            Ok(result) => result,
            Err(_) => Err(Unfilled {
                error: self.lost(),
                lead: None,
            }),
        };
        match result {
            Ok(sealed) => Ok(self.is_sealed(&sealed)),
            Err(Unfilled { error, lead }) => {
                self.has_failed(&filling, &error);
                // Deletes what was staged, which may be much.
                self.shared.runtime.spawn_blocking(move || drop(lead));
                Err(error)
            }
        }
    }

    /// Becomes the one who fetches, or waits for the process that does.
    async fn lead(self: &Arc<Model>) -> Result<Leading, Error> {
        let mut grown = 0;
        let mut moved = Instant::now();
        loop {
            match self.begin().await? {
                Begin::Sealed(sealed) => return Ok(Leading::Sealed(sealed)),
                Begin::Lead(lead) => return Ok(Leading::Lead(lead)),
                Begin::Busy(holder) => {
                    if holder.grown != grown {
                        grown = holder.grown;
                        moved = Instant::now();
                    }
                    let after = moved.elapsed();
                    if after > self.shared.options.timeout {
                        return Err(Error::Held {
                            handle: self.handle.url(),
                            who: holder.who,
                            after,
                        });
                    }
                    sleep(FOLLOW).await;
                }
            }
        }
    }

    /// `Cache::begin` off the async threads: it may delete a broken copy.
    async fn begin(self: &Arc<Model>) -> Result<Begin, Error> {
        let model = self.clone();
        let begun =
            tokio::task::spawn_blocking(move || model.shared.cache.begin(&model.handle.url()));
        match begun.await {
            Ok(result) => result.map_err(|cause| Error::Store {
                handle: self.handle.url(),
                cause: Arc::new(cause),
            }),
            Err(_) => Err(self.lost()),
        }
    }
}
