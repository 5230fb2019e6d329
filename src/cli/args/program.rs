//! The program's options, and the subcommands but `cache` and `prefetch`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

use super::cache::{Cache, Prefetch};
use super::source::SourceArgs;

const AFTER: &str = "\
Examples:
  tfhub-fs demo                       try it on this machine, without network
  sudo tfhub-fs mount /mnt/tfhub      for all users; without sudo, only for you
  ls /mnt/tfhub/google/nnlm-en-dim128/2
  sudo tfhub-fs unmount /mnt/tfhub

Options can also be set in the environment; each subcommand's help shows the names.
TFHUB_CACHE_DIR and TFHUB_MODEL_LOAD_FORMAT mean what they mean to tensorflow_hub.
Exit codes: 0 done, 1 failed, 2 wrong usage.";

/// Mount TensorFlow Hub and Kaggle models as a read-only file system
#[derive(Debug, Parser)]
#[command(name = "tfhub-fs", version, about, after_help = AFTER, max_term_width = 100)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    pub log: Log,
    #[command(subcommand)]
    pub command: Command,
}

/// The log on stderr.
#[derive(Debug, Clone, ClapArgs)]
pub(in crate::cli) struct Log {
    /// Log level
    #[arg(
        long,
        global = true,
        display_order = 900,
        env = "TFHUB_FS_LOG_LEVEL",
        default_value = "info",
        value_name = "LEVEL"
    )]
    pub log_level: Level,
    /// Log format
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
pub(in crate::cli) enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Format {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Mount a hub; returns when the mount is ready
    Mount(Mount),
    /// Unmount
    Unmount(Unmount),
    /// Print a local path for each handle, like hub.resolve
    Resolve(Resolve),
    /// Download models into the cache
    Prefetch(Prefetch),
    /// List, verify, pin, evict and remove cached models
    Cache(Cache),
    /// Serve a directory of SavedModels over TensorFlow Hub's hosting protocol
    Serve(Serve),
    /// Run a hub, a mount and a model on this machine, without network
    Demo(Demo),
}

#[derive(Debug, Clone, ClapArgs)]
#[command(
    after_help = "Example:\n  sudo tfhub-fs mount /mnt/tfhub\n  ls /mnt/tfhub/google/nnlm-en-dim128/2"
)]
pub(in crate::cli) struct Mount {
    /// Mountpoint: an empty directory; a missing one is created, and removed on unmount
    pub mountpoint: PathBuf,
    #[command(flatten)]
    pub source: SourceArgs,
    /// Stay in the foreground (systemd, containers)
    #[arg(long, env = "TFHUB_FS_FOREGROUND")]
    pub foreground: bool,
    /// Allow other users to read the mount [default: true for root, false for a user]
    #[arg(long, env = "TFHUB_FS_ALLOW_OTHER", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub allow_other: Option<bool>,
    /// Owner of files [default: the user who mounts]
    #[arg(long, env = "TFHUB_FS_UID", value_name = "UID")]
    pub uid: Option<u32>,
    /// Group of files [default: that of the user who mounts]
    #[arg(long, env = "TFHUB_FS_GID", value_name = "GID")]
    pub gid: Option<u32>,
    /// How long to keep serving open files on shutdown
    #[arg(
        long,
        env = "TFHUB_FS_GRACE",
        value_name = "TIME",
        default_value = "10s"
    )]
    pub grace: String,
    /// Let the kernel read cached files directly (FUSE passthrough), where it can
    #[arg(long, env = "TFHUB_FS_PASSTHROUGH", value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    pub passthrough: bool,
    /// Handle list: models to show from the start, one handle per line, optionally followed by `pin` or `prefetch`; read again when it changes
    #[arg(long, env = "TFHUB_FS_CATALOG", value_name = "FILE")]
    pub catalog: Option<PathBuf>,
    /// Listing an unknown model starts its download; with false the listing is empty, so that crawlers download nothing
    #[arg(long, env = "TFHUB_FS_LIST_FETCHES", value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    pub list_fetches: bool,
    /// Log file of a mount in the background [default: /var/log/tfhub-fs.log, for a user ~/.local/state/tfhub-fs/log]
    #[arg(long, env = "TFHUB_FS_LOG_FILE", value_name = "FILE")]
    pub log_file: Option<PathBuf>,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(after_help = "Example:\n  sudo tfhub-fs unmount /mnt/tfhub")]
pub(in crate::cli) struct Unmount {
    /// Mountpoint
    pub mountpoint: PathBuf,
    /// Detach a mount that is in use; open files are served for the mount's --grace
    #[arg(long)]
    pub lazy: bool,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(
    after_help = "Example:\n  tfhub-fs resolve https://tfhub.dev/google/nnlm-en-dim128/2\n\nPrints a path in a running mount that has the model, unless --cache-dir (or TFHUB_FS_CACHE_DIR)\nis given; otherwise downloads the model into the cache and prints its directory there.\nWith --remote, prints the gs:// folder of the uncompressed form and downloads nothing."
)]
pub(in crate::cli) struct Resolve {
    /// URLs of models; a local path is printed unchanged
    #[arg(required = true, value_name = "HANDLE")]
    pub handles: Vec<String>,
    /// Print the gs:// folder of the uncompressed form, for programs that read buckets themselves (TPU workers)
    #[arg(long)]
    pub remote: bool,
    #[command(flatten)]
    pub source: SourceArgs,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(
    after_help = "DIR holds SavedModels as <publisher>/<model>/<version>/ and ready-made <publisher>/<model>/<version>.tar.gz.\n\nExample:\n  tfhub-fs serve models --listen 0.0.0.0:8080"
)]
pub(in crate::cli) struct Serve {
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
}

#[derive(Debug, Clone, ClapArgs)]
pub(in crate::cli) struct Demo {
    /// Exit after the tour instead of waiting for Ctrl-C
    #[arg(long)]
    pub once: bool,
}
