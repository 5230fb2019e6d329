//! The one promise: "this model is here".
//!
//! A [`Model`] is asked for by handle and goes through these states, each reached once however many ask:
//!
//! ```text
//! unknown --exists()--> known (a Plan) --content()--> filling --verified--> sealed
//!    \___ refused (remembered a short time) <__________/ failed (the next open tries again)
//! ```
//!
//! Every step runs in a task of its own, so that it outlives the reader who caused it; readers hold a shared
//! future of the step and may go away at any time. Nothing here blocks a thread that serves the kernel.

mod error;
mod fill;
mod model;
mod newest;
mod patience;
mod step;
#[cfg(test)]
pub(crate) mod testing;

pub use error::Error;
pub use model::{Content, Model};
pub use newest::Latest;
pub use patience::Patience;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Weak};
use std::time::Duration;

use lru::LruCache;
use parking_lot::Mutex;

use crate::archive::Limits;
use crate::fetch::Client;
use crate::handle::{Handle, Key};
use crate::source::Source;
use crate::store::Cache;

/// How many models are remembered that nobody uses; a sealed one that falls out is read from the disk again.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(8191);

/// How long "no such model" and "not allowed" are remembered.
const VERDICT: Duration = Duration::from_secs(10);

/// What the models need to know about this run.
#[derive(Debug, Clone)]
pub struct Options {
    /// A transfer or a wait without any progress for this long is given up.
    pub timeout: Duration,
    /// What an archive may ask of this host.
    pub limits: Limits,
}

/// All models, by handle.
#[derive(Clone)]
pub struct Models {
    shared: Arc<Shared>,
}

/// What every model's tasks work with.
pub(crate) struct Shared {
    pub cache: Cache,
    pub client: Client,
    pub source: Source,
    pub options: Options,
    pub runtime: tokio::runtime::Handle,
    table: Mutex<Table>,
    newest: newest::Table,
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
    /// Models from `client`'s network into `cache`; background work runs on `runtime`.
    pub fn new(
        cache: Cache,
        client: Client,
        options: Options,
        runtime: tokio::runtime::Handle,
    ) -> Models {
        Models {
            shared: Arc::new(Shared {
                cache,
                source: Source::new(
                    client.clone(),
                    crate::source::Options {
                        format: Default::default(),
                        buckets: crate::source::Buckets,
                    },
                ),
                client,
                options,
                runtime,
                table: Mutex::new(Table::new()),
                newest: newest::Table::default(),
            }),
        }
    }

    /// The model of a handle; asking for it does nothing yet.
    pub fn model(&self, handle: &Handle) -> Arc<Model> {
        let key = handle.key();
        let mut table = self.shared.table.lock();
        let model = table
            .find(&key)
            .unwrap_or_else(|| Arc::new(Model::new(handle.clone(), self.shared.clone())));
        let out = table.add(key, model.clone());
        drop(table);
        drop(out);
        model
    }

    /// The handles of all models that are sealed in the cache.
    pub fn cached(&self) -> Vec<String> {
        self.shared.cache.handles()
    }

    /// The newest version of an unversioned handle; asked of the origin at most once a minute.
    pub async fn newest(&self, unversioned: &Handle) -> Result<Latest, Error> {
        newest::ask(self.shared.clone(), unversioned).await
    }

    /// How long a wait without progress may last.
    pub fn timeout(&self) -> Duration {
        self.shared.options.timeout
    }

    /// The cache's directory, if there is one.
    pub fn cache_dir(&self) -> Option<&std::path::Path> {
        self.shared.cache.root()
    }
}
