//! Where the program's own talk goes.

use std::io::IsTerminal;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::prelude::*;

use super::Failure;
use super::args::{Format, Level, Log};

/// Logs to stderr.
pub(super) fn to_stderr(log: &Log) -> Result<(), Failure> {
    let colours = std::io::stderr().is_terminal();
    start(log, BoxMakeWriter::new(std::io::stderr), colours)
}

fn start(log: &Log, writer: BoxMakeWriter, colours: bool) -> Result<(), Failure> {
    let level = match log.log_level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    // fuser warns of every request that it answers itself, such as the ioctl behind Python's isatty().
    let what = Targets::new()
        .with_default(level)
        .with_target("fuser", level.min(LevelFilter::ERROR));
    let lines = fmt::layer()
        .with_writer(writer)
        .with_ansi(colours)
        .with_target(false);
    let lines = match log.log_format {
        Format::Text => lines.boxed(),
        Format::Json => lines.json().boxed(),
    };
    let started = tracing_subscriber::registry()
        .with(lines.with_filter(what))
        .try_init();
    started.map_err(Failure::failed)
}
