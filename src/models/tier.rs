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
use crate::handle::{Handle, Key};
use crate::source::tier::{Outcome, Tier, Upload};
use crate::source::{self, Local, Plan};
use crate::store::{ListedFile, Sealed, State};

/// A file of a sealed model.
#[derive(Debug)]
struct SealedFile(Arc<Sealed>, String);

impl Local for SealedFile {
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
        if let Some(tier) = &self.options.tier
            && let Some(folder) = tier.find(handle).await
        {
            return Ok(Plan::Files(Arc::new(folder)));
        }
        self.source.plan(handle).await
    }

    /// A filling of the model has come to a bad end.
    pub(super) fn tier_failed(&self, handle: &Handle, error: &Error) {
        let of_source = matches!(error, Error::Source(_)) || error.is_mismatch();
        if let Some(tier) = self.options.tier.as_ref().filter(|_| of_source) {
            tier.has_failed(handle);
        }
    }

    /// Leaves a model that came from elsewhere in the shared cache, in the background.
    pub(super) fn publish(self: &Arc<Shared>, handle: &Handle, sealed: &Arc<Sealed>) {
        let Some(tier) = self.options.tier.clone() else {
            return;
        };
        if !Tier::is_for(handle) || tier.has_given(handle) {
            return;
        }
        let (handle, sealed) = (handle.clone(), sealed.clone());
        let under_way = tier.begin();
        let shared = self.clone();
        self.runtime.spawn(async move {
            let began = Instant::now();
            let key = handle.key();
            let files = tokio::task::spawn_blocking(move || files(&shared, &key, &sealed)).await;
            let Ok(Some(files)) = files else {
                return;
            };
            let seconds = || began.elapsed().as_secs_f32();
            match tier.publish(&handle, files, under_way).await {
                Ok(Outcome::Sent(bytes)) => tracing::info!(
                    model = %handle, to = tier.shown(), bytes, seconds = seconds(),
                    "the model is in the shared cache"
                ),
                Ok(outcome) => {
                    tracing::debug!(model = %handle, ?outcome, "nothing to send to the shared cache");
                }
                Err(error) => tracing::warn!(
                    model = %handle, to = tier.shown(),
                    "the model could not be left in the shared cache; here it is complete: {error}"
                ),
            }
        });
    }
}

/// Every file of a model that we have verified, with what its manifest says of it.
fn files(shared: &Shared, key: &Key, sealed: &Arc<Sealed>) -> Option<Vec<Upload>> {
    let (manifest, _) = shared.cache.whole(key).ok()??;
    if manifest.state != State::Sealed {
        return None;
    }
    let upload = |file: ListedFile<'_>| Upload {
        name: file.path.to_owned(),
        size: file.size,
        crc32c: file.crc32c,
        from: Arc::new(SealedFile(sealed.clone(), file.path.to_owned())),
    };
    Some(manifest.files().map(upload).collect())
}
