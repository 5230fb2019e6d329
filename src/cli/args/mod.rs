//! What can be typed. What it means is checked in `setup` and in each subcommand.

// Help texts are for a terminal.
#![allow(rustdoc::bare_urls, rustdoc::invalid_html_tags)]

mod cache;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

pub(super) use cache::{Cache, CacheCommand, Chosen, Clean, Export, Import, List, Prefetch};

const AFTER: &str = "\
Examples:
  tfhub-fs demo                       everything at once on this machine, without network
  sudo tfhub-fs mount /mnt/tfhub      for every user; without sudo, for yourself alone
  ls /mnt/tfhub/google/nnlm-en-dim128/2
  sudo tfhub-fs unmount /mnt/tfhub

Options can be set in the environment, under the names that each subcommand's help shows.
TFHUB_CACHE_DIR and TFHUB_MODEL_LOAD_FORMAT mean what they mean to tensorflow_hub.
Exit codes: 0 done, 1 failed, 2 wrong usage.";

/// Every TensorFlow Hub and Kaggle model is a directory.
#[derive(Debug, Parser)]
#[command(name = "tfhub-fs", version, about, after_help = AFTER, max_term_width = 100)]
pub(super) struct Args {
    #[command(flatten)]
    pub log: Log,
    #[command(subcommand)]
    pub command: Command,
}

/// How the program talks on stderr.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Log {
    /// What is logged
    #[arg(
        long,
        global = true,
        display_order = 900,
        env = "TFHUB_FS_LOG_LEVEL",
        default_value = "info",
        value_name = "LEVEL"
    )]
    pub log_level: Level,
    /// How it is written
    #[arg(
        long,
        global = true,
        display_order = 901,
        env = "TFHUB_FS_LOG_FORMAT",
        default_value = "text",
        value_name = "FORMAT"
    )]
    pub log_format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Mount a hub; returns once the mount answers
    Mount(Mount),
    /// Unmount a mount that is not in use
    Unmount(Unmount),
    /// Print a local directory for each handle, as hub.resolve does
    Resolve(Resolve),
    /// Fetch models into the cache, with progress
    Prefetch(Prefetch),
    /// List, verify, pin, remove what the cache holds
    Cache(Cache),
    /// Offer a directory of SavedModels over TensorFlow Hub's hosting protocol
    Serve(Serve),
    /// Show the whole product on this machine: a hub, a mount, a model; needs no network
    Demo(Demo),
}

/// Where models are kept.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Keep {
    /// Where models are kept, shared with tensorflow_hub [env: TFHUB_FS_CACHE_DIR, TFHUB_CACHE_DIR] [default: <temp>/tfhub_modules, for root /var/cache/tfhub-fs]
    // Its environment variables have an order of their own: see config.
    #[arg(long, value_name = "DIR", alias = "tfhub_cache_dir")]
    pub cache_dir: Option<PathBuf>,
    /// How much the cache may take, like 20GiB or 40% of the disk; the longest unused models leave first; 0 streams through memory [default: all but --min-free]
    #[arg(long, env = "TFHUB_FS_CACHE_SIZE", value_name = "SIZE")]
    pub cache_size: Option<String>,
    /// Keep so much of the disk free, like 20GiB or 10%, when something is added
    #[arg(
        long,
        env = "TFHUB_FS_MIN_FREE",
        value_name = "SIZE",
        default_value = "10%"
    )]
    pub min_free: String,
    /// Let models that other programs (tensorflow_hub) put into the cache leave it too
    #[arg(long, env = "TFHUB_FS_EVICT_FOREIGN")]
    pub evict_foreign: bool,
}

