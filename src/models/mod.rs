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

pub use error::Error;
pub use model::{Content, Model};
pub use newest::Latest;
pub use patience::Patience;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use lru::LruCache;
use parking_lot::Mutex;

use crate::archive::Limits;
use crate::fetch::Client;
use crate::handle::{Handle, Key};
use crate::source::Source;
use crate::store::Cache;

/// How many models are remembered; a sealed one that falls out is read from the disk again when asked for.
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
    table: Mutex<LruCache<Key, Arc<Model>>>,
    newest: newest::Table,
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
                source: Source::new(client.clone()),
                client,
                options,
                runtime,
                table: Mutex::new(LruCache::new(REMEMBERED)),
                newest: newest::Table::default(),
            }),
        }
    }

    /// The model of a handle; asking for it does nothing yet.
    pub fn model(&self, handle: &Handle) -> Arc<Model> {
        let mut table = self.shared.table.lock();
        if let Some(model) = table.get(&handle.key()) {
            return model.clone();
        }
        let model = Arc::new(Model::new(handle.clone(), self.shared.clone()));
        let mut pushed = table.push(handle.key(), model.clone());
        // A filling model never falls out: it takes the place of the next oldest instead.
        while let Some((key, old)) = pushed.take() {
            if !old.is_busy() {
                break;
            }
            pushed = table.push(key, old);
        }
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

    /// The cache's directory.
    pub fn cache_dir(&self) -> &std::path::Path {
        self.shared.cache.root()
    }
}
