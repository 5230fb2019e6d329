//! Options of every command that fetches or keeps models.

use std::path::PathBuf;

use clap::Args as ClapArgs;

/// Where models are kept.
#[derive(Debug, Clone, ClapArgs)]
pub(in crate::cli) struct CacheArgs {
    /// Cache directory, shared with tensorflow_hub [env: TFHUB_FS_CACHE_DIR, TFHUB_CACHE_DIR] [default: <temp>/tfhub_modules, for root /var/cache/tfhub-fs]
    // Its environment variables have an order of their own: see config.
    #[arg(long, value_name = "DIR", alias = "tfhub_cache_dir")]
    pub cache_dir: Option<PathBuf>,
    /// Maximum size of the cache, like 20GiB or 40% of the disk; least recently used models are evicted; 0 keeps nothing on disk [default: all but --min-free]
    #[arg(long, env = "TFHUB_FS_CACHE_SIZE", value_name = "SIZE")]
    pub cache_size: Option<String>,
    /// Disk space that the cache leaves free, like 20GiB or 10%
    #[arg(
        long,
        env = "TFHUB_FS_MIN_FREE",
        value_name = "SIZE",
        default_value = "10%"
    )]
    pub min_free: String,
    /// Also evict models that other programs (tensorflow_hub) put into the cache
    #[arg(long, env = "TFHUB_FS_EVICT_FOREIGN")]
    pub evict_foreign: bool,
}

/// Where models come from and where they are kept.
#[derive(Debug, Clone, ClapArgs)]
pub(in crate::cli) struct SourceArgs {
    #[command(flatten)]
    pub cache: CacheArgs,
    /// Cache in a bucket that several hosts share, behind --cache-dir: gs://BUCKET/PREFIX or s3://BUCKET/PREFIX [env: TFHUB_FS_SHARED_CACHE]
    // Its environment variables have an order of their own: see config.
    #[arg(long, value_name = "URL")]
    pub shared_cache: Option<String>,
    /// Hub whose models have short paths
    #[arg(
        long,
        env = "TFHUB_FS_HUB_URL",
        value_name = "URL",
        default_value = "https://tfhub.dev"
    )]
    pub hub_url: String,
    /// Fetch HOST's content from URL, e.g. tfhub.dev=http://10.0.0.5; paths and cache keys do not change
    #[arg(
        long,
        env = "TFHUB_FS_MIRROR",
        value_name = "HOST=URL",
        value_delimiter = ','
    )]
    pub mirror: Vec<String>,
    /// Replaces https://www.kaggle.com
    #[arg(long, env = "TFHUB_FS_KAGGLE_URL", value_name = "URL")]
    pub kaggle_url: Option<String>,
    /// Google Cloud Storage endpoint for gs:// URLs [env: TFHUB_FS_GCS_ENDPOINT, STORAGE_EMULATOR_HOST]
    // Its environment variables have an order of their own: see config.
    #[arg(long, value_name = "URL")]
    pub gcs_endpoint: Option<String>,
    /// Hosts that plain HTTP is allowed to, besides loopback and the hosts of configured URLs
    #[arg(
        long,
        env = "TFHUB_FS_ALLOW_HTTP",
        value_name = "HOST",
        value_delimiter = ','
    )]
    pub allow_http: Vec<String>,
    /// Fail a request after this long without progress, like 500ms, 60s or 10m
    #[arg(
        long,
        env = "TFHUB_FS_TIMEOUT",
        value_name = "TIME",
        default_value = "60s"
    )]
    pub timeout: String,
    /// Form of a model to request: auto, compressed or uncompressed [env: TFHUB_FS_LOAD_FORMAT, TFHUB_MODEL_LOAD_FORMAT] [default: auto]
    #[arg(long, value_name = "FORMAT", alias = "tfhub_model_load_format")]
    pub load_format: Option<String>,
    /// Read-ahead for streamed models: `none` fetches only what is read, `file` reads ahead within a file, `model` fetches everything
    #[arg(
        long,
        env = "TFHUB_FS_PREFETCH",
        value_name = "WHAT",
        default_value = "file"
    )]
    pub prefetch: String,
    /// Memory for streaming when nothing is kept on disk
    #[arg(
        long,
        env = "TFHUB_FS_MEMORY",
        value_name = "SIZE",
        default_value = "128MiB"
    )]
    pub memory: String,
    /// Never use the network; serve cached models only
    #[arg(long, env = "TFHUB_FS_OFFLINE")]
    pub offline: bool,
    /// Refuse archives with more entries [default: 100000]
    #[arg(long, env = "TFHUB_FS_MAX_ARCHIVE_ENTRIES", value_name = "COUNT")]
    pub max_archive_entries: Option<u64>,
    /// Refuse archives that unpack to more bytes, like 300MiB or 2GB [default: 1TiB]
    #[arg(long, env = "TFHUB_FS_MAX_MODEL_SIZE", value_name = "SIZE")]
    pub max_model_size: Option<String>,
    /// Refuse archives that unpack to more than this many times their size; the first 256 MiB do not count [default: 200]
    #[arg(long, env = "TFHUB_FS_MAX_ARCHIVE_RATIO", value_name = "TIMES")]
    pub max_archive_ratio: Option<u64>,
}
