//! Readers that are processes of their own, so that they can be killed while they wait.

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::program::as_other;

/// Sends a process a signal by name.
pub fn signal(pid: u32, name: &str) {
    let _ = Command::new("kill")
        .args([format!("-{name}"), pid.to_string()])
        .stderr(Stdio::null())
        .status();
}

/// A process that reads one file.
pub struct Reader(Child);

impl Reader {
    /// `cat` of a file, its output thrown away.
    pub fn cat(path: &Path) -> Reader {
        Reader::of(Command::new("cat").arg(path))
    }

    /// `cat` of a file as an ordinary user.
    pub fn cat_as_other(path: &Path) -> Reader {
        Reader::of(as_other(Command::new("cat").arg(path)))
    }

    /// Any command.
    pub fn of(command: &mut Command) -> Reader {
        Reader(
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        )
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Waits until the process sits in the kernel, asking the mount.
    #[track_caller]
    pub fn wait_until_stuck(&mut self) {
        super::eventually("the reader waits on the mount", super::SOON, || {
            std::fs::read_to_string(format!("/proc/{}/stack", self.pid()))
                .is_ok_and(|stack| stack.contains("fuse"))
        });
    }

    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// True while it runs.
    pub fn is_alive(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ended(&mut self, limit: Duration) -> ExitStatus {
        let since = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(since.elapsed() < limit, "the reader lives after {limit:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.0.kill();
        // Not waited for: a reader that the mount does not let go must not hold the test too.
        let _ = self.0.try_wait();
    }
}
