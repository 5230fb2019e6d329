//! What the user typed, what they are told, and exit codes; one file a subcommand.
//!
//! stdout is data (paths, URLs), stderr is talk. Exit codes: 0 done, 1 failed, 2 wrong usage.

mod args;
mod cache;
mod carry;
mod catalog;
mod clean;
mod demo;
mod directory;
mod life;
mod log;
mod mount;
mod output;
mod pin;
mod prefetch;
mod progress;
mod reach;
mod report;
mod resolve;
mod serve;
mod setup;
mod table;
mod unmount;
mod warm;

use std::fmt::Display;
use std::process::ExitCode;

use clap::Parser;

use crate::os;
use args::{Args, Command};

/// How a command failed, and so which exit code it has.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was tried and did not work: exit code 1.
    Failed(String),
    /// It was asked for wrongly: exit code 2.
    Usage(String),
    /// Another process has told the user already; its exit code is ours.
    Said(u8),
    /// The user has typed Ctrl-C; what is to be said about it.
    Interrupted(String),
}

impl Failure {
    /// A failure of the work itself.
    pub fn failed(error: impl Display) -> Failure {
        Failure::Failed(error.to_string())
    }

    /// A failure of the asking.
    pub fn usage(error: impl Display) -> Failure {
        Failure::Usage(error.to_string())
    }
}

/// Runs the program with the process's arguments.
pub fn run() -> ExitCode {
    let args = Args::parse();
    let level = args.log.clone();
    let done = match args.command {
        Command::Mount(command) => mount::run(command, &level),
        Command::Unmount(command) => log::to_stderr(&level).and_then(|()| unmount::run(&command)),
        Command::Resolve(command) => log::of_fetching(&level).and_then(|()| resolve::run(&command)),
        Command::Prefetch(command) => {
            log::of_fetching(&level).and_then(|()| prefetch::run(&command))
        }
        Command::Cache(command) => log::to_stderr(&level).and_then(|()| cache::run(&command.what)),
        Command::Serve(command) => log::to_stderr(&level).and_then(|()| serve::run(&command)),
        Command::Demo(command) => log::to_stderr(&level).and_then(|()| demo::run(&command)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Failed(message)) => {
            eprintln!("tfhub-fs: {message}");
            ExitCode::from(1)
        }
        Err(Failure::Said(code)) => ExitCode::from(code),
        Err(Failure::Interrupted(message)) => {
            eprintln!("tfhub-fs: {message}");
            os::own::die_of_interrupt();
            ExitCode::from(1)
        }
        Err(Failure::Usage(message)) => {
            eprintln!("tfhub-fs: {message}\nFor more, try 'tfhub-fs --help'.");
            ExitCode::from(2)
        }
    }
}
