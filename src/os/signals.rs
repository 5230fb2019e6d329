//! Whether the thread that waits for a FUSE answer has been interrupted, read from `/proc`.
//!
//! The kernel does tell a FUSE server of signals (FUSE_INTERRUPT), but fuser answers ENOSYS and hands nothing on, so
//! the waiters are polled: [`Caller::new`] once when a request begins to wait, [`Caller::interrupted`] a few times a
//! second after that. A poll is one pread(2) of a file that was opened at the start: the open file goes on naming that very
//! thread when its id is given to another one.

#![allow(unsafe_code)] // only the tests: they send signals to their own threads and map a page.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Signals that do not end a wait, because a disk's file system would not let them either, and the program that gets
/// EINTR for them does not expect it: a child's end, a resized window, Go's preemption (SIGURG), profilers' timers, glibc's
/// setuid broadcast (33), and job control (a stopped `cat` would go on with an error).
const HARMLESS: u64 = bit(libc::SIGCHLD)
    | bit(libc::SIGWINCH)
    | bit(libc::SIGURG)
    | bit(libc::SIGPROF)
    | bit(libc::SIGVTALRM)
    | bit(libc::SIGIO)
    | bit(33)
    | bit(libc::SIGCONT)
    | bit(libc::SIGSTOP)
    | bit(libc::SIGTSTP)
    | bit(libc::SIGTTIN)
    | bit(libc::SIGTTOU);

/// Bit of a signal in the masks of `/proc/PID/status`.
const fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// A thread that waits for an answer.
#[derive(Debug)]
pub struct Caller {
    tid: u32,
    /// `/proc/<tid>/status`, opened while the thread was known to wait. `None`: cannot be told, never interrupted.
    status: Option<File>,
}

impl Caller {
    /// The thread whose id stands in a FUSE request; to be called before the request is answered, while the thread
    /// cannot go away. An id of 0 is a thread in another PID namespace, about which nothing can be known.
    pub fn new(tid: u32) -> Caller {
        let status = (tid != 0)
            .then(|| File::open(format!("/proc/{tid}/status")).ok())
            .flatten();
        Caller { tid, status }
    }

    /// Whether to give up waiting for its sake: it has gone, or a signal waits for it that it neither blocks nor ignores.
    ///
    /// In a page fault only SIGKILL counts (every signal that ends a process without a core dump reaches its threads as
    /// SIGKILL): an error for any other would come out as SIGBUS.
    pub fn interrupted(&self) -> bool {
        let Some(status) = &self.status else {
            return false;
        };
        let text = match read_all(status) {
            Ok(text) => text,
            // ESRCH is the only error that a read of an open status file gives: the thread has been reaped.
            Err(error) => return error.raw_os_error() == Some(libc::ESRCH),
        };
        let Some(pending) = Pending::parse(&text) else {
            return false;
        };
        let counts = pending.deliverable() & !HARMLESS;
        if counts == 0 {
            return pending.gone;
        }
        counts & bit(libc::SIGKILL) != 0 || !self.in_page_fault()
    }

    /// `/proc/<tid>/syscall` of a thread that sleeps outside a system call begins with -1. An ordinary user's daemon may
    /// be refused the file (Yama); then a system call is assumed, as Ctrl-C is far more often pressed during one.
    fn in_page_fault(&self) -> bool {
        std::fs::read(format!("/proc/{}/syscall", self.tid))
            .is_ok_and(|text| text.starts_with(b"-1 "))
    }
}

/// A proc file from its beginning: a page is nearly always enough, but a user in very many groups has a long one.
fn read_all(file: &File) -> io::Result<Vec<u8>> {
    let mut text = vec![0; 4096];
    let mut len = 0;
    loop {
        let n = file.read_at(&mut text[len..], len as u64)?;
        len += n;
        if n == 0 {
            text.truncate(len);
            return Ok(text);
        }
        if len == text.len() {
            text.resize(len * 2, 0);
        }
    }
}

/// Whether the process whose `/proc/PID/status` this is ignores a signal.
pub(super) fn ignores(status: &[u8], signal: i32) -> bool {
    Pending::parse(status).is_some_and(|masks| masks.ignored & bit(signal) != 0)
}

/// The lines of `/proc/<tid>/status` that tell of signals.
#[derive(Debug, Default, PartialEq, Eq)]
struct Pending {
    thread: u64,
    shared: u64,
    blocked: u64,
    ignored: u64,
    /// A zombie or being reaped.
    gone: bool,
}

