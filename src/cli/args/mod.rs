//! Every option, as clap reads it. What it means is checked in `settings` and in each command.

// Help texts are for a terminal.
#![allow(rustdoc::bare_urls, rustdoc::invalid_html_tags)]

mod cache;
mod program;
mod source;

pub(super) use cache::{CacheCommand, Clean, Export, Import, List, ModelSelector, Prefetch};
pub(super) use program::{Args, Command, Demo, Format, Level, Log, Mount, Resolve, Serve, Unmount};
pub(super) use source::{CacheArgs, SourceArgs};
