//! The callbacks: each asks the tree one question and passes the answer on.

use std::ffi::OsStr;
use std::sync::Arc;

use fuser::{
    AccessFlags, Errno, FileHandle, Filesystem, FopenFlags, INodeNo, InitFlags, IoctlFlags,
    KernelConfig, LockOwner, OpenAccMode, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyOpen, ReplyStatfs, ReplyXattr, Request,
};

use super::dir_handles::{DirHandles, Listing};
use super::error_reply::guarded;
use super::io_mode::IoModes;
use super::reply::{Inner, Owner, reply_xattr};
use super::statfs::Space;
use super::waiters::Waiters;
use crate::vfs::{Answer, Error, Opened, Tree};

/// Requests that the kernel may have in flight in the background. Its default of 16 counts readahead and RELEASE, and
/// 16 stalled reads would then freeze every cached read of the mount.
const BACKGROUND: u16 = 4096;

/// The longest name, for `statfs`.
const NAME_MAX: u32 = 255;

/// The filesystem as fuser sees it.
pub(super) struct FuseFs {
    inner: Arc<Inner>,
}

impl FuseFs {
    pub fn new(
        tree: Tree,
        waiters: Waiters,
        passthrough: bool,
        owner: Owner,
        space: Arc<Space>,
    ) -> FuseFs {
        FuseFs {
            inner: Arc::new(Inner {
                tree,
                waiters,
                modes: IoModes::new(passthrough),
                dirs: DirHandles::default(),
                owner,
                space,
            }),
        }
    }

    /// Answers now, or later from the table of waiters.
    fn answer<T: Send + 'static>(
        &self,
        request: &Request,
        answer: Answer<T>,
        reply: impl FnOnce(&Inner, Result<T, Error>) + Send + 'static,
    ) {
        match answer {
            Answer::Now(result) => reply(&self.inner, result),
            Answer::Later(work) => {
                let inner = self.inner.clone();
                self.inner.waiters.wait(request.pid(), work, move |result| {
                    guarded("answer", || reply(&inner, result));
                });
            }
        }
    }
}

