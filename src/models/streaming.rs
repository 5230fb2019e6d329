//! The uncompressed form: files are read where they are, and what was read stays.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::Error;
use super::model::{Content, Model};
use super::siblings;
use super::stream::{self, Streamer};
use crate::cache::{self, FileSpec, Partial, Sealed, Sealing, Streaming};
use crate::config::Prefetch;
use crate::handle::BucketPath;
use crate::savedmodel::Part;
use crate::source::{Archive, Folder, RemoteFile};

/// How often a complete model tries for tensorflow_hub's lock, which whoever downloads the same model has.
const SEAL_AGAIN: Duration = Duration::from_secs(1);

/// How often what has come is made to outlive the machine.
const SYNC: Duration = Duration::from_secs(30);

/// An object of a bucket, as it was when it was listed.
pub(super) struct Object {
    /// The path in the bucket.
    pub(super) path: BucketPath,
    /// What its bytes are kept under.
    id: String,
    /// The one file.
    pub(super) folder: Arc<Folder>,
    /// It has been replaced since.
    pub(super) changed: AtomicBool,
}

impl Object {
    pub(super) fn new(path: &BucketPath, file: RemoteFile) -> Object {
        let id = Object::id(path, &file.version);
        let folder = Folder {
            shown: path.to_string(),
            remote: Some(path.to_string()),
            files: vec![file],
            dirs: Vec::new(),
        };
        Object {
            path: path.clone(),
            id,
            folder: Arc::new(folder),
            changed: AtomicBool::new(false),
        }
    }

    /// What the bytes of an object are kept under: another content is another object.
    pub(super) fn id(path: &BucketPath, version: &str) -> String {
        format!("{path}#{version}")
    }
}

impl Model {
    /// Whether this is an object that its bucket has replaced since.
    pub fn is_outdated(&self) -> bool {
        let object = self.object.as_ref();
        object.is_some_and(|object| object.changed.load(Ordering::Relaxed))
    }

    /// Takes note of an object that is not any more what was listed.
    pub(super) fn outdate(&self, error: &Error) {
        if let Some(object) = self.object.as_ref().filter(|_| error.is_changed()) {
            object.changed.store(true, Ordering::Relaxed);
            self.shared.buckets.forget(&object.path);
        }
    }

    /// The folder to stream from in place of an archive that the cache has no room for.
    pub(super) async fn instead_of(&self, archive: &Archive) -> Option<Arc<Folder>> {
        let shared = self.shared.clone();
        let room = tokio::task::spawn_blocking(move || shared.cache.room());
        let room = room.await.unwrap_or(0);
        let large = archive.size().is_some_and(|size| size > room);
        if !(self.shared.options.may_stream && (large || room == 0 || self.was_too_large())) {
            return None;
        }
        if self.had_no_files() {
            return None;
        }
        match self.shared.source.files(&self.handle).await {
            Ok(folder) => Some(Arc::new(folder)),
            Err(error) => {
                tracing::debug!(model = %self.handle, %error, "the archive does not fit, and there are no files");
                self.has_no_files();
                None
            }
        }
    }

    /// Starts to fill the model by ranges.
    pub(super) async fn stream(self: &Arc<Model>, folder: Arc<Folder>) -> Result<Content, Error> {
        let partial = match self.opened(&folder).await? {
            Streaming::Sealed(sealed) => return Ok(Content::Sealed(Arc::new(sealed))),
            Streaming::Partial(mut partial) => {
                partial.comes_from(&folder.shown);
                Arc::new(partial)
            }
        };
        let filling = partial.filling();
        let asked = partial.clone();
        let limit = tokio::task::spawn_blocking(move || asked.limit()).await;
        let limit = limit.map_err(|_| self.lost())?;
        let options = stream::Options {
            ahead: self.shared.streams.ahead.min(limit / 2),
            ..self.shared.streams.clone()
        };
        let streamer = Streamer::start(
            &self.shared.runtime,
            filling.clone(),
            &folder.files,
            options,
        );
        let ending = Ending {
            model: Arc::downgrade(self),
            lost: self.lost(),
            name: self.handle.url(),
            is_object: self.object.is_some(),
            folder,
            partial,
            streamer: streamer.clone(),
        };
        let is_kept = !ending.partial.is_in_memory() && self.object.is_none();
        let content = self.is_filling(filling, Some(streamer), ending.run());
        self.may_be_sealed(is_kept);
        if self.shared.options.prefetch != Prefetch::None
            && let Some(object) = &self.object
        {
            let work = siblings::fetch_ahead(self.shared.clone(), object.path.clone());
            self.shared.runtime.spawn(work);
        }
        Ok(content)
    }

