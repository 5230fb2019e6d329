//! What of a model the local disk knows, without any request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::Error;
use super::model::{Content, Model};
use crate::cache::{Outline, Sealed, kagglehub};

/// How often it is noted on the disk that a model is used.
const NOTE: Duration = Duration::from_secs(60);

impl Model {
    /// What is here now, without any request: from memory, or from the local disk at the first look.
    pub fn here(&self) -> Option<Content> {
        if let Some(content) = &self.state.lock().content {
            return Some(content.clone());
        }
        if self.object.is_some() {
            return None;
        }
        let sealed = match self.shared.cache.sealed(&self.handle.url()) {
            Ok(Some(found)) => Arc::new(found),
            Ok(None) => Arc::new(self.of_kagglehub()?),
            Err(error) => {
                tracing::warn!(model = %self.handle, %error, "the cached copy cannot be read");
                return None;
            }
        };
        let mut state = self.state.lock();
        if state.content.is_none() {
            state.content = Some(Content::Sealed(sealed));
            state.outline = None; // the copy has the names too
        }
        state.content.clone()
    }

    /// What kagglehub has downloaded already.
    fn of_kagglehub(&self) -> Option<Sealed> {
        let root = self.shared.options.kagglehub.as_ref()?;
        kagglehub::find(root, &self.handle.variation()?)
    }

    /// The names in a model that was here before, while they are not all here: it has left the cache, or comes back.
    pub fn outline(&self) -> Option<Arc<Outline>> {
        if self.object.is_some() {
            return None;
        }
        if let Some(known) = &self.state.lock().outline {
            return known.clone();
        }
        let known = self.shared.cache.outline(&self.handle.url());
        let known = known.map(Arc::new);
        self.state.lock().outline.get_or_insert(known).clone()
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
            state.outline = Some(Some(copy.outline().clone()));
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
