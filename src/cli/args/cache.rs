//! What can be typed after `tfhub-fs cache` and `tfhub-fs prefetch`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::{Hub, Keep};

#[derive(Debug, Clone, ClapArgs)]
#[command(
    after_help = "Example:\n  tfhub-fs prefetch https://tfhub.dev/google/nnlm-en-dim128/2 --file models.txt\n\nOn a terminal each model has a bar; elsewhere there is a line now and then. What is complete when\nCtrl-C ends it stays. The models' directories are printed on stdout, in the order of the handles."
)]
pub(in crate::cli) struct Prefetch {
    /// URLs of models
    #[arg(value_name = "HANDLE", required_unless_present_any = ["file", "catalog"])]
    pub handles: Vec<String>,
    /// A file with a handle on each line; what follows # is a remark, - is standard input
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// A catalog: what it marks `prefetch` is fetched, what it marks `pin` is pinned
    #[arg(long, value_name = "FILE")]
    pub catalog: Option<PathBuf>,
    /// How many models are fetched at a time
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub jobs: u16,
    /// Print a line of JSON for each model instead of its directory
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub hub: Hub,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(
    after_help = "Example:\n  tfhub-fs cache list\n  tfhub-fs cache clean --older-than 30d --dry-run"
)]
pub(in crate::cli) struct Cache {
    #[command(subcommand)]
    pub what: CacheCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub(in crate::cli) enum CacheCommand {
    /// List what the cache holds, and what it knows of models that have left it
    List(List),
    /// Read every byte and compare it with its checksum; what is wrong is set aside and fetched again when it is next read
    Verify(Chosen),
    /// Take models out of the cache, and what is known of them
    Remove(Chosen),
    /// Let models leave that have not been used for long; they come back when they are read
    Clean(Clean),
    /// Keep models in the cache whatever comes, once they are in it
    Pin(Chosen),
    /// Let pinned models leave again
    Unpin(Chosen),
    /// Write models into a file, for a host without a network
    Export(Export),
    /// Take the models of such a file into the cache, verified
    Import(Import),
}

#[derive(Debug, Clone, ClapArgs)]
pub(in crate::cli) struct List {
    /// Print JSON: an array with an object for each model
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub keep: Keep,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(
    after_help = "Example:\n  tfhub-fs cache export https://tfhub.dev/google/nnlm-en-dim128/2 -o models.tar\n  tfhub-fs cache import models.tar"
)]
pub(in crate::cli) struct Export {
    #[command(flatten)]
    pub chosen: Chosen,
    /// Where to; - is standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
}

#[derive(Debug, Clone, ClapArgs)]
pub(in crate::cli) struct Import {
    /// What `cache export` wrote; - is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print JSON: an array with an object for each model
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub keep: Keep,
}

/// Some of the models.
#[derive(Debug, Clone, ClapArgs)]
pub(in crate::cli) struct Chosen {
    /// URLs of models, or names of their directories in the cache
    #[arg(value_name = "HANDLE", required_unless_present = "all")]
    pub handles: Vec<String>,
    /// All models of the cache
    #[arg(long, conflicts_with = "handles")]
    pub all: bool,
    /// Print JSON: an array with an object for each model
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub keep: Keep,
}

#[derive(Debug, Clone, ClapArgs)]
pub(in crate::cli) struct Clean {
    /// Those that were not used for so long, like 12h or 30d
    #[arg(long, value_name = "TIME", required_unless_present = "to_size")]
    pub older_than: Option<String>,
    /// The longest unused, until the cache takes no more than this, like 20GiB
    #[arg(long, value_name = "SIZE")]
    pub to_size: Option<String>,
    /// Say what would leave, and let it stay
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON: an array with an object for each model
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub keep: Keep,
}
