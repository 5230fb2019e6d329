//! The compressed form: one archive is fetched by whoever leads, and unpacked into a filling. Who does not lead reads what
//! the leader is filling, and takes over from one that dies.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::sleep;

use super::Error;
use super::fill::{self, Job, Unfilled};
use super::model::{Content, Model};
use crate::cache::{self, Begin, Followed, Holder, Lead, Sealed};
use crate::source::Archive;

/// How often a follower looks how far another process is, and how often whoever is only waited for is looked at.
const FOLLOW: Duration = Duration::from_millis(20);
const WAIT: Duration = Duration::from_millis(50);

/// How following another process ends.
enum End {
    Sealed(Sealed),
    Lead(Lead),
    /// For now: nothing moves, and the error says whose fault that is.
    Silent(Followed, Error),
}

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

    /// Becomes the one who fetches, or finds the process that does.
    async fn part(self: &Arc<Model>) -> Result<Part, Error> {
        let mut wait = Wait::new();
        loop {
            match self.begin().await? {
                Begin::Sealed(sealed) => return Ok(Part::Sealed(sealed)),
                Begin::Lead(lead) => return Ok(Part::Lead(lead)),
                Begin::Busy(holder) => {
                    let follow = |model: &Model| Ok(model.shared.cache.follow(&model.handle.url()));
                    if let Some(mut followed) = self.blocking(follow).await? {
                        followed.is_filled_by(&holder);
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
            Ok(End::Lead(lead)) => return self.fill(archive, lead).await,
            Ok(End::Sealed(sealed)) => return Ok(self.is_sealed(&Arc::new(sealed))),
            Ok(End::Silent(followed, error)) => {
                // Only who waits for the end is told; readers count for themselves, and go on with what is here.
                self.is_filling(filling, None, self.clone().followed_on(archive, followed));
                return Err(error);
            }
            Err(error) => error,
        };
        self.has_failed(&filling, &ended);
        Err(ended)
    }

    /// [`Model::followed`], which may come to itself again.
    fn followed_on(
        self: Arc<Model>,
        archive: Archive,
        followed: Followed,
    ) -> BoxFuture<'static, Result<Content, Error>> {
        self.followed(archive, followed).boxed()
    }

    async fn follow(
        self: &Arc<Model>,
        archive: &Archive,
        mut followed: Followed,
    ) -> Result<End, Error> {
        let (filling, begun) = (followed.filling(), Instant::now());
        loop {
            let moved;
            (moved, followed) = self
                .blocking(move |_| Ok((followed.look()?, followed)))
                .await?;
            if moved {
                sleep(FOLLOW).await;
                continue;
            }
            match self.begin().await? {
                Begin::Sealed(sealed) => {
                    return self
                        .blocking(move |_| followed.sealed(&sealed).map(|()| End::Sealed(sealed)))
                        .await;
                }
                Begin::Lead(mut lead) => {
                    let identity = archive.identity();
                    return self
                        .blocking(move |_| {
                            lead.take_over(followed, identity.as_deref())?;
                            Ok(End::Lead(lead))
                        })
                        .await;
                }
                Begin::Busy(holder) => {
                    followed.is_filled_by(&holder);
                    let after = filling.progress().grown.max(begun).elapsed();
                    if after > self.shared.options.timeout {
                        return Ok(End::Silent(followed, self.held(holder, after)));
                    }
                    sleep(WAIT).await;
                }
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

/// The patience with somebody who has a model's lock and tells nothing.
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
