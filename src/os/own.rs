//! What a daemon asks of, and does to, its own process.
#![allow(unsafe_code)] // setsid(2), setrlimit(2), dup2(2) and their like have no counterpart in std.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};

use super::check;

/// The effective user of this process.
pub fn uid() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

/// The effective group of this process.
pub fn gid() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::getegid() }
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
    // SAFETY: takes nothing, touches no memory of ours.
    check(unsafe { libc::setsid() }).map(drop)
}

/// Whether SIGHUP is ignored, as nohup(1) arranges for the programs it starts.
pub fn ignores_hangup() -> bool {
    let mut now = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: nothing is set (null); the present action goes into a struct of the right type.
    let result = unsafe { libc::sigaction(libc::SIGHUP, std::ptr::null(), now.as_mut_ptr()) };
    // SAFETY: all-zero bytes are a valid sigaction (SIG_DFL), so it may be read even if the call failed.
    result == 0 && unsafe { now.assume_init() }.sa_sigaction == libc::SIG_IGN
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
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: a struct of the right type is passed, to be filled.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) })?;
    let target = want.min(limit.rlim_max);
    if target <= limit.rlim_cur {
        return Ok(limit.rlim_cur);
    }
    limit.rlim_cur = target;
    // SAFETY: a valid struct is passed, only to be read.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) })?;
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
    let onto = match stream {
        Stream::Stdout => libc::STDOUT_FILENO,
        Stream::Stderr => libc::STDERR_FILENO,
    };
    // SAFETY: both are valid descriptor numbers. Replacing 1 or 2 invalidates no owner: std never closes them.
    check(unsafe { libc::dup2(file.as_fd().as_raw_fd(), onto) }).map(drop)
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