impl Pending {
    fn parse(text: &[u8]) -> Option<Pending> {
        let text = String::from_utf8_lossy(text);
        let mut out = Pending::default();
        let mut masks = 0;
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else {
                continue;
            };
            let mask = match key {
                "State" => {
                    out.gone = value.trim_start().starts_with(['Z', 'X']);
                    continue;
                }
                "SigPnd" => &mut out.thread,
                "ShdPnd" => &mut out.shared,
                "SigBlk" => &mut out.blocked,
                "SigIgn" => &mut out.ignored,
                _ => continue,
            };
            *mask = u64::from_str_radix(value.trim(), 16).ok()?;
            masks += 1;
        }
        (masks == 4).then_some(out)
    }

    /// What is not yet delivered and would have an effect.
    fn deliverable(&self) -> u64 {
        (self.thread | self.shared) & !self.blocked & !self.ignored
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{TestMount, needs_fuse};
    use super::*;

    fn status(pending: u64, shared: u64, blocked: u64, ignored: u64) -> String {
        format!(
            "Name:\tx\nState:\tD (disk sleep)\nSigQ:\t1/2\nSigPnd:\t{pending:016x}\nShdPnd:\t{shared:016x}\n\
             SigBlk:\t{blocked:016x}\nSigIgn:\t{ignored:016x}\nSigCgt:\t0000000000000000\n"
        )
    }

    #[test]
    fn blocked_and_ignored_signals_are_not_delivered() {
        let int = bit(libc::SIGINT);
        let deliverable = |text: String| Pending::parse(text.as_bytes()).unwrap().deliverable();
        assert_eq!(deliverable(status(int, 0, 0, 0)), int);
        assert_eq!(deliverable(status(0, int, 0, 0)), int);
        assert_eq!(deliverable(status(int, 0, int, 0)), 0);
        assert_eq!(deliverable(status(0, int, 0, int)), 0);
        assert_eq!(
            Pending::parse(b"Name:\tx\nSigPnd:\t00\n"),
            None,
            "a text without all masks says nothing"
        );
        assert!(
            Pending::parse(status(0, 0, 0, 0).replace("D (", "Z (").as_bytes())
                .unwrap()
                .gone
        );
    }

    #[test]
    fn a_thread_of_another_namespace_is_never_interrupted() {
        assert!(!Caller::new(0).interrupted());
        assert!(!Caller::new(u32::MAX).interrupted());
    }

    #[test]
    fn our_own_thread_is_not_interrupted_and_an_ended_process_is_gone() {
        assert!(!Caller::new(std::process::id()).interrupted());
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let caller = Caller::new(child.id());
        assert!(!caller.interrupted());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(caller.interrupted());
    }

    extern "C" fn nothing(_signal: libc::c_int) {}

    fn send(tid: u32, signal: libc::c_int) {
        // SAFETY: the handler does nothing, and the thread is one of ours and waits.
        unsafe {
            libc::signal(signal, nothing as *const () as libc::sighandler_t);
            libc::syscall(libc::SYS_tgkill, std::process::id(), tid, signal);
        }
        // Until the kernel has queued it.
        std::thread::sleep(std::time::Duration::from_millis(20));
    }

    #[test]
    fn a_signal_interrupts_a_read_but_not_a_page_fault() {
        needs_fuse();
        let mount = TestMount::new();
        let path = mount.path().join("stuck");
        let reader = std::thread::spawn({
            let path = path.clone();
            move || std::fs::read(path)
        });
        let (tid, reply) = mount.stuck_read();
        let caller = Caller::new(tid);
        assert!(!caller.interrupted() && !caller.in_page_fault());
        send(tid, libc::SIGURG);
        assert!(!caller.interrupted(), "SIGURG is harmless");
        send(tid, libc::SIGUSR1);
        assert!(caller.interrupted());
        reply.error(fuser::Errno::EINTR);
        // std tries again after EINTR.
        mount.stuck_read().1.data(b"hello");
        assert_eq!(reader.join().unwrap().unwrap(), b"hello");

        let mapper = std::thread::spawn(move || first_mapped_byte(&path));
        let (tid, reply) = mount.stuck_read();
        let caller = Caller::new(tid);
        send(tid, libc::SIGUSR1);
        assert!(!caller.interrupted() && caller.in_page_fault());
        reply.data(b"hello");
        assert_eq!(mapper.join().unwrap(), b'h');
    }

    #[test]
    fn a_killed_reader_is_interrupted() {
        needs_fuse();
        let mount = TestMount::new();
        let mut child = std::process::Command::new("cat")
            .arg(mount.path().join("stuck"))
            .spawn()
            .unwrap();
        let (tid, reply) = mount.stuck_read();
        let caller = Caller::new(tid);
        assert_eq!(tid, child.id());
        assert!(!caller.interrupted());
        child.kill().unwrap();
        assert!(caller.interrupted());
        reply.error(fuser::Errno::EINTR);
        child.wait().unwrap();
        assert!(caller.interrupted(), "gone");
    }

    fn first_mapped_byte(path: &std::path::Path) -> u8 {
        use std::os::fd::AsRawFd;
        let file = File::open(path).unwrap();
        // SAFETY: a new read-only mapping of a whole page, read at its first byte and left to the process's end.
        unsafe {
            let map = libc::mmap(
                std::ptr::null_mut(),
                4096,
                libc::PROT_READ,
                libc::MAP_PRIVATE,
                file.as_raw_fd(),
                0,
            );
            assert_ne!(map, libc::MAP_FAILED);
            *map.cast::<u8>()
        }
    }
}
