//! A Python program that answers lines with lines: what is compared with TensorFlow is measured inside TensorFlow, without
//! its import.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use crate::Result;
use crate::program::{Process, command};
use crate::room::Room;

/// A running program.
pub(crate) struct Python {
    _process: Process,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    log: PathBuf,
}

impl Python {
    /// Starts `benches/e2e/<program>`; importing goes on while this returns.
    pub(crate) fn start(room: &Room, program: &str, arguments: &[&str]) -> Result<Python> {
        let log = room.path().join(format!("{program}.log"));
        let mut python = interpreter(program);
        python
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?);
        let mut process = Process::spawn(&mut python).map_err(|error| {
            format!("{error}; scripts/bench makes the virtual environment first")
        })?;
        Ok(Python {
            ask: process.input()?,
            answers: process.lines()?,
            _process: process,
            log,
        })
    }

    /// Waits until it is ready for the first line.
    pub(crate) fn ready(&mut self) -> Result<()> {
        match self.answer()?.as_str() {
            "ready" => Ok(()),
            said => Err(format!("it said `{said}`: {}", self.last_words()).into()),
        }
    }

    /// The answer to one line.
    pub(crate) fn ask(&mut self, line: &str) -> Result<String> {
        writeln!(self.ask, "{line}")?;
        match self.answer()? {
            said if said.is_empty() || said.starts_with("failed") => {
                Err(format!("{line}: {said} {}", self.last_words()).into())
            }
            said => Ok(said),
        }
    }

    fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    fn last_words(&self) -> String {
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        said.lines().last().unwrap_or_default().to_owned()
    }
}

/// Python with the suites' packages, about to run a program of this directory.
pub(crate) fn interpreter(program: &str) -> Command {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = std::env::var_os("TFHUB_FS_BENCH_PYTHON")
        .map_or_else(|| repository.join(".venv/bin/python"), PathBuf::from);
    let mut command = command(&python);
    command.arg(repository.join("benches/e2e").join(program));
    command
}
