//! Into the background, and telling whoever waits that the mount answers.
//!
//! A program with threads cannot fork safely, so `mount` starts its own program again, with the same arguments and a mark
//! in the environment, and waits for the line `ready` on its standard output. Until then the child shares the terminal: its
//! errors are seen and Ctrl-C reaches it. Only then does it leave the session.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt, parent_id};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::notify;
use crate::os::own;

/// Holds the pid of the program that waits. A mark that was inherited from farther away is not ours.
const MARK: &str = "_TFHUB_FS_PARENT";

/// The line that the waiting program looks for.
const READY: &str = "ready";

/// What can go wrong on the way into the background.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program could not be started again.
    #[error("cannot start {} again for the background: {source}; `--foreground` does without", program.display())]
    Start {
        /// What was to be run.
        program: PathBuf,
        /// From the kernel.
        source: io::Error,
    },
    /// The child could not be waited for.
    #[error("lost sight of the process in the background: {0}")]
    Wait(io::Error),
    /// The log file cannot be written.
    #[error("cannot write the log file {}: {source}", path.display())]
    Log {
        /// As it was given.
        path: PathBuf,
        /// From open(2).
        source: io::Error,
    },
    /// Whoever waited has gone: Ctrl-C, or a time limit of its own.
    #[error("the command that started this one has ended before the mount was ready: {0}")]
    Orphaned(io::Error),
    /// The terminal could not be left.
    #[error("cannot leave the terminal: {0}")]
    Detach(io::Error),
}

/// Who we are after [`start`].
#[derive(Debug)]
pub enum Start {
    /// The program that the user started; the daemon is ready (0) or has failed. Exit with this code, saying nothing:
    /// the daemon has said it.
    Parent(u8),
    /// The program that mounts.
    Daemon(Readiness),
}

/// Splits into a program that waits and one that mounts; with `foreground`, or in the one that mounts, returns at once.
/// To be called before anything else is done.
///
/// # Errors
///
/// [`Error::Start`], [`Error::Wait`].
pub fn start(foreground: bool) -> Result<Start, Error> {
    if foreground {
        return Ok(Start::Daemon(Readiness { waited_for: false }));
    }
    let ours = parent_id().to_string();
    if std::env::var_os(MARK).is_some_and(|mark| mark.to_str() == Some(&ours)) {
        return Ok(Start::Daemon(Readiness { waited_for: true }));
    }
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_else(|| "tfhub-fs".into());
    // The second is for a program that has been replaced by an upgrade while it ran.
    let programs = [
        std::env::current_exe().unwrap_or_default(),
        PathBuf::from("/proc/self/exe"),
    ];
    let args: Vec<_> = args.collect();
    let mut tried = Err(io::ErrorKind::NotFound.into());
    for program in &programs {
        tried = spawn(Command::new(program).arg0(&name).args(&args));
        if tried.is_ok() {
            break;
        }
    }
    let child = tried.map_err(|source| Error::Start {
        program: programs[0].clone(),
        source,
    })?;
    watch(child).map(Start::Parent).map_err(Error::Wait)
}

fn spawn(command: &mut Command) -> io::Result<Child> {
    command
        .env(MARK, std::process::id().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
}

/// Waits until the child says that it is ready (0) or ends (its code); what else it says is passed on.
fn watch(mut child: Child) -> io::Result<u8> {
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line?;
            if line == READY.as_bytes() {
                return Ok(0);
            }
            let _ = writeln!(io::stdout(), "{}", String::from_utf8_lossy(&line));
        }
    }
    let status = child.wait()?;
    let code = status
        .code()
        .or_else(|| Some(128 + status.signal()?))
        .unwrap_or(1);
    // A child that ends well without a word has not mounted anything.
    Ok(u8::try_from(code)
        .ok()
        .filter(|code| *code != 0)
        .unwrap_or(1))
}

