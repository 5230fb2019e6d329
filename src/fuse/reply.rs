//! From the tree's words to the kernel's: attributes, entries, listings, values.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fuser::{
    Errno, FileAttr, FileType, Generation, INodeNo, ReplyDirectory, ReplyEntry, ReplyXattr,
};

use super::dir_handles::{DirHandles, Listing};
use super::error_reply::report;
use super::io_mode::IoModes;
use super::statfs::Space;
use super::waiters::Waiters;
use crate::vfs::{Attr, Entry, Error, Kind, Tree, Ttl};

/// Nodes never change their meaning, so there is one generation.
const GENERATION: Generation = Generation(0);

/// Who owns what the mount shows, and how it stacks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    pub uid: u32,
    pub gid: u32,
    pub stack_depth: u32,
}

/// What every answer is made with; the tasks that answer later share it.
pub(super) struct Inner {
    pub tree: Tree,
    pub waiters: Waiters,
    pub modes: IoModes,
    pub dirs: DirHandles,
    pub owner: Owner,
    pub space: Arc<Space>,
}

impl Inner {
    pub fn attr(&self, attr: &Attr) -> FileAttr {
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

    pub fn reply_entry(
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

    pub fn report(&self, operation: &str, ino: INodeNo, error: &Error) -> Errno {
        report(&self.tree, operation, &self.tree.path(ino.0), error)
    }

    /// An open that would have read a damaged copy's bytes.
    pub fn refused(&self, ino: INodeNo, handle: u64) {
        self.tree.close(handle);
        self.tree.release_open(ino.0);
        let path = self.tree.path(ino.0);
        tracing::warn!(
            path,
            "a damaged copy of this file is still open; close it, then the new copy can be read"
        );
    }

    pub fn reply_listing(&self, listing: &Listing, offset: u64, mut reply: ReplyDirectory) {
        let first = usize::try_from(offset).unwrap_or(usize::MAX);
        for ((name, node, kind), next) in listing.from(first).zip(offset.saturating_add(1)..) {
            let kind = match kind {
                Kind::Directory => FileType::Directory,
                Kind::File => FileType::RegularFile,
                Kind::Link => FileType::Symlink,
            };
            if reply.add(INodeNo(node), next, kind, name) {
                break;
            }
        }
        reply.ok();
    }
}

/// Answers with a value, its length, or that the buffer is too small.
pub(super) fn reply_xattr(value: &[u8], size: u32, reply: ReplyXattr) {
    match u32::try_from(value.len()) {
        Ok(length) if size == 0 => reply.size(length),
        Ok(length) if length <= size => reply.data(value),
        _ => reply.error(Errno::ERANGE),
    }
}
