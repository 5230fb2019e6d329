//! Where the program's own talk goes.

use std::io::IsTerminal;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::prelude::*;

use super::progress::StderrBesideBars;
use crate::cli::args::{Format, Level, Log};
use crate::cli::failure::Failure;

/// Where it is logged how fetching a model has ended.
const FILLING: &str = "tfhub_fs::models::fill";

/// Logs to stderr.
pub(in crate::cli) fn to_stderr(log: &Log) -> Result<(), Failure> {
    start(log, None)
}

/// Logs to stderr what a command that fetches models does not tell itself: neither what goes well, nor why a model cannot be
/// had.
pub(in crate::cli) fn of_fetching(log: &Log) -> Result<(), Failure> {
    if log.log_level != Level::Info {
        return to_stderr(log);
    }
    let log = Log {
        log_level: Level::Warn,
        ..log.clone()
    };
    start(&log, Some(FILLING))
}

/// Of `untold` nothing is logged.
fn start(log: &Log, untold: Option<&str>) -> Result<(), Failure> {
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
        .with_target("fuser", level.min(LevelFilter::ERROR))
        .with_targets(untold.map(|target| (target, LevelFilter::OFF)));
    let lines = fmt::layer()
        .with_writer(BoxMakeWriter::new(|| StderrBesideBars))
        .with_ansi(std::io::stderr().is_terminal())
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
