//! The compressed form: whoever gets the model's lock fetches one archive and unpacks it into a filling. The others wait until
//! the model is sealed or the lock comes free.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::Error;
use super::fill::{self, Job, Unfilled};
use super::model::{Content, Model};
use crate::cache::{self, Begin, Holder, Lead};
use crate::source::Archive;

/// How often the holder of a model's lock is looked at.
const WAIT: Duration = Duration::from_millis(50);

impl Model {
    /// Starts the download, unless another process has.
    pub(super) async fn download(self: &Arc<Model>, archive: Archive) -> Result<Content, Error> {
        let mut wait = Wait::new();
        loop {
            match self.begin().await? {
                Begin::Sealed(sealed) => return Ok(Content::Sealed(Arc::new(sealed))),
                Begin::Lead(lead) => {
                    let filling = lead.filling();
                    return Ok(self.is_filling(filling, None, self.clone().fill(archive, lead)));
                }
                Begin::Busy(holder) => wait.on(self, holder).await?,
            }
        }
    }

    /// Fills the model to its end, good or bad.
    async fn fill(self: Arc<Model>, archive: Archive, lead: Lead) -> Result<Content, Error> {
        let filling = lead.filling();
        let transfer = self.is_transferred(archive.size());
        let job = Job {
            shared: self.shared.clone(),
            handle: self.handle.clone(),
            archive,
            transfer,
        };
        let work = fill::run(job, lead);
        // A task of its own: a panic in it must not leave the model filling for ever.
        let result = match self.shared.runtime.spawn(work).await {
            Ok(result) => result,
            Err(_) => Err(Unfilled {
                error: self.lost(),
                lead: None,
            }),
        };
        match result {
            Ok(sealed) => {
                self.shared.publish(&self.handle);
                Ok(self.is_sealed(&sealed))
            }
            Err(Unfilled { error, lead }) => {
                self.has_failed(&filling, &error);
                // Deletes what was staged, which may be much.
                self.shared.runtime.spawn_blocking(move || drop(lead));
                Err(error)
            }
        }
    }

    fn held(&self, holder: Holder, after: Duration) -> Error {
        Error::Held {
            handle: self.handle.url(),
            who: holder.who,
            after,
        }
    }

    /// `Cache::begin` off the async threads: it may delete a broken copy.
    async fn begin(self: &Arc<Model>) -> Result<Begin, Error> {
        self.blocking(|model| model.shared.cache.begin(&model.handle.url()))
            .await
    }

    /// Work on the disk, off the async threads.
    async fn blocking<T: Send + 'static>(
        self: &Arc<Model>,
        work: impl FnOnce(&Model) -> Result<T, cache::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let model = self.clone();
        match tokio::task::spawn_blocking(move || work(&model)).await {
            Ok(result) => result.map_err(|cause| Error::Store {
                handle: self.handle.url(),
                cause: Arc::new(cause),
            }),
            Err(_) => Err(self.lost()),
        }
    }
}

/// The patience with somebody who has a model's lock.
struct Wait {
    seen: Option<Holder>,
    moved: Instant,
}

impl Wait {
    fn new() -> Wait {
        Wait {
            seen: None,
            moved: Instant::now(),
        }
    }

    /// Waits a little, unless nothing has moved for too long.
    async fn on(&mut self, model: &Model, holder: Holder) -> Result<(), Error> {
        if self.seen.as_ref() != Some(&holder) {
            self.seen = Some(holder.clone());
            self.moved = Instant::now();
        }
        let after = self.moved.elapsed();
        if after > model.shared.options.timeout {
            return Err(model.held(holder, after));
        }
        sleep(WAIT).await;
        Ok(())
    }
}
