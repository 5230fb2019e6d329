//! Every model of this process, once; and what their tasks work with.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use lru::LruCache;
use parking_lot::Mutex;

use crate::archive::Limits;
use crate::cache::Cache;
use crate::config::Prefetch;
use crate::fetch::Client;
use crate::handle::{BucketPath, Catalogue, Handle, Key};
use crate::shared_cache::SharedCache;
use crate::source::{RemoteFile, Source};

use super::objects::Object;
use super::{BucketNames, Error, Latest, Model, Seen, bucket, disk, newest, range_fill};

/// How many models are remembered that nobody uses; a sealed one that falls out is read from the disk again.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(8191);

/// How long a streamed model that is to come whole waits for an origin that fails.
const AGAIN: Duration = Duration::from_secs(10);

/// What the models need to know about this run.
#[derive(Debug, Clone)]
pub struct Options {
    /// A transfer or a wait without any progress for this long is given up.
    pub timeout: Duration,
    /// What an archive may ask of this host.
    pub limits: Limits,
    /// Whether files may be streamed where an archive does not fit.
    pub may_stream: bool,
    /// What of a streamed model is fetched before it is read.
    pub prefetch: Prefetch,
    /// The cache that hosts share.
    pub shared_cache: Option<SharedCache>,
}

/// All models, by handle.
#[derive(Clone)]
pub struct Models {
    pub(super) shared: Arc<Shared>,
    table: Arc<Mutex<Table>>,
}

/// What every model's tasks work with.
pub(crate) struct Shared {
    pub cache: Cache,
    pub client: Client,
    pub source: Source,
    pub options: Options,
    pub streams: range_fill::Options,
    pub runtime: tokio::runtime::Handle,
    /// Not held: the models in it hold this.
    table: Weak<Mutex<Table>>,
    pub told: newest::Told,
    pub buckets: bucket::Told,
    pub shares: disk::Shares,
}

/// Every model that somebody holds (a node of the kernel's, a reader, a step on its way) exactly once, so that all of them
/// see one state; and the latest ones, held or not.
struct Table {
    alive: HashMap<Key, Weak<Model>>,
    recent: LruCache<Key, Arc<Model>>,
    /// At how many rows the dead ones are swept.
    sweep: usize,
}

impl Table {
    fn new() -> Table {
        Table {
            alive: HashMap::new(),
            recent: LruCache::new(REMEMBERED),
            sweep: 2 * REMEMBERED.get(),
        }
    }

    fn find(&mut self, key: &Key) -> Option<Arc<Model>> {
        if let Some(model) = self.recent.get(key) {
            return Some(model.clone());
        }
        self.alive.get(key)?.upgrade()
    }

    /// The model that falls out of the latest ones; to be dropped without the lock.
    fn add(&mut self, key: Key, model: Arc<Model>) -> Option<(Key, Arc<Model>)> {
        if self.alive.len() >= self.sweep {
            self.alive.retain(|_, model| model.strong_count() > 0);
            self.sweep = 2 * self.alive.len().max(REMEMBERED.get());
        }
        self.alive.insert(key, Arc::downgrade(&model));
        self.recent.push(key, model)
    }
}

impl Models {
    /// Models from `source` into `cache`; background work runs on `runtime`.
    pub fn new(
        cache: Cache,
        source: Source,
        options: Options,
        runtime: tokio::runtime::Handle,
    ) -> Models {
        let streams = range_fill::Options {
            prefetch: options.prefetch,
            ahead: u64::MAX,
            pool: Arc::default(),
            again: AGAIN,
        };
        let table = Arc::new(Mutex::new(Table::new()));
        Models {
            shared: Arc::new(Shared {
                streams,
                cache,
                client: source.client().clone(),
                source,
                options,
                runtime,
                table: Arc::downgrade(&table),
                told: newest::Told::default(),
                buckets: bucket::Told::default(),
                shares: disk::Shares::default(),
            }),
            table,
        }
    }

    /// The model of a handle; asking for it does nothing yet.
    pub fn model(&self, handle: &Handle) -> Arc<Model> {
        self.shared
            .find(&self.table, handle.key(), || (handle.clone(), None))
    }

    /// An object of a bucket, as it was when it was listed, as a model of one file; asking for it does nothing yet.
    pub fn object(&self, path: &BucketPath, file: RemoteFile) -> Arc<Model> {
        self.shared.object_in(&self.table, path, file)
    }

    /// What a path in a bucket is, if that is known without a request.
    pub fn seen_here(&self, path: &BucketPath) -> Option<Result<Seen, Error>> {
        self.shared.buckets.seen(path)
    }

    /// What a path in a bucket is.
    pub async fn seen(&self, path: &BucketPath) -> Result<Seen, Error> {
        bucket::look(&self.shared, path).await
    }

