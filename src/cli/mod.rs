//! What was typed, what is shown, and exit codes; one file a subcommand.
//!
//! - `args`: every option, as clap reads it. `settings` checks them; the daemon's rooms only see checked settings.
//! - `commands`: one function for each subcommand.
//! - `output`: tables, reports, progress bars, the log, files that are written whole or not at all.
//!
//! stdout is data (paths, URLs, tables), stderr is everything else. Exit codes: 0 done, 1 failed, 2 wrong usage.

mod args;
mod commands;
mod failure;
mod output;
mod run;
mod settings;

pub use run::run;
