//! Mounts that put themselves in the background, the kernel's table of mounts, and what processes are left.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::program::PROGRAM;
use super::reader::signal;

/// The line of /proc/self/mountinfo for a mountpoint, the topmost one.
pub fn mount_entry(at: &Path) -> Option<String> {
    let wanted = at.to_str().unwrap();
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    table
        .lines()
        .rfind(|line| line.split(' ').nth(4) == Some(wanted))
        .map(str::to_owned)
}

/// True if something is mounted there.
pub fn is_mounted(at: &Path) -> bool {
    mount_entry(at).is_some()
}

/// The processes of the program under test that have this path, or one below it, among their arguments.
pub fn daemons(at: &Path) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let ours =
            std::fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe == Path::new(PROGRAM));
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let mut args = line
            .split(|byte| *byte == 0)
            .map(|arg| Path::new(OsStr::from_bytes(arg)));
        if ours && args.any(|arg| arg.starts_with(at)) {
            found.push(pid);
        }
    }
    found
}

/// A mountpoint where tests mount in the background; whatever is left there goes when this is dropped.
pub struct Background {
    pub at: PathBuf,
    pub cache: PathBuf,
    pub log: PathBuf,
    _dir: tempfile::TempDir,
}

impl Background {
    /// A place that does not exist yet.
    pub fn new() -> Background {
        super::program::needs_fuse();
        let dir = tempfile::Builder::new()
            .prefix("tfhub-fs-test.")
            .tempdir()
            .unwrap();
        let [at, cache, log] = ["mnt", "cache", "log"].map(|name| dir.path().join(name));
        Background {
            at,
            cache,
            log,
            _dir: dir,
        }
    }

    /// The arguments of `mount` for this place.
    pub fn mount_args(&self) -> Vec<String> {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let [at, cache, log] = [&self.at, &self.cache, &self.log].map(|path| text(path));
        [
            "mount".to_owned(),
            at,
            format!("--cache-dir={cache}"),
            format!("--log-file={log}"),
        ]
        .to_vec()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        clear(&self.at);
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            eprintln!("--- log of {} ---\n{log}", self.at.display());
        }
    }
}

/// Ends every daemon of the program that has to do with this path, and takes away what is mounted on it or below.
pub fn clear(at: &Path) {
    for pid in daemons(at) {
        signal(pid, "KILL");
    }
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    for mounted in table
        .lines()
        .rev()
        .filter_map(|line| line.split(' ').nth(4))
    {
        if Path::new(mounted).starts_with(at) {
            let _ = Command::new("umount").arg("-l").arg(mounted).output();
        }
    }
}