    /// A part of the model's one file will be wanted soon.
    pub(super) async fn hint(self: Arc<Model>, part: Part) {
        let Some(name) = self
            .object
            .as_ref()
            .map(|object| object.path.split().map_or("", |(_, name)| name).to_owned())
        else {
            return;
        };
        if self.content().await.is_ok()
            && let Some(streamer) = self.streamer()
        {
            streamer.hint(&name, part);
        }
    }

    /// The filling with what an earlier run has left of it.
    async fn opened(self: &Arc<Model>, folder: &Folder) -> Result<Streaming, Error> {
        let specs = folder.files.iter().map(|file| FileSpec {
            path: file.name.clone(),
            size: file.size,
            mtime: file.mtime,
            version: file.version.clone(),
            hashes: file.hashes,
        });
        let (specs, dirs) = (specs.collect(), folder.dirs.clone());
        let model = self.clone();
        let opened = tokio::task::spawn_blocking(move || {
            let id = match &model.object {
                Some(object) => object.id.clone(),
                None => model.handle.url(),
            };
            model.shared.cache.stream(&id, specs, dirs)
        });
        match opened.await {
            Ok(result) => result.map_err(|cause| Error::of_store(&self.handle.url(), cause)),
            Err(_) => Err(self.lost()),
        }
    }
}

/// What is left to be done with a model that is being streamed. It does not keep the model: one that nobody uses any more
/// stops its streamer, which ends this.
struct Ending {
    model: Weak<Model>,
    lost: Error,
    name: String,
    is_object: bool,
    folder: Arc<Folder>,
    partial: Arc<Partial>,
    streamer: Arc<Streamer>,
}

impl Ending {
    async fn run(self) -> Result<Content, Error> {
        let result = self.complete().await;
        if let Err(error) = &result
            && error.is_mismatch()
        {
            tracing::error!(model = self.name, %error, "nothing of the model is kept; the next open tries again");
            let (partial, why) = (self.partial.clone(), Arc::new(error.clone()));
            let _ = tokio::task::spawn_blocking(move || partial.discard(why)).await;
        }
        let filling = self.partial.filling();
        let model = self.model.upgrade();
        match (result, model) {
            (Ok(Some(sealed)), Some(model)) => {
                model.shared.publish(&model.handle);
                Ok(model.is_sealed(&sealed))
            }
            (Ok(_), model) => {
                // Complete and verified, and not to be sealed: kept as long as the model is in use.
                let content = Content::Filling(filling);
                if let Some(model) = model {
                    model.keep(self.partial);
                }
                Ok(content)
            }
            (Err(error), Some(model)) => {
                model.has_failed(&filling, &error);
                Err(error)
            }
            (Err(error), None) => Err(error),
        }
    }

    /// Waits for every byte, verifies and seals. `None`: it cannot be sealed, being an object, or in memory.
    async fn complete(&self) -> Result<Option<Arc<Sealed>>, Error> {
        let begun = Instant::now();
        loop {
            self.arrived().await?;
            match self.check().await {
                Err(error) if !error.is_incomplete() => return Err(error),
                Err(_) => {}
                Ok(()) if self.is_object || self.partial.is_in_memory() => {
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