/// Where models come from and where they are kept.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Hub {
    #[command(flatten)]
    pub keep: Keep,
    /// A cache in a bucket that hosts share: gs://BUCKET/PREFIX or s3://BUCKET/PREFIX; --cache-dir is in front of it [env: TFHUB_FS_SHARED_CACHE]
    // Its environment variables have an order of their own: see config.
    #[arg(long, value_name = "URL")]
    pub shared_cache: Option<String>,
    /// The hub that owns the short names
    #[arg(
        long,
        env = "TFHUB_FS_HUB_URL",
        value_name = "URL",
        default_value = "https://tfhub.dev"
    )]
    pub hub_url: String,
    /// Take what is asked of HOST from URL instead; names and cache keys stay, e.g. tfhub.dev=http://10.0.0.5
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
    /// Speaks as Google Cloud Storage does, for gs:// [env: TFHUB_FS_GCS_ENDPOINT, STORAGE_EMULATOR_HOST]
    // Its environment variables have an order of their own: see config.
    #[arg(long, value_name = "URL")]
    pub gcs_endpoint: Option<String>,
    /// Hosts that may be spoken to without TLS, besides loopback and the hosts of configured URLs
    #[arg(
        long,
        env = "TFHUB_FS_ALLOW_HTTP",
        value_name = "HOST",
        value_delimiter = ','
    )]
    pub allow_http: Vec<String>,
    /// Give up what makes no progress for this long, like 500ms, 60s or 10m
    #[arg(
        long,
        env = "TFHUB_FS_TIMEOUT",
        value_name = "TIME",
        default_value = "60s"
    )]
    pub timeout: String,
    /// Which form of a model is asked for: auto, compressed, uncompressed [env: TFHUB_FS_LOAD_FORMAT, TFHUB_MODEL_LOAD_FORMAT] [default: auto]
    #[arg(long, value_name = "FORMAT", alias = "tfhub_model_load_format")]
    pub load_format: Option<String>,
    /// What of an uncompressed model is fetched: none (what is read), file (ahead of readers), model (all of it)
    #[arg(
        long,
        env = "TFHUB_FS_PREFETCH",
        value_name = "WHAT",
        default_value = "file"
    )]
    pub prefetch: String,
    /// How much memory streaming may use where there is no cache directory for it
    #[arg(
        long,
        env = "TFHUB_FS_MEMORY",
        value_name = "SIZE",
        default_value = "128MiB"
    )]
    pub memory: String,
    /// Ask nobody anything: what is in the cache is all there is
    #[arg(long, env = "TFHUB_FS_OFFLINE")]
    pub offline: bool,
    /// Refuse archives with more entries [default: 100000]
    #[arg(long, env = "TFHUB_FS_MAX_ARCHIVE_ENTRIES", value_name = "COUNT")]
    pub max_archive_entries: Option<u64>,
    /// Refuse archives that unpack to more, like 300MiB or 2GB [default: 1TiB]
    #[arg(long, env = "TFHUB_FS_MAX_MODEL_SIZE", value_name = "SIZE")]
    pub max_model_size: Option<String>,
    /// Refuse archives that unpack to more times their own size; the first 256 MiB are free [default: 200]
    #[arg(long, env = "TFHUB_FS_MAX_ARCHIVE_RATIO", value_name = "TIMES")]
    pub max_archive_ratio: Option<u64>,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(
    after_help = "Example:\n  sudo tfhub-fs mount /mnt/tfhub\n  ls /mnt/tfhub/google/nnlm-en-dim128/2"
)]
pub(super) struct Mount {
    /// Where to mount: an empty directory, or one that is created now and removed at the end
    pub mountpoint: PathBuf,
    #[command(flatten)]
    pub hub: Hub,
    /// Stay in the foreground (systemd, containers)
    #[arg(long, env = "TFHUB_FS_FOREGROUND")]
    pub foreground: bool,
    /// Whether other users may read the mount [default: true for root, false for a user]
    #[arg(long, env = "TFHUB_FS_ALLOW_OTHER", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub allow_other: Option<bool>,
    /// The owner that files show [default: who mounts]
    #[arg(long, env = "TFHUB_FS_UID", value_name = "UID")]
    pub uid: Option<u32>,
    /// The group that files show [default: who mounts]
    #[arg(long, env = "TFHUB_FS_GID", value_name = "GID")]
    pub gid: Option<u32>,
    /// How long open files are still served when the mount is told to end
    #[arg(
        long,
        env = "TFHUB_FS_GRACE",
        value_name = "TIME",
        default_value = "10s"
    )]
    pub grace: String,
    /// Whether the kernel may read complete files by itself, where it can
    #[arg(long, env = "TFHUB_FS_PASSTHROUGH", value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    pub passthrough: bool,
    /// A list of handles to show from the start, one a line, each with `pin` or `prefetch` after it if wanted; read again when it changes
    #[arg(long, env = "TFHUB_FS_CATALOG", value_name = "FILE")]
    pub catalog: Option<PathBuf>,
    /// Whether listing a model that was never seen begins its download; without, such a listing is empty, and crawlers fetch nothing
    #[arg(long, env = "TFHUB_FS_LIST_FETCHES", value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    pub list_fetches: bool,
    /// Where a mount in the background logs to [default: /var/log/tfhub-fs.log, for a user ~/.local/state/tfhub-fs/log]
    #[arg(long, env = "TFHUB_FS_LOG_FILE", value_name = "FILE")]
    pub log_file: Option<PathBuf>,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(after_help = "Example:\n  sudo tfhub-fs unmount /mnt/tfhub")]
