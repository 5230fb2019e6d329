//! What a daemon asks of, and does to, its own process.
#![allow(unsafe_code)] // signal(2).

use std::io;
use std::os::fd::AsFd;

use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::stdio::{dup2_stderr, dup2_stdout};

use super::signals;

/// The effective user of this process.
pub fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The effective group of this process.
pub fn gid() -> u32 {
    rustix::process::getegid().as_raw()
}

/// Whether this process may go where a user with this number leads it: it is this one, or root.
pub fn trusts(user: u32) -> bool {
    user == 0 || user == uid()
}

/// Leaves the session, and with it the terminal: its Ctrl-C and hang-up no longer reach this process.
///
/// # Errors
///
/// EPERM: this process leads a process group, as one does that a shell has started directly.
pub fn new_session() -> io::Result<()> {
    rustix::process::setsid()?;
    Ok(())
}

/// Whether SIGHUP is ignored, as nohup(1) arranges for the programs it starts.
pub fn ignores_hangup() -> bool {
    std::fs::read("/proc/self/status").is_ok_and(|status| signals::ignores(&status, libc::SIGHUP))
}

/// Ends this process as Ctrl-C ends one that does not listen to it: a shell that runs a loop then ends the loop, too. Returns
/// only if that fails.
pub fn die_of_interrupt() {
    // SAFETY: SIG_DFL is no function of ours; both calls touch no memory of ours.
    unsafe {
        libc::signal(libc::SIGINT, libc::SIG_DFL);
        libc::raise(libc::SIGINT);
    }
}

/// Ignores SIGHUP from now on.
///
/// # Errors
///
/// None for this signal.
pub fn ignore_hangup() -> io::Result<()> {
    // SAFETY: SIG_IGN is no function of ours, so nothing can run in a signal's context.
    if unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) } == libc::SIG_ERR {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Raises the number of descriptors this process may open to `want`, or to the hard limit if that is lower; returns what
/// holds now. Never lowers it.
///
/// # Errors
///
/// Those of setrlimit(2); the old limit then holds on.
pub fn raise_open_files(want: u64) -> io::Result<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    // `None` is without limit.
    let target = limit.maximum.map_or(want, |most| most.min(want));
    match limit.current {
        Some(now) if now < target => {}
        now => return Ok(now.unwrap_or(u64::MAX)),
    }
    limit.current = Some(target);
    setrlimit(Resource::Nofile, limit)?;
    Ok(target)
}

/// The streams that [`redirect`] can put elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Descriptor 1.
    Stdout,
    /// Descriptor 2.
    Stderr,
}

/// Makes `stream` write to `file` from now on.
///
/// # Errors
///
/// Those of dup2(2).
pub fn redirect(stream: Stream, file: &impl AsFd) -> io::Result<()> {
    match stream {
        Stream::Stdout => dup2_stdout(file)?,
        Stream::Stderr => dup2_stderr(file)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_open_files_only_rises() {
        let now = raise_open_files(0).unwrap();
        assert!(raise_open_files(now + 1).unwrap() >= now);
        assert!(raise_open_files(1).unwrap() >= now);
    }
}
