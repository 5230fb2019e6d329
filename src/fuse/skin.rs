//! The callbacks: each asks the tree one question and passes the answer on.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fuser::{
    AccessFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, InitFlags, KernelConfig, LockOwner, OpenAccMode, OpenFlags, ReplyAttr, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyXattr, Request,
};

use super::edge::{guarded, report};
use super::listings::Listings;
use super::modes::Modes;
use super::space::Space;
use super::waiters::Waiters;
use crate::tree::{Answer, Attr, DirEntry, Entry, Error, Kind, Opened, Tree, Ttl};

/// Requests that the kernel may have in flight in the background. Its default of 16 counts readahead and RELEASE, and
/// 16 stalled reads would then freeze every cached read of the mount.
const BACKGROUND: u16 = 4096;

/// The longest name, for `statfs`.
const NAME_MAX: u32 = 255;

/// Nodes never change their meaning, so there is one generation.
const GENERATION: Generation = Generation(0);

/// Who owns what the mount shows, and how it stacks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    pub uid: u32,
    pub gid: u32,
    pub stack_depth: u32,
}

/// The filesystem as fuser sees it.
pub(super) struct Skin {
    inner: Arc<Inner>,
}

struct Inner {
    tree: Tree,
    waiters: Waiters,
    modes: Modes,
    listings: Listings,
    owner: Owner,
    space: Arc<Space>,
}

impl Skin {
    pub fn new(
        tree: Tree,
        waiters: Waiters,
        passthrough: bool,
        owner: Owner,
        space: Arc<Space>,
    ) -> Skin {
        Skin {
            inner: Arc::new(Inner {
                tree,
                waiters,
                modes: Modes::new(passthrough),
                listings: Listings::default(),
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

impl Inner {
    fn attr(&self, attr: &Attr) -> FileAttr {
        let (kind, perm) = match attr.kind {
            Kind::Directory => (FileType::Directory, 0o555),
            Kind::File => (FileType::RegularFile, 0o444),
            Kind::Link => (FileType::Symlink, 0o777),
        };
        FileAttr {
            ino: INodeNo(attr.node),
            size: attr.size,
            blocks: attr.size.div_ceil(512),
            atime: attr.mtime,
            mtime: attr.mtime,
            ctime: attr.mtime,
            crtime: attr.mtime,
            kind,
            perm,
            nlink: 1,
            uid: self.owner.uid,
            gid: self.owner.gid,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }

    /// A negative answer that the kernel may remember: an entry without a node.
    fn no_entry(&self, ttl: Ttl) -> (Duration, FileAttr) {
        let nothing = Attr {
            node: 0,
            kind: Kind::File,
            size: 0,
            mtime: SystemTime::UNIX_EPOCH,
        };
        (ttl.span(), self.attr(&nothing))
    }

    fn reply_entry(
        &self,
        parent: INodeNo,
        name: &str,
        result: Result<Entry, Error>,
        reply: ReplyEntry,
    ) {
        match result {
            Ok(entry) => reply.entry(&entry.ttl.span(), &self.attr(&entry.attr), GENERATION),
            Err(Error::NoEntry { forever: true }) => {
                let (ttl, attr) = self.no_entry(Ttl::Forever);
                reply.entry(&ttl, &attr, GENERATION);
            }
            Err(error) => {
                let path = format!("{}/{name}", self.tree.path(parent.0));
                let path = path.trim_start_matches('/');
                reply.error(report(&self.tree, "lookup", path, &error));
            }
        }
    }

    fn report(&self, operation: &str, ino: INodeNo, error: &Error) -> Errno {
        report(&self.tree, operation, &self.tree.path(ino.0), error)
    }

    fn reply_listing(&self, entries: &[DirEntry], offset: u64, mut reply: ReplyDirectory) {
        let skip = usize::try_from(offset).unwrap_or(usize::MAX);
        for (index, entry) in entries.iter().enumerate().skip(skip) {
            let kind = match entry.kind {
                Kind::Directory => FileType::Directory,
                Kind::File => FileType::RegularFile,
                Kind::Link => FileType::Symlink,
            };
            if reply.add(INodeNo(entry.node), index as u64 + 1, kind, &entry.name) {
                break;
            }
        }
        reply.ok();
    }
}

impl Filesystem for Skin {
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
        let _ = config.set_max_readahead(1 << 20);
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
        guarded("forget", || self.inner.tree.forget(ino.0, lookups));
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
                    Ok(opened) => inner.modes.open(ino.0, opened, reply),
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
            self.inner.modes.release(ino.0);
            reply.ok();
        });
    }

    fn opendir(&self, _request: &Request, _ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        guarded("opendir", || {
            let handle = self.inner.listings.open();
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
                && let Some(entries) = self.inner.listings.get(fh.0)
            {
                return self.inner.reply_listing(&entries, offset, reply);
            }
            let answer = self.inner.tree.list(ino.0);
            self.answer(request, answer, move |inner, result| match result {
                Ok(entries) => {
                    let entries = inner.listings.keep(fh.0, with_dots(ino.0, entries));
                    inner.reply_listing(&entries, offset, reply);
                }
                Err(error) => reply.error(inner.report("readdir", ino, &error)),
            });
        });
    }

    fn releasedir(
        &self,
        _request: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        guarded("releasedir", || {
            self.inner.listings.close(fh.0);
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
        _request: &Request,
        ino: INodeNo,
        name: &OsStr,
        size: u32,
        reply: ReplyXattr,
    ) {
        guarded("getxattr", || {
            let name = name.to_str().unwrap_or_default();
            match self.inner.tree.xattr(ino.0, name) {
                Ok(value) => reply_xattr(value.as_bytes(), size, reply),
                Err(error) => reply.error(self.inner.report("getxattr", ino, &error)),
            }
        });
    }

    fn listxattr(&self, _request: &Request, _ino: INodeNo, size: u32, reply: ReplyXattr) {
        guarded("listxattr", || reply_xattr(&[], size, reply));
    }

    fn access(&self, _request: &Request, _ino: INodeNo, _mask: AccessFlags, reply: ReplyEmpty) {
        // The kernel has checked the modes itself (default_permissions).
        guarded("access", || reply.ok());
    }
}

fn with_dots(node: u64, mut entries: Vec<DirEntry>) -> Vec<DirEntry> {
    let dot = |name: &str| DirEntry {
        name: name.to_owned(),
        node,
        kind: Kind::Directory,
    };
    entries.splice(0..0, [dot("."), dot("..")]);
    entries
}

fn reply_xattr(value: &[u8], size: u32, reply: ReplyXattr) {
    match u32::try_from(value.len()) {
        Ok(length) if size == 0 => reply.size(length),
        Ok(length) if length <= size => reply.data(value),
        _ => reply.error(Errno::ERANGE),
    }
}
