//! What a model's state asks to be done.

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::driver::Model;
use super::event::{Effect, Event, Found, Job};
use super::payload::{Copy, Fill, Filler, Real};
use crate::cache::{self, FileTree};
use crate::models::{Disk, Error, archive_fill, range_task};
use crate::source::{Archive, Folder, Plan};

impl Model {
    /// Does what is to be done. Nothing here waits: what takes its time runs in a task, and reports its end as an event.
    pub(super) fn run(self: &Arc<Model>, effect: Effect<Real>) -> Option<JoinHandle<()>> {
        match effect {
            Effect::Look { job, mend } => self.spawn(job, self.clone().look_at_disk(job, mend)),
            Effect::Ask { job } => self.spawn(job, self.clone().ask(job)),
            Effect::Start {
                job,
                plan,
                too_large,
                ask_for_files,
            } => {
                let work = self.clone().start(job, plan, too_large, ask_for_files);
                self.spawn(job, work);
            }
            Effect::FetchAll { job, fill } => self.fetch_all(job, fill),
            Effect::FailReaders { fill, error } => fill.filling.fail(Arc::new(error)),
            Effect::Stop { fill } => fill.stop(),
            Effect::Forget => {
                if let Some(object) = self.object() {
                    self.shared.buckets.forget(object.path());
                }
            }
            Effect::Publish => self.shared.publish(self.handle()),
            Effect::NoteUse { copy } => return Some(self.note_use(copy)),
            Effect::Warn { copy, what } => self.warn(copy, what),
            // Whoever waits was told under the lock that the state was changed under.
            Effect::Tell(_) => {}
        }
        None
    }

    /// Runs a job in a task of its own, which outlives whoever began it.
    pub(in crate::models) fn spawn(
        self: &Arc<Model>,
        job: Job,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        let model = Arc::downgrade(self);
        let work = self.shared.runtime.spawn(work);
        self.shared.runtime.spawn(async move {
            // A panic in it must not leave the model as it is for ever.
            if work.await.is_err()
                && let Some(model) = model.upgrade()
            {
                let error = model.lost();
                model.fail(job, error);
            }
        });
    }

    /// Work on the disk, off the async threads.
    pub(in crate::models) async fn blocking<T: Send + 'static>(
        self: &Arc<Model>,
        work: impl FnOnce(&Model) -> Result<T, cache::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let model = self.clone();
        match tokio::task::spawn_blocking(move || work(&model)).await {
            Ok(result) => result.map_err(|cause| Error::of_store(&self.handle().url(), cause)),
            Err(_) => Err(self.lost()),
        }
    }

    async fn look_at_disk(self: Arc<Model>, job: Job, mend: bool) {
        let disk = match self.handle().variation() {
            Some(_) if self.shared.cache.asks_kagglehub() => Disk::Kaggle,
            _ => Disk::Cache,
        };
        let model = self.clone();
        let look = move || model.on_disk(mend);
        match self.shared.on_disk(disk, self.handle(), look).await {
            Ok(found) => self.feed(Event::Looked { job, found }),
            Err(error) => self.fail(job, error),
        }
    }

    fn on_disk(&self, mend: bool) -> Found<Real> {
        let (cache, url) = (&self.shared.cache, self.handle().url());
        let found = match cache.sealed(&url) {
            Ok(Some(found)) => Some(found),
            Ok(None) => None,
            Err(error) => {
                tracing::warn!(model = %self.handle(), %error, "the cached copy cannot be read");
                None
            }
        };
        let mended = || match cache.mend(&url) {
            Ok(mended) => mended,
            // Whoever fetches it anew runs into the same, and says so.
            Err(error) => {
                tracing::debug!(model = %self.handle(), %error, "the cached copy cannot be mended");
                None
            }
        };
        let found = found.or_else(|| mend.then(mended).flatten());
        match found {
            Some(sealed) => Found::Copy(Copy(Arc::new(sealed))),
            None => Found::Away(cache.file_tree(&url).map(Arc::<FileTree>::new)),
        }
    }

    async fn ask(self: Arc<Model>, job: Job) {
        match self.shared.plan(self.handle()).await {
            Ok(plan) => {
                let source = plan.shown();
                self.feed(Event::Planned { job, plan, source });
            }
            Err(error) => self.fail(job, Error::Source(error)),
        }
    }

    async fn start(self: Arc<Model>, job: Job, plan: Plan, too_large: bool, ask_for_files: bool) {
        match plan {
            Plan::Files(folder) => range_task::begin(self, job, folder).await,
            Plan::Archive(archive) => {
                let folder = match ask_for_files {
                    true => self.files_instead_of(job, &archive, too_large).await,
                    false => None,
                };
                match folder {
                    Some(folder) => range_task::begin(self, job, folder).await,
                    None => archive_fill::run(self, job, archive).await,
                }
            }
        }
    }

    /// The folder to stream from in place of an archive that the cache has no space for.
    async fn files_instead_of(
        self: &Arc<Model>,
        job: Job,
        archive: &Archive,
        too_large: bool,
    ) -> Option<Arc<Folder>> {
        if !self.shared.options.may_stream {
            return None;
        }
        let space = self.blocking(|model| Ok(model.shared.cache.room())).await;
        let space = space.unwrap_or(0);
        let is_large = archive.size().is_some_and(|size| size > space);
        if !(is_large || space == 0 || too_large) {
            return None;
        }
        match self.shared.source.files(self.handle()).await {
            Ok(folder) => Some(Arc::new(folder)),
            Err(error) => {
                tracing::debug!(model = %self.handle(), %error, "the archive does not fit, and there are no files");
                self.feed(Event::NoFiles { job });
                None
            }
        }
    }

    fn fetch_all(self: &Arc<Model>, job: Job, fill: Fill) {
        let Filler::Ranges(streamer) = fill.by else {
            return;
        };
        let model = Arc::downgrade(self);
        self.shared.runtime.spawn(async move {
            let error = tokio::select! {
                error = streamer.await_all() => error,
                _ = streamer.failed() => return,
            };
            if let Some(model) = model.upgrade() {
                model.feed(Event::Short { job, error });
            }
        });
    }

    /// Also looks whether a file was added, say, which opening the others does not show.
    fn note_use(self: &Arc<Model>, copy: Copy) -> JoinHandle<()> {
        let model = self.clone();
        self.shared.runtime.spawn_blocking(move || {
            let (cache, url) = (&model.shared.cache, model.handle().url());
            cache.record_use(&url);
            if cache.has_dir(copy.0.dir()) && matches!(cache.sealed(&url), Ok(None)) {
                model.feed(Event::Suspected { copy });
            }
        })
    }

    fn warn(self: &Arc<Model>, copy: Copy, what: String) {
        let model = self.clone();
        self.shared.runtime.spawn_blocking(move || match copy.0.dir().exists() {
            true => {
                tracing::warn!(model = %model.handle(), what, "the cached copy is not as it was; it is mended, or fetched again");
            }
            false => {
                tracing::info!(model = %model.handle(), "the model has left the cache; fetching it again");
            }
        });
    }
}