/// The promise to say when the mount answers. Dropped unsaid, whoever waits learns it from the exit code.
#[derive(Debug)]
#[must_use]
pub struct Readiness {
    waited_for: bool,
}

impl Readiness {
    /// Whether this process goes into the background once it is ready.
    pub fn is_background(&self) -> bool {
        self.waited_for
    }

    /// The mount answers: tells systemd and the waiting command. In the background it first leaves the terminal, ignores
    /// SIGHUP, makes `/` its working directory (so every path must have been made absolute before) and sends its
    /// standard error to `log`, or nowhere.
    ///
    /// # Errors
    ///
    /// The log cannot be written, or nobody waits any more: the caller should unmount and end.
    pub fn ready(self, log: Option<&Path>) -> Result<(), Error> {
        if self.waited_for {
            detach(log)?;
        }
        notify::ready();
        Ok(())
    }
}

fn detach(log: Option<&Path>) -> Result<(), Error> {
    let sink = match log {
        Some(path) => OpenOptions::new().append(true).create(true).open(path),
        None => OpenOptions::new().write(true).open("/dev/null"),
    };
    let sink: File = sink.map_err(|source| Error::Log {
        path: log.unwrap_or(Path::new("/dev/null")).to_path_buf(),
        source,
    })?;
    // Refused only to the leader of a process group, which has no terminal to lose then.
    let _ = own::new_session();
    own::ignore_hangup().map_err(Error::Detach)?;
    std::env::set_current_dir("/").map_err(Error::Detach)?;
    own::redirect(own::Stream::Stderr, &sink).map_err(Error::Detach)?;
    let mut stdout = io::stdout();
    writeln!(stdout, "{READY}")
        .and_then(|()| stdout.flush())
        .map_err(Error::Orphaned)?;
    own::redirect(own::Stream::Stdout, &sink).map_err(Error::Detach)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn code_of(script: &str) -> u8 {
        watch(spawn(Command::new("sh").args(["-c", script])).unwrap()).unwrap()
    }

    #[test]
    fn the_daemons_fate_is_the_exit_code() {
        assert_eq!(code_of("exit 2"), 2);
        assert_eq!(code_of("echo already; exit 3"), 3);
        assert_eq!(code_of("exit 0"), 1, "ended without being ready");
        assert_eq!(code_of("kill -9 $$"), 137);
        let start = Instant::now();
        assert_eq!(code_of("echo ready; exec sleep 3"), 0);
        assert!(start.elapsed() < Duration::from_secs(2));
    }

    #[test]
    fn the_daemon_leaves_the_terminal_and_then_says_ready() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([
            "--exact",
            "daemon::background::tests::daemon_body",
            "--ignored",
            "--nocapture",
        ]);
        let child = spawn(command.env("TEST_LOG", &log)).unwrap();
        let pid = child.id();
        assert_eq!(watch(child).unwrap(), 0);
        let deadline = Instant::now() + Duration::from_secs(10);
        let text = loop {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            if text.contains("cwd") || Instant::now() > deadline {
                break text;
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        assert!(
            text.contains(&format!("session of {pid} hangup ignored true cwd /")),
            "{text}"
        );
    }

    #[test]
    #[ignore = "run in a process of its own by the test before"]
    fn daemon_body() {
        let Start::Daemon(readiness) = start(false).unwrap() else {
            panic!("the mark was not seen")
        };
        assert!(readiness.is_background());
        readiness
            .ready(Some(Path::new(&std::env::var_os("TEST_LOG").unwrap())))
            .unwrap();
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let session = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .nth(3)
            .unwrap()
            .to_owned();
        let cwd = std::env::current_dir().unwrap();
        // libtest captures the macros' output but not what is written like this.
        let line = format!(
            "session of {session} hangup ignored {} cwd {}",
            own::ignores_hangup(),
            cwd.display()
        );
        writeln!(io::stderr(), "{line}").unwrap();
    }
}
