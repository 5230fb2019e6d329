//! The compressed form: one archive is fetched by whoever leads, and unpacked into a filling. Who does not lead reads what
//! the leader is filling, and takes over from one that dies.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::Error;
use super::fill::{self, Job, Unfilled};
use super::model::{Content, Model};
use crate::source::Archive;
use crate::store::{self, Begin, Followed, Holder, Lead, Sealed};

/// How often a follower looks how far another process is, and how often whoever is only waited for is looked at.
const FOLLOW: Duration = Duration::from_millis(20);
const WAIT: Duration = Duration::from_millis(50);

/// What there is to do about a model.
enum Part {
    Sealed(Sealed),
    Lead(Lead),
    Follow(Followed),
}

impl Model {
    /// Starts the download, unless another process has.
    pub(super) async fn download(self: &Arc<Model>, archive: Archive) -> Result<Content, Error> {
        match self.part().await? {
            Part::Sealed(sealed) => Ok(Content::Sealed(Arc::new(sealed))),
            Part::Lead(lead) => {
                let filling = lead.filling();
                Ok(self.is_filling(filling, None, self.clone().fill(archive, lead)))
            }
            Part::Follow(followed) => {
                let filling = followed.filling();
                let work = self.clone().followed(archive, followed);
                Ok(self.is_filling(filling, None, work))
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
                self.shared.publish(&self.handle, &sealed);
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

    /// Becomes the one who fetches, or finds the process that does.
    async fn part(self: &Arc<Model>) -> Result<Part, Error> {
        let mut wait = Wait::new();
        loop {
            match self.begin().await? {
                Begin::Sealed(sealed) => return Ok(Part::Sealed(sealed)),
                Begin::Lead(lead) => return Ok(Part::Lead(lead)),
                Begin::Busy(holder) => {
                    let follow = |model: &Model| Ok(model.shared.cache.follow(&model.handle.url()));
                    if let Some(followed) = self.blocking(follow).await? {
                        return Ok(Part::Follow(followed));
                    }
                    wait.on(self, holder).await?;
                }
            }
        }
    }

    /// Lets readers read what another process is filling, to its end or to the end of that process.
    async fn followed(
        self: Arc<Model>,
        archive: Archive,
        followed: Followed,
    ) -> Result<Content, Error> {
        let filling = followed.filling();
        let ended = match self.follow(&archive, followed).await {
            Ok(Part::Lead(lead)) => return self.fill(archive, lead).await,
            Ok(Part::Sealed(sealed)) => return Ok(self.is_sealed(&Arc::new(sealed))),
            Ok(Part::Follow(_)) => self.lost(),
            Err(error) => error,
        };
        self.has_failed(&filling, &ended);
        Err(ended)
    }

    async fn follow(
        self: &Arc<Model>,
        archive: &Archive,
        mut followed: Followed,
    ) -> Result<Part, Error> {
        let mut wait = Wait::new();
        loop {
            let moved;
            (moved, followed) = self
                .blocking(move |_| Ok((followed.look()?, followed)))
                .await?;
            if moved {
                wait = Wait::new();
                sleep(FOLLOW).await;
                continue;
            }
            match self.begin().await? {
                Begin::Sealed(sealed) => {
                    return self
                        .blocking(move |_| followed.sealed(&sealed).map(|()| Part::Sealed(sealed)))
                        .await;
                }
                Begin::Lead(mut lead) => {
                    let identity = archive.identity();
                    return self
                        .blocking(move |_| {
                            lead.take_over(followed, identity.as_deref())?;
                            Ok(Part::Lead(lead))
                        })
                        .await;
                }
                Begin::Busy(holder) => wait.on(self, holder).await?,
            }
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
        work: impl FnOnce(&Model) -> Result<T, store::Error> + Send + 'static,
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
    grown: u64,
    moved: Instant,
}

impl Wait {
    fn new() -> Wait {
        Wait {
            grown: 0,
            moved: Instant::now(),
        }
    }

    /// Waits a little, unless nothing has moved for too long.
    async fn on(&mut self, model: &Model, holder: Holder) -> Result<(), Error> {
        if holder.grown != self.grown {
            self.grown = holder.grown;
            self.moved = Instant::now();
        }
        let after = self.moved.elapsed();
        if after > model.shared.options.timeout {
            return Err(Error::Held {
                handle: model.handle.url(),
                who: holder.who,
                after,
            });
        }
        sleep(WAIT).await;
        Ok(())
    }
}
