//! From checked settings to models: the cache, the network, the sources, and what joins them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::runtime::Handle;

use super::Error;
use super::network::Network;
use crate::archive::Limits;
use crate::cache::{self, Cache};
use crate::config::{CacheSettings, Env, LoadFormat, Settings, SharedCache};
use crate::handle::{BucketPath, Names};
use crate::models::{self, Models};
use crate::os;
use crate::shared_cache::{self, SharedCacheOptions};
use crate::source::{Source, SourceOptions};

/// Settings whose parts fit together; nothing is opened yet.
pub struct Assembly {
    names: Names,
    network: Network,
    load_format: LoadFormat,
    models: models::Options,
    cache: cache::Options,
    shared_cache: Option<BucketPath>,
}

impl Assembly {
    /// Checks `settings` against one another, and reads credentials. No request is sent.
    ///
    /// # Errors
    ///
    /// [`Error::is_usage`]: a setting cannot be used.
    pub fn check(settings: &Settings, env: &Env<'_>) -> Result<Assembly, Error> {
        let network = Network::check(settings, env)?;
        let names = Names::new(settings.hub_url.as_str(), network.http_hosts.clone());
        let shared_cache = settings.shared_cache.as_ref().map(bucket).transpose()?;
        Ok(Assembly {
            names: names.map_err(|error| Error::Setting(error.to_string()))?,
            network,
            load_format: settings.load_format,
            models: models::Options {
                timeout: settings.timeout,
                limits: Limits::from_settings(
                    settings.max_archive_entries,
                    settings.max_model_size,
                    settings.max_archive_ratio,
                ),
                may_stream: settings.load_format == LoadFormat::Auto,
                prefetch: settings.prefetch,
                shared_cache: None,
            },
            cache: cache::Options {
                memory: settings.memory,
                kagglehub: settings.kagglehub.clone(),
                ..cache_options(&settings.cache)
            },
            shared_cache: shared_cache.filter(|_| !settings.offline),
        })
    }

    /// How long a wait without progress may last.
    pub fn timeout(&self) -> Duration {
        self.models.timeout
    }

    /// How much memory looked up names may take, in bytes: a quarter of `--memory`, and a few MiB where that
    /// is little.
    pub fn memory_of_names(&self) -> usize {
        usize::try_from((self.cache.memory / 4).max(4 << 20)).unwrap_or(usize::MAX)
    }

    /// The rules of names.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The cache directory that was asked for, whether or not it can be used.
    pub fn cache_dir(&self) -> &Path {
        self.cache.dir.as_deref().unwrap_or(Path::new("/"))
    }

    /// Leaves out the directories that `mountpoint` would hide, or that it lies in: the private cache and kagglehub's. The daemon
    /// would wait for itself.
    pub fn keep_apart(&mut self, mountpoint: &Path) {
        for dir in [&mut self.cache.private, &mut self.cache.kagglehub] {
            let overlaps =
                |dir: &PathBuf| dir.starts_with(mountpoint) || mountpoint.starts_with(dir);
            if let Some(dir) = dir.take_if(|dir| overlaps(dir)) {
                tracing::warn!(
                    ignored = %dir.display(),
                    mountpoint = %mountpoint.display(),
                    "this cache directory and the mountpoint lie in one another; it is not used"
                );
            }
        }
    }

    /// Opens the cache and the network.
    ///
    /// # Errors
    ///
    /// The cache cannot be used, or no TLS client can be made.
    pub fn models(&self, runtime: &Handle) -> Result<Models, Error> {
        let cache = Cache::with(&self.cache)?;
        let (client, buckets) = self.network.open()?;
        let mut options = self.models.clone();
        options.shared_cache = self.shared_cache.clone().map(|at| {
            let mut options =
                SharedCacheOptions::new(at, os::host::hostname(), os::process::pid_exists);
            options.place = os::host::numbering().ok();
            shared_cache::SharedCache::new(buckets.clone(), options)
        });
        let format = self.load_format;
        let source = Source::new(client, SourceOptions { format, buckets });
        Ok(Models::new(cache, source, options, runtime.clone()))
    }
}

/// What the cache is opened with.
pub fn cache_options(settings: &CacheSettings) -> cache::Options {
    cache::Options {
        dir: Some(settings.dir.clone()),
        private: settings.private.clone(),
        limit: settings.limit,
        min_free: settings.min_free,
        evict_foreign: settings.evict_foreign,
        ..cache::Options::default()
    }
}

fn bucket(chosen: &SharedCache) -> Result<BucketPath, Error> {
    BucketPath::parse(&chosen.url)
        .map_err(|why| Error::Setting(format!("{}: {why}", chosen.origin)))
}