impl Filesystem for FuseFs {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        for wanted in [
            InitFlags::FUSE_PARALLEL_DIROPS,
            InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP,
            InitFlags::FUSE_ASYNC_DIO,
            InitFlags::FUSE_PASSTHROUGH,
        ] {
            if config.add_capabilities(wanted).is_err() {
                tracing::debug!(?wanted, "the kernel does not have this capability");
            }
        }
        // Each is a wish: what the kernel grants less of is still right.
        let _ = config.set_max_background(BACKGROUND);
        let _ = config.set_congestion_threshold(BACKGROUND);
        let _ = config.set_max_stack_depth(self.inner.owner.stack_depth);
        Ok(())
    }

    fn lookup(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        guarded("lookup", || {
            let Some(name) = name.to_str() else {
                return reply.error(Errno::ENOENT);
            };
            let answer = self.inner.tree.lookup(parent.0, name);
            let name = name.to_owned();
            self.answer(request, answer, move |inner, result| {
                inner.reply_entry(parent, &name, result, reply);
            });
        });
    }

    fn forget(&self, _request: &Request, ino: INodeNo, lookups: u64) {
        guarded("forget", || {
            if self.inner.tree.forget(ino.0, lookups) {
                self.inner.modes.forget(ino.0);
            }
        });
    }

    fn getattr(&self, _request: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        guarded("getattr", || match self.inner.tree.getattr(ino.0) {
            Ok(entry) => reply.attr(&entry.ttl.span(), &self.inner.attr(&entry.attr)),
            Err(error) => reply.error(self.inner.report("getattr", ino, &error)),
        });
    }

    fn readlink(&self, _request: &Request, ino: INodeNo, reply: ReplyData) {
        guarded("readlink", || match self.inner.tree.readlink(ino.0) {
            Ok(target) => reply.data(target.as_bytes()),
            Err(error) => reply.error(self.inner.report("readlink", ino, &error)),
        });
    }

    fn open(&self, request: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        guarded("open", || {
            if flags.acc_mode() != OpenAccMode::O_RDONLY {
                return reply.error(self.inner.report("open", ino, &Error::ReadOnly));
            }
            let answer = self.inner.tree.open(ino.0);
            self.answer(
                request,
                answer,
                move |inner, result: Result<Opened, Error>| match result {
                    Ok(opened) => {
                        let handle = opened.handle;
                        inner.tree.hold_open(ino.0);
                        if !inner.modes.open(ino.0, opened, reply) {
                            inner.refused(ino, handle);
                        }
                    }
                    Err(error) => reply.error(inner.report("open", ino, &error)),
                },
            );
        });
    }

    fn read(
        &self,
        request: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        guarded("read", || {
            let answer = self.inner.tree.read(fh.0, offset, size as usize);
            self.answer(request, answer, move |inner, result| match result {
                Ok(bytes) => reply.data(&bytes),
                Err(error) => reply.error(inner.report("read", ino, &error)),
            });
        });
    }

    fn release(
        &self,
        _request: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        guarded("release", || {
            self.inner.tree.close(fh.0);
            self.inner.tree.release_open(ino.0);
            self.inner.modes.release(ino.0);
            reply.ok();
        });
    }

    fn opendir(&self, _request: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        guarded("opendir", || {
            self.inner.tree.hold_open(ino.0);
            let handle = self.inner.dirs.open();
            reply.opened(FileHandle(handle), FopenFlags::empty());
        });
    }

    fn readdir(
        &self,
        request: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        reply: ReplyDirectory,
    ) {
        guarded("readdir", || {
            if offset > 0
                && let Some(entries) = self.inner.dirs.get(fh.0)
            {
                return self.inner.reply_listing(&entries, offset, reply);
            }
            let answer = self.inner.tree.list(ino.0);
            self.answer(request, answer, move |inner, result| match result {
                Ok(entries) => {
                    let entries = inner.dirs.keep(fh.0, ino.0, Listing::new(ino.0, &entries));
                    inner.reply_listing(&entries, offset, reply);
                }
                Err(error) => reply.error(inner.report("readdir", ino, &error)),
            });
        });
    }

    fn releasedir(
        &self,
        _request: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        guarded("releasedir", || {
            self.inner.tree.release_open(ino.0);
            self.inner.dirs.close(fh.0, ino.0);
            reply.ok();
        });
    }

    fn statfs(&self, _request: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        guarded("statfs", || {
            let Some(space) = self.inner.space.get() else {
                return reply.statfs(0, 0, 0, 0, 0, 4096, NAME_MAX, 4096);
            };
            let block = space.block.max(1);
            let fragment = u32::try_from(block).unwrap_or(4096);
            let (total, free) = (space.total / block, space.free / block);
            let available = space.available / block;
            let (files, unused) = (space.inodes, space.inodes_free);
            reply.statfs(
                total, free, available, files, unused, fragment, NAME_MAX, fragment,
            );
        });
    }

    fn getxattr(
        &self,
        request: &Request,
        ino: INodeNo,
        name: &OsStr,
        size: u32,
        reply: ReplyXattr,
    ) {
        guarded("getxattr", || {
            let name = name.to_str().unwrap_or_default();
            let answer = self.inner.tree.xattr(ino.0, name);
            self.answer(request, answer, move |inner, result| match result {
                Ok(value) => reply_xattr(value.as_bytes(), size, reply),
                Err(error) => reply.error(inner.report("getxattr", ino, &error)),
            });
        });
    }

    /// Asked for by isatty(3), which Python calls on every file it opens.
    fn ioctl(
        &self,
        _request: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _flags: IoctlFlags,
        _command: u32,
        _input: &[u8],
        _output: u32,
        reply: ReplyIoctl,
    ) {
        guarded("ioctl", || reply.error(Errno::ENOTTY));
    }

    fn listxattr(&self, _request: &Request, _ino: INodeNo, size: u32, reply: ReplyXattr) {
        guarded("listxattr", || reply_xattr(&[], size, reply));
    }

    fn access(&self, _request: &Request, _ino: INodeNo, _mask: AccessFlags, reply: ReplyEmpty) {
        // The kernel has checked the modes itself (default_permissions).
        guarded("access", || reply.ok());
    }
}
