//! The uncompressed form: files are read where they are, and what was read stays.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::model::{Copy, Event, Fill, FillKind, Filler, Job, Model};
use super::range_fill::{self, Streamer};
use super::{Error, object_prefetch};
use crate::cache::{self, FileSpec, Partial, Sealed, Sealing, Streaming};
use crate::config::Prefetch;
use crate::source::Folder;

/// How often a complete model tries for tensorflow_hub's lock, which whoever downloads the same model has.
const SEAL_AGAIN: Duration = Duration::from_secs(1);

/// How often what has come is made to outlive the machine.
const SYNC: Duration = Duration::from_secs(30);

/// Begins to fill the model by ranges.
pub(super) async fn begin(model: Arc<Model>, job: Job, folder: Arc<Folder>) {
    if let Err(error) = try_begin(&model, job, folder).await {
        model.fail(job, error);
    }
}

async fn try_begin(model: &Arc<Model>, job: Job, folder: Arc<Folder>) -> Result<(), Error> {
    let (partial, limit) = match open(model, &folder).await? {
        Opened::Sealed(sealed) => {
            let copy = Copy(Arc::new(sealed));
            model.feed(Event::Sealed { job, copy });
            return Ok(());
        }
        Opened::Partial(partial, limit) => (partial, limit),
    };
    let shared = model.shared();
    let options = range_fill::Options {
        ahead: shared.streams.ahead.min(limit / 2),
        ..shared.streams.clone()
    };
    let filling = partial.filling();
    let streamer = Streamer::start(&shared.runtime, filling.clone(), &folder.files, options);
    let is_object = model.object().is_some();
    let can_seal = !partial.is_in_memory() && !is_object;
    let task = Task {
        model: Arc::downgrade(model),
        job,
        lost: model.lost(),
        name: model.handle().url(),
        can_seal,
        folder,
        partial: Arc::new(partial),
        streamer: streamer.clone(),
    };
    let by = Filler::Ranges(streamer);
    model.feed(Event::Started {
        job,
        fill: Fill { filling, by },
        kind: FillKind::Ranges { can_seal },
    });
    model.spawn(job, task.run());
    if shared.options.prefetch != Prefetch::None
        && let Some(object) = model.object()
    {
        let work = object_prefetch::fetch_ahead(shared.clone(), object.path().clone());
        shared.runtime.spawn(work);
    }
    Ok(())
}

enum Opened {
    Sealed(Sealed),
    /// With how much all that shares its place may take.
    Partial(Partial, u64),
}

/// The filling with what an earlier run has left of it.
async fn open(model: &Arc<Model>, folder: &Folder) -> Result<Opened, Error> {
    let specs = folder.files.iter().map(|file| FileSpec {
        path: file.name.clone(),
        size: file.size,
        mtime: file.mtime,
        version: file.version.clone(),
        hashes: file.hashes,
    });
    let (specs, dirs) = (specs.collect(), folder.dirs.clone());
    let shown = folder.shown.clone();
    let open = move |model: &Model| {
        let id = match model.object() {
            Some(object) => object.id().to_owned(),
            None => model.handle().url(),
        };
        Ok(match model.shared().cache.stream(&id, specs, dirs)? {
            Streaming::Sealed(sealed) => Opened::Sealed(sealed),
            Streaming::Partial(mut partial) => {
                partial.comes_from(&shown);
                let limit = partial.limit();
                Opened::Partial(partial, limit)
            }
        })
    };
    model.blocking(open).await
}

/// Sees a model that is being streamed to its end. It does not keep the model: one that nobody uses any more stops its
/// streamer, which ends this.
struct Task {
    model: Weak<Model>,
    job: Job,
    lost: Error,
    name: String,
    can_seal: bool,
    folder: Arc<Folder>,
    partial: Arc<Partial>,
    streamer: Arc<Streamer>,
}

impl Task {
    async fn run(self) {
        let error = match self.complete().await {
            Ok(Some(sealed)) => {
                let (job, copy) = (self.job, Copy(sealed));
                self.tell(Event::Sealed { job, copy });
                self.streamer.stop();
                return self.end().await;
            }
            Ok(None) => {
                self.tell(Event::Completed { job: self.job });
                // What is given back is fetched again when it is read, which may fail.
                self.streamer.failed().await
            }
            Err(error) => error,
        };
        if error.is_mismatch() {
            tracing::error!(model = self.name, %error, "nothing of the model is kept; the next open tries again");
            let (partial, why) = (self.partial.clone(), Arc::new(error.clone()));
            let _ = tokio::task::spawn_blocking(move || partial.discard(why)).await;
        }
        if let Some(model) = self.model.upgrade() {
            model.fail_ranges(self.job, error);
        }
        self.end().await;
    }

