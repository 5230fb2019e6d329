//! fusermount3: the setuid helper that mounts and unmounts for an ordinary user.
//!
//! It opens `/dev/fuse`, mounts, and sends the descriptor back over a socket whose number it finds in `_FUSE_COMMFD`
//! (libfuse `util/fusermount.c`). The socket is given to it as its standard input, so no descriptor needs to be leaked.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::io::retry_on_intr;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

/// By name, then where distributions put it: a service may have a PATH without it.
const NAMES: [&str; 4] = [
    "fusermount3",
    "/usr/bin/fusermount3",
    "/bin/fusermount3",
    "/usr/local/bin/fusermount3",
];

/// Why the helper did not do it.
#[derive(Debug)]
pub(super) enum Failure {
    /// It is not installed.
    Missing,
    /// It ran and refused; what it wrote to stderr.
    Refused(String),
    /// It could not be run, or did not send what it should have.
    Io(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Io(error)
    }
}

/// Mounts on `mountpoint` with `options` (comma-separated) and returns the descriptor of `/dev/fuse`.
pub(super) fn mount(mountpoint: &Path, options: &str) -> Result<OwnedFd, Failure> {
    let (ours, theirs) = UnixStream::pair()?;
    let theirs = OwnedFd::from(theirs);
    let args = |command: &mut Command| {
        command
            .args(["-o", options, "--"])
            .arg(mountpoint)
            .env("_FUSE_COMMFD", "0");
    };
    let child = spawn(args, || Ok(Stdio::from(theirs.try_clone()?)))?;
    // Or a helper that dies without a word would leave us waiting for the end of our own copy.
    drop(theirs);
    let received = receive_fd(&ours);
    let output = child.wait_with_output()?;
    match received {
        Ok(fd) if output.status.success() => Ok(fd),
        Err(error) if output.status.success() => Err(Failure::Io(error)),
        _ => Err(refusal(&output)),
    }
}

/// Unmounts `mountpoint`; `lazy` detaches it even while it is in use.
pub(super) fn unmount(mountpoint: &Path, lazy: bool) -> Result<(), Failure> {
    let args = |command: &mut Command| {
        command
            .arg(if lazy { "-uz" } else { "-u" })
            .arg("--")
            .arg(mountpoint);
    };
    let output = spawn(args, || Ok(Stdio::null()))?.wait_with_output()?;
    if output.status.success() {
        Ok(())
    } else {
        Err(refusal(&output))
    }
}

fn spawn(
    args: impl Fn(&mut Command),
    stdin: impl Fn() -> io::Result<Stdio>,
) -> Result<std::process::Child, Failure> {
    for name in NAMES {
        let mut command = Command::new(name);
        args(&mut command);
        command
            .stdin(stdin()?)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        match command.spawn() {
            Ok(child) => return Ok(child),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::Io(error)),
        }
    }
    Err(Failure::Missing)
}

fn refusal(output: &std::process::Output) -> Failure {
    let said = String::from_utf8_lossy(&output.stderr)
        .trim()
        .replace('\n', "; ");
    Failure::Refused(if said.is_empty() {
        format!("it ended with {}", output.status)
    } else {
        said
    })
}

/// Receives one descriptor; the end of the stream before it is `UnexpectedEof`.
fn receive_fd(socket: &UnixStream) -> io::Result<OwnedFd> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let got = retry_on_intr(|| {
        let part = &mut [IoSliceMut::new(&mut byte)];
        recvmsg(socket, part, &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;
    if got.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let sent = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    sent.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "fusermount3 sent no descriptor"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn an_end_before_the_descriptor_is_an_error() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        assert_eq!(
            receive_fd(&ours).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
        let (ours, theirs) = UnixStream::pair().unwrap();
        io::Write::write_all(&mut &theirs, b"x").unwrap();
        assert_eq!(
            receive_fd(&ours).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }

    #[test]
    fn what_the_helper_says_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        match unmount(dir.path(), false) {
            Err(Failure::Refused(said)) => assert!(said.contains("fusermount3"), "{said}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_helper_mounts_and_hands_over_the_device() {
        super::super::testing::needs_fuse();
        assert!(
            Path::new("/usr/bin/fusermount3").exists(),
            "this test mounts through fusermount3; see scripts/setup"
        );
        let dir = tempfile::tempdir().unwrap();
        let mountpoint = dir.path().canonicalize().unwrap();
        let fd = mount(
            &mountpoint,
            "ro,nosuid,nodev,fsname=tfhub-fs,subtype=tfhub-fs",
        )
        .unwrap();
        let table = super::super::mountinfo::Table::read().unwrap();
        let held = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap();
        let inside = table.inside(&mountpoint, super::super::mountinfo::FSTYPE);
        unmount(&mountpoint, false).unwrap();
        assert_eq!(held, Path::new("/dev/fuse"));
        assert!(inside);
        assert!(matches!(
            mount(Path::new("/no/such"), "ro"),
            Err(Failure::Refused(_))
        ));
    }
}
