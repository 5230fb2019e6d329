//! Processes: who is alive, and since when.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open, test_kill_process};

/// A process and the moment it started: a pid alone may have been given to somebody else since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// In this PID namespace.
    pub pid: u32,
    /// Clock ticks after boot, field 22 of `/proc/PID/stat`.
    pub start: u64,
}

impl Process {
    /// The process that has this pid now; `None` if there is none, or if it cannot be seen (`hidepid`).
    pub fn of(pid: u32) -> Option<Process> {
        let stat = Stat::read(pid).ok().filter(Stat::is_running)?;
        Some(Process {
            pid,
            start: stat.start,
        })
    }

    /// Whether it still runs. A zombie does not. Where `/proc` hides it, a process with the same pid counts as it.
    pub fn is_alive(&self) -> bool {
        match Stat::read(self.pid) {
            Ok(stat) => stat.start == self.start && stat.is_running(),
            Err(_) => pid_exists(self.pid),
        }
    }

    /// Waits until it has ended or `deadline` has passed; says whether it has ended.
    ///
    /// # Errors
    ///
    /// No descriptor left, or a kernel before 5.3.
    pub fn wait(&self, deadline: Instant) -> io::Result<bool> {
        let Some(pid) = pid(self.pid) else {
            return Ok(true);
        };
        let handle = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(handle) => handle,
            Err(Errno::SRCH) => return Ok(true),
            Err(errno) => return Err(errno.into()),
        };
        // From here on the handle names one process; before it, the pid may have changed hands.
        if !self.is_alive() {
            return Ok(true);
        }
        wait_readable(&handle, deadline)
    }
}

/// The fields of `/proc/PID/stat` that matter here.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    state: u8,
    start: u64,
}

impl Stat {
    fn read(pid: u32) -> io::Result<Stat> {
        let text = std::fs::read(format!("/proc/{pid}/stat"))?;
        Stat::parse(&text).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// The second field is the command's name in parentheses, which may itself hold spaces and parentheses: what follows
    /// the last one is regular.
    fn parse(text: &[u8]) -> Option<Stat> {
        let end = text.iter().rposition(|byte| *byte == b')')?;
        let mut fields = std::str::from_utf8(text.get(end + 1..)?)
            .ok()?
            .split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        // The state is field 3, the start time field 22.
        let start = fields.nth(18)?.parse().ok()?;
        Some(Stat { state, start })
    }

    /// Not a zombie (`Z`) and not being reaped (`X`).
    fn is_running(&self) -> bool {
        !matches!(self.state, b'Z' | b'X' | b'x')
    }
}

/// Whether a process (or a zombie) has this pid, also where `/proc` hides other users' processes.
pub fn pid_exists(number: u32) -> bool {
    pid(number).is_some_and(|pid| matches!(test_kill_process(pid), Ok(()) | Err(Errno::PERM)))
}

/// 0 and numbers beyond the kernel's are nobody's.
fn pid(number: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(number).ok()?)
}

fn wait_readable(fd: &OwnedFd, deadline: Instant) -> io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).ok();
        let mut item = [PollFd::new(fd, PollFlags::IN)];
        match poll(&mut item, left.as_ref()) {
            Ok(0) if Instant::now() >= deadline => return Ok(false),
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(true),
            Err(errno) => return Err(errno.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;
    use std::time::Duration;

    fn sleeper() -> std::process::Child {
        Command::new("sleep").arg("60").spawn().unwrap()
    }

    #[test]
    fn a_command_name_may_hold_anything() {
        let tail = "S 1 1 1 0 -1 4194560 10 0 0 0 1 2 3 4 20 0 1 0 98765 1 2 3\n";
        for name in ["sh", "a b", ") R 1 (", "((", "1) S 2"] {
            let line = format!("42 ({name}) {tail}");
            assert_eq!(
                Stat::parse(line.as_bytes()),
                Some(Stat {
                    state: b'S',
                    start: 98765
                }),
                "{name}"
            );
        }
        assert_eq!(Stat::parse(b"42 (x"), None);
        assert_eq!(Stat::parse(b"42 (x) S 1"), None);
    }

    #[test]
    fn identity_is_pid_and_start() {
        let me = Process::of(std::process::id()).unwrap();
        assert!(me.is_alive());
        assert!(
            !Process {
                start: me.start + 1,
                ..me
            }
            .is_alive()
        );
        assert_eq!(Process::of(u32::MAX), None);
        assert!(
            !Process {
                pid: u32::MAX,
                start: 1
            }
            .is_alive()
                && !pid_exists(0)
                && pid_exists(1)
        );
    }

    #[test]
    fn a_zombie_is_dead() {
        let mut child = sleeper();
        let process = Process::of(child.id()).unwrap();
        child.kill().unwrap();
        assert!(
            process
                .wait(Instant::now() + Duration::from_secs(10))
                .unwrap()
        );
        assert!(pid_exists(child.id()), "not reaped yet");
        assert!(!process.is_alive() && Process::of(child.id()).is_none());
        child.wait().unwrap();
    }

    #[test]
    fn waiting_ends_at_the_deadline_or_at_the_end() {
        let mut child = sleeper();
        let process = Process::of(child.id()).unwrap();
        let start = Instant::now();
        assert!(!process.wait(start + Duration::from_millis(50)).unwrap());
        assert!(start.elapsed() >= Duration::from_millis(50));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(process.wait(Instant::now()).unwrap());
    }
}
