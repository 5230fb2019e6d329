//! Fetches models that the handle list marks `prefetch`, a few at a time in the background, and pins those that it marks `pin`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use tokio::sync::watch::Receiver;

use crate::daemon::newest::newest;
use crate::handle::{Handle, HandleList, Key};
use crate::models::{Error, Models};

/// How many models are fetched at the same time; readers want the link too.
const TOGETHER: usize = 4;

/// How long it waits before it tries again what failed, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));

/// Which models are complete, and of which it was told that they are not.
#[derive(Default)]
struct Seen {
    done: HashSet<Key>,
    told: HashSet<Key>,
}

impl Seen {
    /// Forgets what the catalog does not mark any more: should it do so again, it is fetched again.
    fn keep(&mut self, catalog: &HandleList) {
        let marked: HashSet<Key> = catalog.prefetched().map(Handle::key).collect();
        self.done.retain(|key| marked.contains(key));
        self.told.retain(|key| marked.contains(key));
    }
}

/// Fetches what is marked, now and whenever the catalog changes, until there is no catalog any more. A model that was
/// complete once is not looked after: the next reader fetches it if it has gone.
pub async fn run(models: Models, mut content: Receiver<Arc<HandleList>>) {
    let seen = Mutex::new(Seen::default());
    let mut pause = PAUSE.0;
    let mut earlier = Arc::default();
    loop {
        let catalog = content.borrow_and_update().clone();
        let change = (
            std::mem::replace(&mut earlier, catalog.clone()),
            catalog.clone(),
        );
        seen.lock().keep(&catalog);
        let pinning = models.clone();
        let pinned = tokio::task::spawn_blocking(move || pin(&pinning, &change.0, &change.1)).await;
        if pinned.is_err() {
            tracing::error!("what the catalog marks could not be pinned");
        }
        let round = async {
            let left = missing(&catalog, &seen);
            let all = stream::iter(left);
            all.for_each_concurrent(TOGETHER, |handle| fetch(&models, handle, &seen))
                .await;
            if missing(&catalog, &seen).is_empty() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(pause).await;
        };
        // A round that is left behind by a change loses nothing: what is on its way goes on, and the next round joins it.
        tokio::select! {
            () = round => pause = (2 * pause).min(PAUSE.1),
            changed = content.changed() => match changed {
                Ok(()) => pause = PAUSE.0,
                Err(_) => return,
            },
        }
    }
}

/// Pins what is marked now, and lets go what was marked before. Other pins are not the catalog's.
fn pin(models: &Models, earlier: &HandleList, now: &HandleList) {
    let keys = |catalog: &HandleList| catalog.pinned().map(Handle::key).collect::<HashSet<_>>();
    let (before, wanted) = (keys(earlier), keys(now));
    let gone = earlier
        .pinned()
        .filter(|handle| !wanted.contains(&handle.key()));
    let new = now
        .pinned()
        .filter(|handle| !before.contains(&handle.key()));
    for (handle, pinned) in gone
        .map(|handle| (handle, false))
        .chain(new.map(|handle| (handle, true)))
    {
        if let Err(error) = models.pin(handle, pinned) {
            tracing::warn!(%handle, %error, "of the catalog, cannot be pinned or let go");
        }
    }
}

fn missing(catalog: &HandleList, seen: &Mutex<Seen>) -> Vec<Handle> {
    let seen = seen.lock();
    let wanted = catalog.prefetched();
    let left = wanted.filter(|handle| !seen.done.contains(&handle.key()));
    left.cloned().collect()
}

/// Fetches one model. A failure is told once.
async fn fetch(models: &Models, handle: Handle, seen: &Mutex<Seen>) {
    let key = handle.key();
    match complete(models, &handle).await {
        Ok(()) => {
            tracing::debug!(%handle, "of the catalog, is complete");
            seen.lock().done.insert(key);
        }
        Err(error) if seen.lock().told.insert(key) => {
            tracing::warn!(%handle, %error, "of the catalog, cannot be fetched; it is tried again later");
        }
        Err(error) => tracing::debug!(%handle, %error, "of the catalog, still cannot be fetched"),
    }
}

async fn complete(models: &Models, handle: &Handle) -> Result<(), Error> {
    let handle = newest(handle, models).await?;
    models.model(&handle).sealed().await.map(drop)
}