    fn tell(&self, event: Event<super::model::Real>) {
        if let Some(model) = self.model.upgrade() {
            model.feed(event);
        }
    }

    /// Lets go of what is on the disk, in a thread for that.
    async fn end(self) {
        let _ = tokio::task::spawn_blocking(move || drop(self)).await;
    }

    /// Waits for every byte, verifies and seals. `None`: it cannot be sealed, being an object, or in memory.
    async fn complete(&self) -> Result<Option<Arc<Sealed>>, Error> {
        let begun = Instant::now();
        loop {
            self.arrived().await?;
            match self.check().await {
                Err(error) if !error.is_incomplete() => return Err(error),
                Err(_) => {}
                Ok(()) if !self.can_seal => {
                    return match self.blocking(|partial| partial.verify()).await {
                        // What was given back meanwhile comes again when it is read.
                        Err(error) if !error.is_incomplete() => Err(error),
                        _ => Ok(None),
                    };
                }
                Ok(()) => match self.sealed().await {
                    Err(error) if error.is_incomplete() => {}
                    Ok(Some(sealed)) => {
                        let seconds = begun.elapsed().as_secs_f32();
                        tracing::info!(
                            model = self.name,
                            bytes = sealed.bytes(),
                            seconds,
                            "the model is complete and verified"
                        );
                        return Ok(Some(sealed));
                    }
                    ended => return ended,
                },
            }
            // Something was given back, or taken away, meanwhile.
            self.again(SEAL_AGAIN).await?;
            self.streamer.reopen();
        }
    }

    /// Waits for every byte.
    async fn arrived(&self) -> Result<(), Error> {
        let done = self.streamer.done();
        tokio::pin!(done);
        loop {
            tokio::select! {
                done = &mut done => return done,
                () = sleep(SYNC) => {
                    // What is not synced is fetched again after the machine went down, that is all.
                    if let Err(error) = self.blocking(|partial| partial.sync()).await {
                        tracing::debug!(model = self.name, %error, "what has come cannot be synced now");
                    }
                }
            }
        }
    }

    /// Verifies and seals, as soon as whoever else fills the same model lets it.
    async fn sealed(&self) -> Result<Option<Arc<Sealed>>, Error> {
        loop {
            match self.blocking(|partial| partial.seal()).await? {
                Sealing::Sealed(sealed) => return Ok(Some(Arc::new(sealed))),
                Sealing::Busy(holder) => {
                    tracing::debug!(
                        model = self.name,
                        holder = holder.who,
                        "somebody else fills it"
                    );
                    self.again(SEAL_AGAIN).await?;
                }
                Sealing::InMemory => return Ok(None),
            }
        }
    }

    /// Waits before another try, as long as anybody uses the model.
    async fn again(&self, after: Duration) -> Result<(), Error> {
        sleep(after).await;
        match self.model.strong_count() {
            0 => Err(self.lost.clone()),
            _ => Ok(()),
        }
    }

    /// Compares files with the checksums that only their answers tell of.
    async fn check(&self) -> Result<(), Error> {
        for file in self
            .folder
            .files
            .iter()
            .filter(|file| file.hashes.is_empty())
        {
            let hashes = loop {
                match file.from.hashes().await {
                    Ok(hashes) => break hashes,
                    Err(error) if error.is_changed() => return Err(Error::Source(error)),
                    // All bytes are here: no reader waits for this.
                    Err(error) => {
                        tracing::debug!(model = self.name, %error, "checksums cannot be asked now");
                        self.again(SYNC).await?;
                    }
                }
            };
            let Some(here) = self.partial.filling().get(&file.name) else {
                continue;
            };
            here.told(hashes);
            if !hashes.is_empty() {
                self.blocking(move |_| here.verify()).await?;
            }
        }
        Ok(())
    }

    /// Work on the disk, off the async threads.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Partial) -> Result<T, cache::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let partial = self.partial.clone();
        match tokio::task::spawn_blocking(move || work(&partial)).await {
            Ok(result) => result.map_err(|cause| Error::of_store(&self.name, cause)),
            Err(_) => Err(self.lost.clone()),
        }
    }
}
