//! How a command fails.

use std::fmt::Display;

use crate::daemon;

/// How a command failed, and so which exit code it has.
#[derive(Debug)]
pub(super) enum Failure {
    /// It was tried and did not work: exit code 1.
    Failed(String),
    /// It was asked for wrongly: exit code 2.
    Usage(String),
    /// Another process has printed the reason; its exit code is ours.
    Printed(u8),
    /// Ctrl-C; what is printed about it.
    Interrupted(String),
}

impl Failure {
    /// The work failed.
    pub(super) fn failed(error: impl Display) -> Failure {
        Failure::Failed(error.to_string())
    }

    /// What was typed is wrong.
    pub(super) fn usage(error: impl Display) -> Failure {
        Failure::Usage(error.to_string())
    }
}

impl From<daemon::Error> for Failure {
    fn from(error: daemon::Error) -> Failure {
        match error.is_usage() {
            true => Failure::usage(error),
            false => Failure::failed(error),
        }
    }
}