pub(super) struct Unmount {
    /// What to unmount
    pub mountpoint: PathBuf,
    /// Detach a mount that is in use; what is open is still served for the mount's --grace
    #[arg(long)]
    pub lazy: bool,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(
    after_help = "Example:\n  tfhub-fs resolve https://tfhub.dev/google/nnlm-en-dim128/2\n\nPrints a path in a live mount that has the model, unless --cache-dir (or TFHUB_FS_CACHE_DIR)\nis given; otherwise the model is fetched into the cache and its directory there is printed.\nWith --remote nothing is fetched: the gs:// folder of the uncompressed form is printed."
)]
pub(super) struct Resolve {
    /// URLs of models, or local paths, which are printed as they are
    #[arg(required = true, value_name = "HANDLE")]
    pub handles: Vec<String>,
    /// Print the gs:// folder of the uncompressed form, for readers with a bucket client of their own (TPU workers)
    #[arg(long)]
    pub remote: bool,
    #[command(flatten)]
    pub hub: Hub,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(
    after_help = "DIR holds SavedModels as <publisher>/<model>/<version>/ and ready-made <publisher>/<model>/<version>.tar.gz.\n\nExample:\n  tfhub-fs serve models --simulate latency=30ms,rate=50MB/s"
)]
pub(super) struct Serve {
    /// The directory of models
    pub dir: PathBuf,
    /// Where to listen; port 0 takes a free one. The URL is printed on stdout
    #[arg(
        long,
        env = "TFHUB_FS_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8080"
    )]
    pub listen: String,
    /// The name of the bucket in which the uncompressed form lies, on the same server
    #[arg(long, env = "TFHUB_FS_BUCKET", value_name = "NAME", default_value = crate::server::DEFAULT_BUCKET)]
    pub bucket: String,
    /// A bucket that anybody may write, and the directory of its objects; may be given more than once
    #[arg(
        long,
        env = "TFHUB_FS_WRITABLE_BUCKET",
        value_name = "NAME=DIR",
        value_delimiter = ','
    )]
    pub writable_bucket: Vec<String>,
    /// Shape the link: latency of each request, rate of each connection, total of all, e.g.
    /// latency=30ms,rate=50MB/s,total=400MB/s
    #[arg(long, env = "TFHUB_FS_SIMULATE", value_name = "SETTINGS")]
    pub simulate: Option<String>,
}

#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Demo {
    /// Leave at once after the tour, instead of waiting for Ctrl-C
    #[arg(long)]
    pub once: bool,
}
