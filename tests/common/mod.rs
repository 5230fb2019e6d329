//! What every mounted test needs: archives, models that look real, mounts that go away, and clocks on whatever may hang.

mod background;
mod bundle;
mod mount;
mod program;
mod reader;
mod tarball;
mod tree;

pub use background::{Background, clear, daemons, is_mounted, mount_entry};
pub use mount::{Mount, Mounting};
pub use program::{
    Outcome, PROGRAM, as_other, gone_pid, needs_fuse, other_user, program, run, run_alone, run_with,
};
pub use reader::{Reader, signal};
pub use tarball::{Tar, gzip, gzip_members};
pub use tree::{Tree, files_below, noise, saved_model};

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use sha1::{Digest, Sha1};

/// How long anything that should work may take on a busy machine.
pub const SOON: Duration = Duration::from_secs(30);

/// Runs what may hang in a thread of its own and fails the test if it does. The thread ends with the mount.
pub fn within<T: Send + 'static>(limit: Duration, what: impl FnOnce() -> T + Send + 'static) -> T {
    started(what).take(limit)
}

/// Something that runs beside the test.
pub struct Running<T> {
    result: mpsc::Receiver<T>,
    since: Instant,
}

/// Starts something beside the test.
pub fn started<T: Send + 'static>(what: impl FnOnce() -> T + Send + 'static) -> Running<T> {
    let (send, result) = mpsc::channel();
    thread::spawn(move || {
        let _ = send.send(what());
    });
    Running {
        result,
        since: Instant::now(),
    }
}

impl<T> Running<T> {
    /// Its result; fails the test when it takes longer than this from its start.
    #[track_caller]
    pub fn take(self, limit: Duration) -> T {
        let left = limit.saturating_sub(self.since.elapsed());
        match self.result.recv_timeout(left) {
            Ok(result) => result,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("not done after {limit:?}"),
            Err(mpsc::RecvTimeoutError::Disconnected) => panic!("it panicked: see above"),
        }
    }

    /// True if it has not ended within this time from now.
    pub fn is_waiting_after(&self, time: Duration) -> bool {
        thread::sleep(time);
        matches!(self.result.try_recv(), Err(mpsc::TryRecvError::Empty))
    }
}

/// Waits until something is true, and fails with `what` if it never is.
#[track_caller]
pub fn eventually(what: &str, limit: Duration, mut check: impl FnMut() -> bool) {
    let since = Instant::now();
    while !check() {
        assert!(since.elapsed() < limit, "{what}: not so after {limit:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Asserts that something failed with this errno.
#[track_caller]
pub fn assert_errno<T: Debug>(result: io::Result<T>, errno: i32) {
    match result {
        Ok(value) => panic!("expected {}, got {value:?}", name_of(errno)),
        Err(error) => {
            let got = error.raw_os_error();
            assert_eq!(got, Some(errno), "expected {}, got {error}", name_of(errno));
        }
    }
}

fn name_of(errno: i32) -> String {
    io::Error::from_raw_os_error(errno).to_string()
}

/// The directory name that tensorflow_hub gives a handle.
pub fn sha1_of(handle: &str) -> String {
    Sha1::digest(handle)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The names in a cache directory, but for `.tfhub-fs`, sorted.
pub fn entries(cache: &Path) -> Vec<String> {
    let mut names = names(cache).unwrap_or_default();
    names.retain(|name| name != ".tfhub-fs");
    names
}

/// The names in a directory, sorted.
pub fn names(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        names.push(entry?.file_name().into_string().unwrap());
    }
    names.sort();
    Ok(names)
}

/// The value of an extended attribute.
pub fn xattr(path: &Path, name: &str) -> io::Result<String> {
    let mut value = vec![0; 4096];
    let len = rustix::fs::getxattr(path, name, &mut value[..])?;
    value.truncate(len);
    String::from_utf8(value).map_err(io::Error::other)
}
