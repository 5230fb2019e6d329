//! The shared cache, where models are looked up before their hub is asked, and left for other hosts once they are here.

use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{Error, Shared};
use crate::bucket::LocalBytes;
use crate::cache::{ListedFile, Sealed, State, Verified};
use crate::handle::{Handle, Key};
use crate::shared_cache::{self, SharedCache, UploadFile, UploadOutcome};
use crate::source::{self, Plan};

/// A file of a sealed model.
#[derive(Debug)]
struct SealedFile(Arc<Sealed>, String);

impl LocalBytes for SealedFile {
    fn read(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<Bytes>> {
        let (sealed, name) = (self.0.clone(), self.1.clone());
        let work = move || {
            let len = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
            let mut bytes = vec![0; len];
            sealed.open(&name)?.read_exact_at(&mut bytes, range.start)?;
            Ok(Bytes::from(bytes))
        };
        async {
            tokio::task::spawn_blocking(work)
                .await
                .map_err(io::Error::other)?
        }
        .boxed()
    }
}

impl Shared {
    /// What the shared cache says of a model, or else its source.
    pub(super) async fn plan(&self, handle: &Handle) -> Result<Plan, source::Error> {
        if let Some(shared_cache) = &self.options.shared_cache
            && let Some(folder) = shared_cache.find(handle).await
        {
            return Ok(Plan::Files(Arc::new(folder)));
        }
        self.source.plan(handle).await
    }

    /// A filling of the model has come to a bad end. True if it was the shared cache's copy that failed.
    pub(super) fn record_copy_failure(&self, handle: &Handle, error: &Error) -> bool {
        let of_source = matches!(error, Error::Source(_)) || error.is_mismatch();
        let shared_cache = self.options.shared_cache.as_ref().filter(|_| of_source);
        shared_cache.is_some_and(|copies| copies.record_failure(handle, error.is_mismatch()))
    }

    /// Leaves a model that came from elsewhere in the shared cache, in the background.
    pub(super) fn publish(self: &Arc<Shared>, handle: &Handle) {
        let Some(shared_cache) = self.options.shared_cache.clone() else {
            return;
        };
        if !SharedCache::can_hold(handle) || shared_cache.is_source_of(handle) {
            return;
        }
        let Some(pending) = shared_cache.begin(handle) else {
            tracing::warn!(model = %handle, "too many models wait to be left in the shared cache; this one is when it is opened in a later run");
            return;
        };
        let (shared, handle) = (self.clone(), handle.clone());
        self.runtime.spawn(async move {
            let began = Instant::now();
            let key = handle.key();
            let wanted = shared.clone();
            let files = move || async move {
                let files = tokio::task::spawn_blocking(move || files(&wanted, &key));
                files.await.ok().flatten()
            };
            let published = shared_cache.publish(&handle, files, pending).await;
            told(&shared, &shared_cache, &handle, published, began).await;
        });
    }
}

/// Says what has come of an upload. A copy that was found wrong on the way is looked at as a whole.
async fn told(
    shared: &Arc<Shared>,
    shared_cache: &SharedCache,
    handle: &Handle,
    published: Result<UploadOutcome, shared_cache::Error>,
    began: Instant,
) {
    let error = match published {
        Ok(UploadOutcome::Sent(bytes)) => {
            let seconds = began.elapsed().as_secs_f32();
            tracing::info!(model = %handle, to = shared_cache.shown(), bytes, seconds, "the model is in the shared cache");
            return;
        }
        Ok(outcome) => {
            tracing::debug!(model = %handle, ?outcome, "nothing to send to the shared cache");
            return;
        }
        Err(error @ shared_cache::Error::Damaged { .. }) => error,
        Err(error) => {
            tracing::warn!(
                model = %handle, to = shared_cache.shown(),
                "the model could not be left in the shared cache; here it is complete: {error}"
            );
            return;
        }
    };
    let (shared, key) = (shared.clone(), handle.key());
    let verified = tokio::task::spawn_blocking(move || {
        crate::cache::Integrity::of(&shared.cache).verify(&key)
    })
    .await;
    let then = match verified {
        Ok(Ok(Verified::SetAside(_))) => "it is set aside, and the next open fetches it again",
        Ok(Ok(Verified::Wrong(_))) => "it stays, in a directory that is not ours to write",
        Ok(Ok(Verified::Absent)) => {
            tracing::debug!(model = %handle, %error, "it has left this host before it was sent");
            return;
        }
        Ok(Ok(_)) => "read again, it is right",
        _ => "it could not be verified: use tfhub-fs cache verify",
    };
    tracing::error!(model = %handle, to = shared_cache.shown(), "the model could not be left in the shared cache: {error}; {then}");
}

/// Every file of a model that we have verified, with what its manifest says of it.
fn files(shared: &Shared, key: &Key) -> Option<Vec<UploadFile>> {
    let (manifest, sealed) = crate::cache::Integrity::of(&shared.cache)
        .whole(key)
        .ok()??;
    if manifest.state != State::Sealed {
        return None;
    }
    let sealed = Arc::new(sealed);
    let upload = |file: ListedFile<'_>| UploadFile {
        name: file.path.to_owned(),
        size: file.size,
        crc32c: file.crc32c,
        from: Arc::new(SealedFile(sealed.clone(), file.path.to_owned())),
    };
    Some(manifest.files().map(upload).collect())
}
