//! Which subcommand of `cache` it is.

use super::{clean, export_import, list, pin, remove, verify};
use crate::cli::args::CacheCommand;
use crate::cli::failure::Failure;

/// Runs one of the subcommands.
pub(in crate::cli) fn run(command: &CacheCommand) -> Result<(), Failure> {
    match command {
        CacheCommand::List(list) => list::list(list),
        CacheCommand::Verify(chosen) => verify::verify(chosen),
        CacheCommand::Remove(chosen) => remove::remove(chosen),
        CacheCommand::Clean(command) => clean::clean(command),
        CacheCommand::Pin(chosen) => pin::pin(chosen),
        CacheCommand::Unpin(chosen) => pin::unpin(chosen),
        CacheCommand::Export(command) => export_import::export(command),
        CacheCommand::Import(command) => export_import::import(command),
    }
}
