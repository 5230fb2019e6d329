//! The program under test as a child process, with nothing of this machine's environment in it.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::within;

/// Where Cargo put the program.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_tfhub-fs");

/// How a command ended.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// The program with arguments, ready to be started.
pub fn program<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        // How full the disk of this machine is has nothing to do with any test.
        .env("TFHUB_FS_MIN_FREE", "0")
        .args(args)
        .stdin(Stdio::null());
    command
}

/// Runs the program to its end.
#[track_caller]
pub fn run<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Outcome {
    run_with(program(args))
}

/// Runs a command to its end; fails the test if it takes a minute.
#[track_caller]
pub fn run_with(mut command: Command) -> Outcome {
    within(Duration::from_secs(60), move || {
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Outcome {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    })
}

/// Fails with a clear message where mounting cannot work: nothing is skipped in silence.
#[track_caller]
pub fn needs_fuse() {
    let root = std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    assert!(
        root,
        "these tests mount through the kernel and switch users: run them as root"
    );
    assert!(
        Path::new("/dev/fuse").exists(),
        "these tests mount through the kernel: /dev/fuse is missing"
    );
}

/// An ordinary user, whom every Linux system has: uid and gid. fusermount3 wants one with a name.
pub fn other_user() -> (u32, u32) {
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.starts_with("nobody:"));
    let mut fields = line.expect("the user nobody").split(':').skip(2);
    let mut number = || fields.next().unwrap().parse().unwrap();
    (number(), number())
}

/// Lets a command run as the ordinary user.
pub fn as_other(command: &mut Command) -> &mut Command {
    let (uid, gid) = other_user();
    command.uid(uid).gid(gid)
}

/// The id of a process that has ended.
pub fn gone_pid() -> u32 {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

/// Runs the program in a mount namespace of its own, where no mount of another test is seen, after `setup` (shell).
#[track_caller]
pub fn run_alone(keep: Option<&Path>, setup: &str, env: &[(&str, &str)], args: &[&str]) -> Outcome {
    needs_fuse();
    let hide = "sed -n 's/^[^ ]* [^ ]* [^ ]* [^ ]* \\([^ ]*\\) .* - fuse.tfhub-fs .*/\\1/p' /proc/self/mountinfo \
                | grep -vxF \"$KEEP\" | xargs -r -n1 umount -l";
    let mut command = Command::new("unshare");
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
        .env("KEEP", keep.unwrap_or(Path::new("none")))
        .env("PROGRAM", PROGRAM)
        .envs(env.iter().copied());
    command
        .args([
            "--mount",
            "sh",
            "-c",
            &format!("{hide}\n{setup}\nexec \"$PROGRAM\" \"$@\""),
            "sh",
        ])
        .args(args);
    run_with(command)
}
