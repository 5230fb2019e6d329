//! A mount in the foreground of a child process, with its own cache, gone when dropped, also in a panic.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use super::background::is_mounted;
use super::program::{as_other, needs_fuse, other_user, program};
use super::{Running, SOON, started, within};
use crate::origin::{Hop, Origin};

/// A mount that is being described.
pub struct Mounting {
    args: Vec<OsString>,
    env: Vec<(String, String)>,
    cache: Option<PathBuf>,
    by_other: bool,
}

impl Mounting {
    /// A mount of tfhub.dev whose bytes, and Kaggle's and the old bucket's, come from the origin.
    pub fn of(origin: &Origin) -> Mounting {
        let [hub, kaggle, gcs] = [Hop::Hub, Hop::Kaggle, Hop::Gcs].map(|hop| origin.url(hop));
        Mounting::bare()
            .arg(format!("--mirror=https://tfhub.dev={hub}"))
            .arg(format!("--mirror=https://gcs.tensorflow.google.cn={gcs}"))
            .arg(format!("--kaggle-url={kaggle}"))
            .arg("--timeout=4s")
    }

    /// A mount that knows no origin.
    pub fn bare() -> Mounting {
        Mounting {
            args: Vec::new(),
            env: Vec::new(),
            cache: None,
            by_other: false,
        }
    }

    pub fn arg(mut self, arg: impl Into<OsString>) -> Mounting {
        self.args.push(arg.into());
        self
    }

    /// A later `--timeout` counts: the one of [`Mounting::of`] is taken away.
    pub fn timeout(mut self, time: &str) -> Mounting {
        self.args
            .retain(|arg| !arg.to_string_lossy().starts_with("--timeout"));
        self.arg(format!("--timeout={time}"))
    }

    pub fn env(mut self, name: &str, value: impl Into<String>) -> Mounting {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Uses this cache directory instead of one of its own.
    pub fn cache(mut self, dir: &Path) -> Mounting {
        self.cache = Some(dir.to_owned());
        self
    }

    /// Runs as an ordinary user.
    pub fn by_other(mut self) -> Mounting {
        self.by_other = true;
        self
    }

    /// Starts it and waits until it is mounted.
    #[track_caller]
    pub fn start(self) -> Mount {
        needs_fuse();
        let dir = tempfile::Builder::new()
            .prefix("tfhub-fs-test.")
            .tempdir()
            .unwrap();
        let (at, own) = (dir.path().join("mnt"), dir.path().join("cache"));
        std::fs::create_dir(&at).unwrap();
        if self.by_other {
            let (uid, gid) = other_user();
            for path in [dir.path(), &at] {
                std::os::unix::fs::chown(path, Some(uid), Some(gid)).unwrap();
            }
        } else {
            open_to_all(dir.path());
        }
        let cache = self.cache.unwrap_or(own);
        let log = dir.path().join("log");
        let mut command = program(["mount", "--foreground"]);
        command
            .args([at.as_os_str(), "--cache-dir".as_ref(), cache.as_os_str()])
            .args(&self.args)
            .envs(self.env);
        command
            .stderr(File::create(&log).unwrap())
            .stdout(File::create(dir.path().join("stdout")).unwrap());
        if self.by_other {
            as_other(&mut command);
        }
        let child = command.spawn().unwrap();
        let mut mount = Mount {
            child,
            at,
            cache,
            log,
            _dir: dir,
        };
        mount.wait_until_mounted();
        mount
    }
}

fn open_to_all(dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A live mount.
pub struct Mount {
    child: Child,
    /// The mountpoint.
    pub at: PathBuf,
    /// The cache directory.
    pub cache: PathBuf,
    log: PathBuf,
    _dir: tempfile::TempDir,
}

impl Mount {
    #[track_caller]
    fn wait_until_mounted(&mut self) {
        let since = Instant::now();
        while !is_mounted(&self.at) {
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none(),
                "the mount ended with {ended:?}:\n{}",
                self.log()
            );
            assert!(
                since.elapsed() < SOON,
                "not mounted after {SOON:?}:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A path below the mountpoint.
    pub fn path(&self, below: &str) -> PathBuf {
        self.at.join(below)
    }

    /// The daemon's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Asserts that one line of the log holds all of these.
    #[track_caller]
    pub fn assert_logged(&self, words: &[&str]) {
        let log = self.log();
        let found = log
            .lines()
            .any(|line| words.iter().all(|word| line.contains(word)));
        assert!(found, "no line of the log has all of {words:?}:\n{log}");
    }

    /// Asserts that no line of the log holds this.
    #[track_caller]
    pub fn assert_not_logged(&self, word: &str) {
        let log = self.log();
        assert!(!log.contains(word), "the log has {word:?}:\n{log}");
    }

    /// Runs something on a path below the mountpoint, which may not hang.
    #[track_caller]
    pub fn on<T: Send + 'static>(
        &self,
        below: &str,
        what: impl FnOnce(PathBuf) -> T + Send + 'static,
    ) -> T {
        let path = self.path(below);
        within(SOON, move || what(path))
    }

    /// Runs something on a path below the mountpoint beside the test.
    pub fn start<T: Send + 'static>(
        &self,
        below: &str,
        what: impl FnOnce(PathBuf) -> T + Send + 'static,
    ) -> Running<T> {
        let path = self.path(below);
        started(move || what(path))
    }

    /// Reads a whole file.
    #[track_caller]
    pub fn read(&self, below: &str) -> io::Result<Vec<u8>> {
        self.on(below, std::fs::read)
    }

    /// Asks for a path's attributes.
    #[track_caller]
    pub fn stat(&self, below: &str) -> io::Result<std::fs::Metadata> {
        self.on(below, std::fs::metadata)
    }

    /// The names in a directory, sorted.
    #[track_caller]
    pub fn list(&self, below: &str) -> io::Result<Vec<String>> {
        self.on(below, |path| super::names(&path))
    }

    /// The canonical path, relative to the mountpoint.
    #[track_caller]
    pub fn real(&self, below: &str) -> io::Result<String> {
        let at = self.at.clone();
        self.on(below, move |path| {
            std::fs::canonicalize(path)
                .map(|real| real.strip_prefix(at).unwrap().to_str().unwrap().to_owned())
        })
    }

    /// Sends the daemon a signal by name.
    pub fn signal(&self, name: &str) {
        super::reader::signal(self.pid(), name);
    }

    /// Waits for the daemon's end; its exit code.
    #[track_caller]
    pub fn ended(&mut self, limit: Duration) -> Option<i32> {
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(
                since.elapsed() < limit,
                "the daemon lives after {limit:?}:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// True while the daemon runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // The daemon first: its end answers whoever still waits on the mount.
        let _ = self.child.kill();
        let _ = self.child.wait();
        super::clear(&self.at);
        if std::thread::panicking() {
            eprintln!("--- log of the mount ---\n{}", self.log());
        }
    }
}
