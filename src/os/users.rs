//! Who uses a mount: the processes that keep it busy, found in `/proc` without touching the mount.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// What a process holds in a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// Its working directory.
    WorkingDir,
    /// Its root directory.
    Root,
    /// The program it runs.
    Program,
    /// An open file or directory.
    File,
    /// A mapped file.
    Mapping,
}

/// A process that uses a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// In this PID namespace.
    pub pid: u32,
    /// The kernel's name of it: at most 15 bytes of the program's file name.
    pub command: String,
    /// In the order of [`Hold`], each once.
    pub holds: Vec<Hold>,
}

/// The answer of [`users`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users {
    /// By pid.
    pub found: Vec<User>,
    /// Processes that we were not allowed to look into, or had no time for: "nobody" may be wrong if this is not 0.
    pub unseen: usize,
}

/// The processes, other than this one, that hold something at or under `mountpoint` (absolute, as in mountinfo), found
/// within `limit`.
///
/// There is a limit because `/proc/PID/maps` takes a lock that a process stuck in a page fault may hold.
pub fn users(mountpoint: &Path, limit: Duration) -> Users {
    let pids = pids();
    let total = pids.len();
    let (send, receive) = mpsc::channel();
    let mountpoint = mountpoint.to_path_buf();
    let scan = move || {
        for pid in pids {
            if send.send(look(pid, &mountpoint)).is_err() {
                return; // nobody waits any more
            }
        }
    };
    if std::thread::Builder::new()
        .name("users".to_owned())
        .spawn(scan)
        .is_err()
    {
        return Users {
            found: Vec::new(),
            unseen: total,
        };
    }
    let deadline = Instant::now() + limit;
    let mut out = Users {
        found: Vec::new(),
        unseen: total,
    };
    while let Ok(look) = receive.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        match look {
            Look::Hidden => continue,
            Look::Nothing => {}
            Look::Uses(user) => out.found.push(user),
        }
        out.unseen -= 1;
    }
    out.found.sort_by_key(|user| user.pid);
    out
}

/// Every process but this one.
fn pids() -> Vec<u32> {
    let Ok(dir) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    dir.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != std::process::id())
        .collect()
}

enum Look {
    Uses(User),
    Nothing,
    Hidden,
}

fn look(pid: u32, mountpoint: &Path) -> Look {
    let dir = PathBuf::from(format!("/proc/{pid}"));
    let mut holds = BTreeSet::new();
    let mut hidden = false;
    for (name, hold) in [
        ("cwd", Hold::WorkingDir),
        ("root", Hold::Root),
        ("exe", Hold::Program),
    ] {
        match std::fs::read_link(dir.join(name)) {
            Ok(target) if target.starts_with(mountpoint) => {
                holds.insert(hold);
            }
            Ok(_) => {}
            // NotFound: it has ended meanwhile, or is a kernel thread, which has no program.
            Err(error) => hidden |= error.kind() == std::io::ErrorKind::PermissionDenied,
        }
    }
    if open_files(&dir).any(|target| target.starts_with(mountpoint)) {
        holds.insert(Hold::File);
    }
    if maps(&dir, mountpoint) {
        holds.insert(Hold::Mapping);
    }
    if holds.is_empty() {
        return if hidden { Look::Hidden } else { Look::Nothing };
    }
    let command = std::fs::read(dir.join("comm")).unwrap_or_default();
    let command = String::from_utf8_lossy(&command).trim_end().to_owned();
    Look::Uses(User {
        pid,
        command,
        holds: holds.into_iter().collect(),
    })
}

/// What its descriptors name, as text: a stat of the links would ask the mount.
fn open_files(dir: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(dir.join("fd")).ok();
    entries
        .into_iter()
        .flatten()
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
}

fn maps(dir: &Path, mountpoint: &Path) -> bool {
    let text = std::fs::read(dir.join("maps")).unwrap_or_default();
    text.split(|byte| *byte == b'\n')
        .filter_map(mapped_path)
        .any(|path| path.starts_with(mountpoint))
}

/// The path of a line of `/proc/PID/maps`: what begins at the first slash (newlines in it are escaped).
fn mapped_path(line: &[u8]) -> Option<&Path> {
    let start = line.iter().position(|byte| *byte == b'/')?;
    Some(Path::new(std::ffi::OsStr::from_bytes(line.get(start..)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command, Stdio};

    const LIMIT: Duration = Duration::from_secs(20);

    /// Kills the child however the test ends.
    struct Killed(Child);
    impl Drop for Killed {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn found(dir: &Path, child: &Killed) -> Option<User> {
        users(dir, LIMIT)
            .found
            .into_iter()
            .find(|user| user.pid == child.0.id())
    }

    #[test]
    fn working_directory_and_open_file_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        std::fs::write(base.join("file"), "x").unwrap();
        let input = Stdio::from(std::fs::File::open(base.join("file")).unwrap());
        let child = Command::new("sleep")
            .arg("60")
            .current_dir(&base)
            .stdin(input)
            .spawn()
            .unwrap();
        let child = Killed(child);
        let user = found(&base, &child).unwrap();
        assert_eq!(user.command, "sleep");
        assert_eq!(user.holds, [Hold::WorkingDir, Hold::File]);
        assert_eq!(found(&base.join("sub"), &child), None);
    }

    #[test]
    fn a_program_and_its_mapping_are_found_and_a_longer_name_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        std::fs::create_dir(base.join("in")).unwrap();
        std::fs::create_dir(base.join("inside")).unwrap();
        let program = base.join("inside/sleep");
        std::fs::copy("/bin/sleep", &program).unwrap();
        let child = Killed(Command::new(&program).arg("60").spawn().unwrap());
        assert_eq!(
            found(&base.join("inside"), &child).unwrap().holds,
            [Hold::Program, Hold::Mapping]
        );
        assert_eq!(found(&base.join("in"), &child), None);
    }

    #[test]
    fn this_process_is_never_listed() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let _open = std::fs::File::create(base.join("mine")).unwrap();
        assert!(
            users(&base, LIMIT)
                .found
                .iter()
                .all(|user| user.pid != std::process::id())
        );
    }
}
