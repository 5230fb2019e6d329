//! Standard output: lines, and JSON for scripts.

use std::io::{ErrorKind, Write};

use crate::cli::failure::Failure;

/// Prints JSON, whose numbers are bytes and seconds.
pub(in crate::cli) fn json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(Failure::failed)?;
    say(&(text + "\n"))
}

/// Writes to stdout. A reader that has gone (`| head`) has read enough, and what was asked for is done all the same.
pub(in crate::cli) fn say(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(Failure::failed),
    }
}
