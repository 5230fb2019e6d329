//! The program: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;

use super::args::{Args, Command};
use super::commands::{cache, demo, mount, prefetch, resolve, serve, unmount};
use super::failure::Failure;
use super::output::log;
use crate::os;

/// Runs the program with the process's arguments.
pub fn run() -> ExitCode {
    let args = Args::parse();
    let level = args.log.clone();
    let done = match args.command {
        Command::Mount(command) => mount::run(&command, &level),
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
        Err(Failure::Printed(code)) => ExitCode::from(code),
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
