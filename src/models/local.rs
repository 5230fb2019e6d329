//! What of a model the local disk knows, without any request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::model::{Content, Model};
use super::step::{join, step};
use super::{Disk, Error};
use crate::cache::{Outline, Sealed, kagglehub};

/// How often it is noted on the disk that a model is used.
const NOTE: Duration = Duration::from_secs(60);

impl Model {
    /// What is here, as far as memory knows.
    pub fn here(&self) -> Option<Content> {
        self.state.lock().content.clone()
    }

    /// Whether memory knows what the disk has of it, or did a moment ago.
    pub fn is_looked_at(&self) -> bool {
        self.object.is_some() || self.state.lock().is_looked_at()
    }

    /// Looks at what the disk has of it, unless memory knows; once however many ask at the same time.
    ///
    /// # Errors
    ///
    /// [`Error::Hung`]: the disk does not answer. That it fails is logged.
    pub async fn look(self: &Arc<Model>) -> Result<(), Error> {
        if self.is_looked_at() {
            return Ok(());
        }
        let looking = {
            let state = &mut *self.state.lock();
            join(&mut state.looking, || {
                let (model, lost) = (self.clone(), Err(self.lost()));
                step(&self.shared.runtime, lost, model.look_at_disk())
            })
        };
        looking.await
    }

    async fn look_at_disk(self: Arc<Model>) -> Result<(), Error> {
        let disk = match self.handle.variation() {
            Some(_) if self.shared.options.kagglehub.is_some() => Disk::Kaggle,
            _ => Disk::Cache,
        };
        let model = self.clone();
        let look = move || {
            let sealed = model.on_disk();
            let outline = match sealed {
                None => model.shared.cache.outline(&model.handle.url()),
                Some(_) => None,
            };
            (sealed, outline)
        };
        let found = self.shared.on_disk(disk, &self.handle, look).await;
        let mut state = self.state.lock();
        state.looking = None;
        let (sealed, outline) = found?;
        state.looked = Some(Instant::now());
        match sealed {
            Some(sealed) if state.content.is_none() => {
                state.content = Some(Content::Sealed(Arc::new(sealed)));
                state.outline = None; // the copy has the names too
            }
            None if state.outline.is_none() => state.outline = outline.map(Arc::new),
            _ => {}
        }
        Ok(())
    }

    fn on_disk(&self) -> Option<Sealed> {
        match self.shared.cache.sealed(&self.handle.url()) {
            Ok(Some(found)) => Some(found),
            Ok(None) => self.of_kagglehub(),
            Err(error) => {
                tracing::warn!(model = %self.handle, %error, "the cached copy cannot be read");
                None
            }
        }
    }

    /// What kagglehub has downloaded already.
    fn of_kagglehub(&self) -> Option<Sealed> {
        let root = self.shared.options.kagglehub.as_ref()?;
        kagglehub::find(root, &self.handle.variation()?)
    }

    /// The names in a model that was here before, while they are not all here: it has left the cache, or comes back.
    pub fn outline(&self) -> Option<Arc<Outline>> {
        self.state.lock().outline.clone()
    }

    /// Says that a complete model is being read, so that it leaves the cache last, and has it looked at again now and then.
    /// Ends when that is done, which it is without being awaited.
    pub fn is_used(self: &Arc<Model>) -> Option<JoinHandle<()>> {
        {
            let noted = &mut self.state.lock().noted;
            if noted.is_some_and(|at| at.elapsed() < NOTE) {
                return None;
            }
            *noted = Some(Instant::now());
        }
        let model = self.clone();
        let note = move || {
            let url = model.handle.url();
            model.shared.cache.is_used(&url);
            // A file that was added, say, which opening the others does not show.
            let cache = &model.shared.cache;
            let Some(Content::Sealed(copy)) = model.here() else {
                return;
            };
            if cache.has_dir(copy.dir()) && matches!(cache.sealed(&url), Ok(None)) {
                model.state.lock().suspect = true;
            }
        };
        Some(self.shared.runtime.spawn_blocking(note))
    }

    /// Says that somebody reads the complete model. At the first time it is also left for other hosts, should an earlier run
    /// not have come to it.
    pub fn is_opened(self: &Arc<Model>) {
        drop(self.is_used());
        if !std::mem::replace(&mut self.state.lock().left, true) {
            self.shared.publish(&self.handle);
        }
    }

    /// A file of `copy` was missing or changed on the disk: forget the copy, so that the next open brings it back.
    pub fn damaged(&self, copy: &Arc<Sealed>, what: &str) {
        let mut state = self.state.lock();
        // Another reader may have said so before, and the present copy be a new one.
        if matches!(&state.content, Some(Content::Sealed(present)) if Arc::ptr_eq(present, copy)) {
            state.content = None;
            state.suspect = false;
            state.outline = Some(copy.outline().clone());
        } else {
            return;
        }
        drop(state);
        match copy.dir().exists() {
            true => {
                tracing::warn!(model = %self.handle, what, "the cached copy is not as it was; it is mended, or fetched again")
            }
            false => {
                tracing::info!(model = %self.handle, "the model has left the cache; fetching it again")
            }
        }
    }

    /// Whether somebody seems to have been at the copy since it was found whole.
    pub fn is_suspect(&self) -> bool {
        self.state.lock().suspect
    }

    /// The model, if it is here after all, or can be mended without a request.
    pub(super) async fn mended(self: &Arc<Model>) -> Result<Option<Sealed>, Error> {
        if self.object.is_some() {
            return Ok(None);
        }
        let model = self.clone();
        let mend = move || model.shared.cache.mend(&model.handle.url());
        match tokio::task::spawn_blocking(mend).await {
            Ok(Ok(sealed)) => Ok(sealed),
            // Whoever fetches it anew runs into the same, and says so.
            Ok(Err(error)) => {
                tracing::debug!(model = %self.handle, %error, "the cached copy cannot be mended");
                Ok(None)
            }
            Err(_) => Err(self.lost()),
        }
    }
}
