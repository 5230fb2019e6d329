//! Checked settings of everything that fetches or keeps models.

use std::path::PathBuf;
use std::time::Duration;

use super::{BaseUrl, CacheSize, LoadFormat, Mirror, Origin, Prefetch, SharedCache};

/// Where models are kept.
#[derive(Debug, Clone)]
pub struct CacheSettings {
    /// The cache directory, absolute, outside of every tfhub-fs mount.
    pub dir: PathBuf,
    /// Who chose it.
    pub origin: Origin,
    /// The directory that takes its place for writing where it is not this user's to write.
    pub private: Option<PathBuf>,
    /// How much the cache may take; `None`: all but `min_free`.
    pub limit: Option<CacheSize>,
    /// How much of the disk stays free.
    pub min_free: CacheSize,
    /// Whether models that other programs put there may be evicted.
    pub evict_foreign: bool,
}

/// Where models come from and where they are kept.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where models are kept.
    pub cache: CacheSettings,
    /// The cache in a bucket, shared by hosts.
    pub shared_cache: Option<SharedCache>,
    /// kagglehub's cache, which is only read.
    pub kagglehub: Option<PathBuf>,
    /// The hub that owns the short names.
    pub hub_url: BaseUrl,
    /// What is fetched from elsewhere.
    pub mirrors: Vec<Mirror>,
    /// Replaces `https://www.kaggle.com`.
    pub kaggle_url: Option<BaseUrl>,
    /// The endpoint for `gs://`.
    pub gcs_endpoint: Option<BaseUrl>,
    /// Hosts that plain HTTP is allowed to, as typed.
    pub allow_http: Vec<String>,
    /// A request that makes no progress for this long fails.
    pub timeout: Duration,
    /// The form of a model that is asked for.
    pub load_format: LoadFormat,
    /// The read-ahead of streamed models.
    pub prefetch: Prefetch,
    /// Bytes of memory for streaming where nothing is kept on disk.
    pub memory: u64,
    /// Whether the network is never used.
    pub offline: bool,
    /// The most entries of an archive.
    pub max_archive_entries: Option<u64>,
    /// The most bytes of a model.
    pub max_model_size: Option<u64>,
    /// How many times its own size an archive may unpack to.
    pub max_archive_ratio: Option<u64>,
}
