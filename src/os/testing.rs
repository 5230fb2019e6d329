//! A mount of one file, for the tests of this room and of the service: unmounted however the test ends.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    Config, Errno, FileAttr, FileHandle, FileType, Filesystem, Generation, INodeNo, LockOwner,
    OpenFlags, ReplyAttr, ReplyData, ReplyEntry, Request, Session, SessionACL,
};

use super::mount::{MountOptions, Mounted, mount};
use super::own;

/// Fails where a test cannot mount: nothing is skipped in silence.
#[track_caller]
pub(crate) fn needs_fuse() {
    needs_root();
    assert!(
        Path::new("/dev/fuse").exists(),
        "this test mounts through the kernel, and /dev/fuse is missing; see scripts/setup"
    );
}

/// Fails where a test cannot mount, or give files to another user.
#[track_caller]
pub(crate) fn needs_root() {
    assert_eq!(
        own::uid(),
        0,
        "this test mounts or changes owners: run it as root"
    );
}

/// A directory with `file` ("hello") and `stuck` (5 bytes that come when the test lets them).
struct OneFile {
    stuck: mpsc::Sender<(u32, ReplyData)>,
}

const TTL: Duration = Duration::from_secs(3600);

impl Filesystem for OneFile {
    fn lookup(&self, _req: &Request, _parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match name.to_str() {
            Some("file") => reply.entry(&TTL, &attr(2), Generation(0)),
            Some("stuck") => reply.entry(&TTL, &attr(3), Generation(0)),
            _ => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&TTL, &attr(ino.0));
    }

    fn read(
        &self,
        req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        _size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match ino.0 {
            3 => self.stuck.send((req.pid(), reply)).unwrap(),
            _ => reply.data(b"hello".get(offset as usize..).unwrap_or_default()),
        }
    }
}

fn attr(ino: u64) -> FileAttr {
    let dir = ino == 1;
    FileAttr {
        ino: INodeNo(ino),
        size: if dir { 0 } else { 5 },
        blocks: 0,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: if dir {
            FileType::Directory
        } else {
            FileType::RegularFile
        },
        perm: if dir { 0o555 } else { 0o444 },
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

/// A live mount in a temporary directory, with its session on a thread.
pub(crate) struct TestMount {
    // Dropped in this order: unmounted first, then the directory removed.
    mounted: Arc<Mounted>,
    dir: tempfile::TempDir,
    stuck: mpsc::Receiver<(u32, ReplyData)>,
}

impl TestMount {
    pub(crate) fn new() -> TestMount {
        let dir = tempfile::tempdir().unwrap();
        let mountpoint = dir.path().canonicalize().unwrap();
        // An ordinary user may let others in only if /etc/fuse.conf says so.
        let allow_other = own::uid() == 0;
        let (fd, mounted) = mount(&MountOptions {
            mountpoint,
            allow_other,
        })
        .unwrap();
        let (send, stuck) = mpsc::channel();
        let session = Session::from_fd(
            OneFile { stuck: send },
            fd,
            SessionACL::All,
            Config::default(),
        )
        .unwrap();
        std::thread::spawn(move || session.run());
        TestMount {
            mounted: Arc::new(mounted),
            dir,
            stuck,
        }
    }

    pub(crate) fn mounted(&self) -> &Arc<Mounted> {
        &self.mounted
    }

    /// The next read of `stuck`: its thread id, and the reply that it waits for.
    pub(crate) fn stuck_read(&self) -> (u32, ReplyData) {
        self.stuck.recv_timeout(Duration::from_secs(10)).unwrap()
    }

    pub(crate) fn path(&self) -> &Path {
        self.mounted.mountpoint()
    }
}

impl Drop for TestMount {
    fn drop(&mut self) {
        let _ = self.mounted.abort();
        let _ = self.mounted.unmount(super::unmount::Way::Lazy);
        assert!(self.dir.path().is_dir());
    }
}