    /// Every name in a directory of a bucket, if they are known without a request.
    pub fn listed_here(&self, dir: &BucketPath) -> Option<Result<Arc<BucketNames>, Error>> {
        self.shared.buckets.listed(dir)
    }

    /// Every name in a directory of a bucket.
    pub async fn list(&self, dir: &BucketPath) -> Result<Arc<BucketNames>, Error> {
        bucket::list(&self.shared, dir).await
    }

    /// The names of all models that are in the cache, or were.
    pub fn cached(&self) -> HashSet<Key> {
        crate::cache::Inventory::of(&self.shared.cache).keys_known()
    }

    /// The handle of the model with this name in the cache, as it was written there; whoever fetched it.
    pub fn cached_as(&self, key: &Key) -> Option<String> {
        crate::cache::Inventory::of(&self.shared.cache).handle_of(key)
    }

    /// Pins a model that a catalog marks, here or not, or lets it go when it does not any more: a pin of the user's stays. May
    /// take as long as the disk needs.
    pub fn pin(&self, handle: &Handle, pinned: bool) -> Result<(), Error> {
        let done = crate::cache::Pins::of(&self.shared.cache).pin_of_catalog(&handle.url(), pinned);
        done.map_err(|cause| Error::of_store(&handle.url(), cause))
    }

    /// The newest version of an unversioned handle; asked of the origin at most once a minute.
    pub async fn newest(&self, unversioned: &Handle) -> Result<Latest, Error> {
        newest::newest(&self.shared, unversioned).await
    }

    /// Every version that the origin tells of; empty where it tells of none.
    pub async fn versions(&self, unversioned: &Handle) -> Result<Arc<Vec<u64>>, Error> {
        newest::versions(&self.shared, unversioned).await
    }

    /// What lies below a directory of Kaggle.
    pub async fn children(&self, of: &Catalogue) -> Result<Arc<Vec<String>>, Error> {
        newest::children(&self.shared, of).await
    }

    /// The `gs://` folder of a model, as `hub.resolve` gives it for the uncompressed form.
    pub async fn remote(&self, handle: &Handle) -> Result<String, Error> {
        self.shared
            .source
            .remote(handle)
            .await
            .map_err(Error::Source)
    }

    /// Ends when what was fetched is in the shared cache, as far as this process is to see to it.
    pub async fn settled(&self) {
        if let Some(shared_cache) = &self.shared.options.shared_cache {
            shared_cache.settled().await;
        }
    }

    /// From now on nothing that is completed leaves the cache to make room for another.
    pub fn keep_completed(&self) {
        self.shared.cache.keep_completed();
    }

    /// Every directory that complete models are read from.
    pub fn dirs(&self) -> Vec<PathBuf> {
        self.shared.cache.dirs().map(Path::to_owned).collect()
    }

    /// How long a wait without progress may last.
    pub fn timeout(&self) -> Duration {
        self.shared.options.timeout
    }

    /// The cache's directory, if there is one.
    pub fn cache_dir(&self) -> Option<&Path> {
        self.shared.cache.root()
    }
}

impl Shared {
    /// An object of a bucket as a model of one file; `None` once nobody holds the models any more.
    pub(super) fn object(
        self: &Arc<Shared>,
        path: &BucketPath,
        file: RemoteFile,
    ) -> Option<Arc<Model>> {
        let table = self.table.upgrade()?;
        Some(self.object_in(&table, path, file))
    }

    fn object_in(
        self: &Arc<Shared>,
        table: &Mutex<Table>,
        path: &BucketPath,
        file: RemoteFile,
    ) -> Arc<Model> {
        let key = Key::of(&Object::id_of(path, &file.version));
        let new = || (Handle::of_object(path), Some(Object::new(path, file)));
        self.find(table, key, new)
    }

    fn find(
        self: &Arc<Shared>,
        table: &Mutex<Table>,
        key: Key,
        new: impl FnOnce() -> (Handle, Option<Object>),
    ) -> Arc<Model> {
        let mut table = table.lock();
        let model = table.find(&key).unwrap_or_else(|| {
            let (handle, object) = new();
            Arc::new(Model::new(handle, object, self.clone()))
        });
        let out = table.add(key, model.clone());
        drop(table);
        drop(out);
        model
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::models;
    use super::*;

    #[tokio::test]
    async fn models_end_with_whoever_holds_all_of_them() {
        let dir = tempfile::tempdir().unwrap();
        let models = models(dir.path(), std::time::Duration::from_secs(1));
        let handle: Handle = Handle::parse("https://tfhub.dev/google/x/1").unwrap();
        let model = Arc::downgrade(&models.model(&handle));
        assert!(model.upgrade().is_some(), "one of the latest");
        let other = models.clone();
        drop(models);
        assert!(model.upgrade().is_some());
        drop(other);
        assert!(model.upgrade().is_none());
    }
}
