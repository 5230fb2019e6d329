//! The program under test, run as a user runs it: hubs, mounts and single commands of the release binary.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::{Result, clean, sys};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_tfhub-fs");
/// In which a mount must answer, and a process that was told to end must have ended.
const SOON: Duration = Duration::from_secs(20);

/// A command that sees nothing of the caller's Hub settings or proxies.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let upper = name.to_string_lossy().to_uppercase();
        if upper.starts_with("TFHUB") || upper.ends_with("_PROXY") {
            command.env_remove(name);
        }
    }
    command
}

/// A child that is ended with its owner.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    pub(crate) fn spawn(command: &mut Command) -> Result<Process> {
        let child = command
            .spawn()
            .map_err(|error| format!("cannot start {command:?}: {error}"))?;
        clean::remember(child.id());
        Ok(Process { child })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Its standard output, once.
    pub(crate) fn lines(&mut self) -> Result<BufReader<std::process::ChildStdout>> {
        let stdout = self.child.stdout.take();
        Ok(BufReader::new(
            stdout.ok_or("standard output is not a pipe")?,
        ))
    }

    /// Its standard input, once.
    pub(crate) fn input(&mut self) -> Result<std::process::ChildStdin> {
        let stdin = self.child.stdin.take();
        stdin.ok_or_else(|| "standard input is not a pipe".into())
    }

    /// Whether it ends by itself with success.
    pub(crate) fn succeeds(mut self) -> Result<bool> {
        Ok(self.child.wait()?.success())
    }

    fn wait_until(&mut self, deadline: Instant) -> bool {
        while Instant::now() < deadline {
            if self.has_ended().unwrap_or(true) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        false
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.has_ended().unwrap_or(false) {
            sys::signal(self.pid(), libc::SIGCONT);
            sys::signal(self.pid(), libc::SIGTERM);
            if !self.wait_until(Instant::now() + SOON) {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
        }
        clean::forget(self.pid());
    }
}

/// The scripted origin of the tests, as a process of its own: this program, started again.
pub(crate) struct Hub {
    /// Where it listens, without a slash at the end: the hub, and the endpoint of its buckets.
    pub url: String,
    /// It ends when its standard input does.
    _input: std::process::ChildStdin,
    _process: Process,
}

impl Hub {
    /// Offers `dir` over a link, if one is given: see `origin::Shape::read`.
    pub(crate) fn serve(dir: &Path, link: Option<&str>) -> Result<Hub> {
        Hub::started(dir, &["--link", link.unwrap_or_default()])
    }

    /// Offers a bucket that may be written, `NAME=DIR`, and nothing else.
    pub(crate) fn serve_writable(empty: &Path, bucket: &str, link: &str) -> Result<Hub> {
        Hub::started(empty, &["--bucket", bucket, "--link", link])
    }

    fn started(dir: &Path, flags: &[&str]) -> Result<Hub> {
        let mut origin = command(std::env::current_exe()?);
        origin.arg("origin").arg(dir).args(["--direct", "yes"]);
        let origin = origin.args(flags).stdin(Stdio::piped());
        let mut process = Process::spawn(origin.stdout(Stdio::piped()))?;
        let input = process.input()?;
        let mut line = String::new();
        process.lines()?.read_line(&mut line)?;
        let urls: serde_json::Value = serde_json::from_str(&line)?;
        let url = urls["hub"].as_str().ok_or("the origin told no URL")?;
        Ok(Hub {
            url: url.to_owned(),
            _input: input,
            _process: process,
        })
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn authority(&self) -> &str {
        self.url.trim_start_matches("http://")
    }
}

/// `tfhub-fs mount --foreground`, on a directory and a cache of its own.
pub(crate) struct Mount {
    /// The mountpoint.
    pub path: PathBuf,
    process: Process,
}

impl Mount {
    /// Mounts `hub_url` at `<dir>/mount`, which is made, with a cache in `cache`; returns when the mount answers.
    pub(crate) fn of(hub_url: &str, dir: &Path, cache: &Path, flags: &[&str]) -> Result<Mount> {
        let path = dir.join("mount");
        fs::create_dir_all(&path)?;
        let log = dir.join("mount.log");
        let mut mount = mount_command(hub_url, &path, cache);
        mount
            .arg("--foreground")
            .args(flags)
            .stdout(File::create(&log)?);
        let process = Process::spawn(mount.stderr(File::create(&log)?))?;
        let mut mount = Mount { path, process };
        let deadline = Instant::now() + SOON;
        while !is_mounted(&mount.path) {
            if mount.process.has_ended()? || Instant::now() > deadline {
                let said = fs::read_to_string(&log).unwrap_or_default();
                return Err(format!("the mount does not answer: {said}").into());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(mount)
    }

    /// The daemon's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        sys::signal(self.pid(), libc::SIGCONT);
        sys::signal(self.pid(), libc::SIGTERM);
        self.process.wait_until(Instant::now() + SOON);
        clean::unmount_below(&self.path);
    }
}

/// `mount` with what every mount of the bench has in common.
fn mount_command(hub_url: &str, mountpoint: &Path, cache: &Path) -> Command {
    let mut mount = command(BINARY);
    mount
        .arg("mount")
        .arg(mountpoint)
        .arg("--cache-dir")
        .arg(cache);
    mount.args(["--hub-url", hub_url, "--grace", "1s", "--log-level", "warn"]);
    mount
}

/// `tfhub-fs mount` into the background, as people type it; returns when the command does.
pub(crate) fn mount_in_background(
    hub_url: &str,
    mountpoint: &Path,
    cache: &Path,
    log: &Path,
) -> Result<()> {
    let mut mount = mount_command(hub_url, mountpoint, cache);
    checked(mount.arg("--log-file").arg(log))?;
    Ok(())
}

/// `tfhub-fs unmount`.
pub(crate) fn unmount(mountpoint: &Path) -> Result<()> {
    checked(command(BINARY).arg("unmount").arg(mountpoint))?;
    Ok(())
}

/// `tfhub-fs resolve`: the local directory of `handle`, fetched into `cache`.
pub(crate) fn resolve(hub: &Hub, handle: &str, cache: &Path) -> Result<PathBuf> {
    let mut resolve = command(BINARY);
    resolve.args([
        "resolve",
        handle,
        "--hub-url",
        &hub.url,
        "--log-level",
        "warn",
    ]);
    let output = checked(resolve.arg("--cache-dir").arg(cache))?;
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim_end()))
}

/// `tfhub-fs resolve --remote`: the `gs://` folder of a model of the hub.
pub(crate) fn remote(hub: &Hub, name: &str) -> Result<String> {
    let mut resolve = command(BINARY);
    resolve.args(["resolve", "--remote", &format!("{}/{name}", hub.url)]);
    let output = checked(resolve.args(["--hub-url", &hub.url, "--gcs-endpoint", &hub.url]))?;
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

fn checked(command: &mut Command) -> Result<Output> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?} ended with {}: {said}", output.status).into())
}

/// Whether something is mounted there.
pub(crate) fn is_mounted(path: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mut points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    points.any(|point| Path::new(point) == path)
}

/// Writes back what earlier measurements left dirty, so that the next does not pay for it.
pub(crate) fn settle() {
    let _ = Command::new("sync").status();
}
