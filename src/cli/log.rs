//! Where the program's own talk goes.

use std::io::IsTerminal;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

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
    let lines = fmt()
        .with_max_level(level)
        .with_writer(writer)
        .with_ansi(colours)
        .with_target(false);
    let started = match log.log_format {
        Format::Text => lines.try_init(),
        Format::Json => lines.json().try_init(),
    };
    started.map_err(Failure::failed)
}
