//! What can be typed after `tfhub-fs cache` and `tfhub-fs prefetch`.

use std::path::PathBuf;

use clap::{ArgGroup, Args as ClapArgs, Subcommand};

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
    after_help = "Example:\n  tfhub-fs cache list\n  tfhub-fs cache clean --older-than 30d --dry-run\n\nWhat is said of each model is on stdout, or one JSON document with --json. A directory that does\nnot exist is not made, but by import. Exit code 1: something is not as it was wanted."
)]
pub(in crate::cli) struct Cache {
    #[command(subcommand)]
    pub what: CacheCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub(in crate::cli) enum CacheCommand {
    /// List what the cache holds, and what it knows of models that have left it
    List(List),
    /// Read every byte and compare it with its checksum; what is wrong is set aside and fetched again when it is next read.
    /// In a directory that is not ours to write it is only told
    Verify(Chosen),
    /// Take models out of the cache, and what is known of them
    Remove(Chosen),
    /// Let models leave that have not been used for long; they stay known, and come back when they are read
    Clean(Clean),
    /// Keep models in the cache whatever comes, once they are in it; one version each
    Pin(Chosen),
    /// Let pinned models leave again
    Unpin(Chosen),
    /// Write models into a file, for a host without a network; what the file held before stays until all of it is written
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
#[command(group = ArgGroup::new("which").required(true).args(["handles", "all"]))]
pub(in crate::cli) struct Chosen {
    /// URLs of models, or names of their directories in the cache
    #[arg(value_name = "HANDLE")]
    pub handles: Vec<String>,
    /// All models of the cache
    #[arg(long)]
    pub all: bool,
    /// Print JSON: an array with an object for each model
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub keep: Keep,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(
    group = ArgGroup::new("which").required(true).multiple(true).args(["older_than", "to_size"]),
    after_help = "With both, a model leaves if either says so. Pinned models stay, and those that other programs\nput there unless --evict-foreign is given. Exit code 1: --to-size could not be reached."
)]
pub(in crate::cli) struct Clean {
    /// Those that were not used for so long, like 12h or 30d
    #[arg(long, value_name = "TIME")]
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
