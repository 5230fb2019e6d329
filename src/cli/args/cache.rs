//! What can be typed after `tfhub-fs cache` and `tfhub-fs prefetch`.

use std::path::PathBuf;

use clap::{ArgGroup, Args as ClapArgs, Subcommand};

use super::source::{CacheArgs, SourceArgs};

#[derive(Debug, Clone, ClapArgs)]
#[command(
    after_help = "Example:\n  tfhub-fs prefetch https://tfhub.dev/google/nnlm-en-dim128/2 --file models.txt\n\nOn a terminal each model has a progress bar; otherwise a line is printed now and then. Models that are\ncomplete at Ctrl-C stay. The models' directories are printed on stdout, in the order of the handles."
)]
pub(in crate::cli) struct Prefetch {
    /// URLs of models
    #[arg(value_name = "HANDLE", required_unless_present_any = ["file", "catalog"])]
    pub handles: Vec<String>,
    /// File with one handle per line; # starts a comment, - is standard input
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Handle list: download models marked `prefetch`, pin models marked `pin`
    #[arg(long, value_name = "FILE")]
    pub catalog: Option<PathBuf>,
    /// Number of models downloaded in parallel
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub jobs: u16,
    /// Print a line of JSON for each model instead of its directory
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub source: SourceArgs,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(
    after_help = "Example:\n  tfhub-fs cache list\n  tfhub-fs cache clean --older-than 30d --dry-run\n\nThe result for each model is printed on stdout, with --json as one JSON document. Only import creates\na cache directory that does not exist. Exit code 1: the command failed for at least one model."
)]
pub(in crate::cli) struct Cache {
    #[command(subcommand)]
    pub what: CacheCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub(in crate::cli) enum CacheCommand {
    /// List cached models, and evicted ones that are still known
    List(List),
    /// Compare every byte with its checksum; a damaged model is set aside and downloaded again on the next read.
    /// In a read-only cache damage is only reported
    Verify(ModelSelector),
    /// Remove models from the cache, and forget them
    Remove(ModelSelector),
    /// Evict least recently used models; they are fetched again when read
    Clean(Clean),
    /// Pin model versions: never evict them
    Pin(ModelSelector),
    /// Unpin models
    Unpin(ModelSelector),
    /// Export models into a file, for a host without a network; an existing file is replaced when the export is complete
    Export(Export),
    /// Import models from such a file, verified
    Import(Import),
}

#[derive(Debug, Clone, ClapArgs)]
pub(in crate::cli) struct List {
    /// Print JSON: an array with an object for each model
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub cache: CacheArgs,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(
    after_help = "Example:\n  tfhub-fs cache export https://tfhub.dev/google/nnlm-en-dim128/2 -o models.tar\n  tfhub-fs cache import models.tar"
)]
pub(in crate::cli) struct Export {
    #[command(flatten)]
    pub chosen: ModelSelector,
    /// Output file; - is standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
}

#[derive(Debug, Clone, ClapArgs)]
pub(in crate::cli) struct Import {
    /// A file that `cache export` wrote; - is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print JSON: an array with an object for each model
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub cache: CacheArgs,
}

/// Which models.
#[derive(Debug, Clone, ClapArgs)]
#[command(group = ArgGroup::new("which").required(true).args(["handles", "all"]))]
pub(in crate::cli) struct ModelSelector {
    /// URLs of models, or their cache keys (directory names)
    #[arg(value_name = "HANDLE")]
    pub handles: Vec<String>,
    /// All cached models
    #[arg(long)]
    pub all: bool,
    /// Print JSON: an array with an object for each model
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub cache: CacheArgs,
}

#[derive(Debug, Clone, ClapArgs)]
#[command(
    group = ArgGroup::new("which").required(true).multiple(true).args(["older_than", "to_size"]),
    after_help = "With both, a model that either option selects is evicted. Pinned models stay, and models that other\nprograms put there stay unless --evict-foreign is given. Exit code 1: --to-size was not reached."
)]
pub(in crate::cli) struct Clean {
    /// Evict models not used for this long, like 12h or 30d
    #[arg(long, value_name = "TIME")]
    pub older_than: Option<String>,
    /// Evict least recently used models until the cache is no larger than this, like 20GiB
    #[arg(long, value_name = "SIZE")]
    pub to_size: Option<String>,
    /// Only print what would be evicted
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON: an array with an object for each model
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub cache: CacheArgs,
}
