//! How the bytes of each inode reach their readers.
//!
//! The kernel wants one mode per inode: a cached open forbids passthrough, a passthrough open forbids anything else
//! and must carry the same backing id each time, a direct open stands beside either unless it is mapped, which we
//! cannot see. So the mode of an inode is kept here from its first open to its last release.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fuser::{BackingId, FopenFlags, ReplyOpen};
use parking_lot::Mutex;

use crate::tree::Opened;

/// The modes of all open inodes.
pub(super) struct Modes {
    /// False once the kernel has refused passthrough for a reason that will not change.
    passthrough: AtomicBool,
    open: Mutex<HashMap<u64, Inode>>,
}

struct Inode {
    handles: usize,
    mode: Mode,
}

#[derive(Clone)]
enum Mode {
    /// Every read comes to us: a filling file, or one that was filling when another handle was opened.
    Direct,
    /// Reads go through the page cache.
    Cached,
    /// The kernel reads the sealed file itself.
    Passthrough(Arc<BackingId>),
}

impl Modes {
    /// `passthrough`: whether to try it at all.
    pub fn new(passthrough: bool) -> Modes {
        Modes {
            passthrough: AtomicBool::new(passthrough),
            open: Mutex::default(),
        }
    }

    /// Answers an open in the inode's mode.
    pub fn open(&self, inode: u64, opened: Opened, reply: ReplyOpen) {
        let handle = fuser::FileHandle(opened.handle);
        let mode = self.enter(inode, opened.sealed.as_deref(), &reply);
        match mode {
            Mode::Direct => reply.opened(handle, FopenFlags::FOPEN_DIRECT_IO | noflush()),
            Mode::Cached => reply.opened(handle, FopenFlags::FOPEN_KEEP_CACHE | noflush()),
            Mode::Passthrough(id) => reply.opened_passthrough(handle, noflush(), &id),
        }
    }

    /// Counts a release; the last one ends the inode's mode.
    pub fn release(&self, inode: u64) {
        let mut open = self.open.lock();
        if let Some(entry) = open.get_mut(&inode) {
            entry.handles -= 1;
            if entry.handles == 0 {
                open.remove(&inode);
            }
        }
    }

    fn enter(&self, inode: u64, sealed: Option<&File>, reply: &ReplyOpen) -> Mode {
        // The lock is held over the registration, which is a short ioctl: two first opens must share one id.
        let mut open = self.open.lock();
        if let Some(entry) = open.get_mut(&inode) {
            entry.handles += 1;
            return entry.mode.clone();
        }
        let mode = match sealed {
            None => Mode::Direct,
            Some(file) => self.first_mode(file, reply),
        };
        let handles = 1;
        open.insert(
            inode,
            Inode {
                handles,
                mode: mode.clone(),
            },
        );
        mode
    }

    fn first_mode(&self, file: &File, reply: &ReplyOpen) -> Mode {
        if !self.passthrough.load(Ordering::Relaxed) {
            return Mode::Cached;
        }
        match reply.open_backing(file) {
            Ok(id) => Mode::Passthrough(Arc::new(id)),
            Err(error) => {
                // EPERM: no CAP_SYS_ADMIN. ENOTTY, EOPNOTSUPP: a kernel without it. Neither will change.
                let lasting = [libc::EPERM, libc::ENOTTY, libc::EOPNOTSUPP];
                if error
                    .raw_os_error()
                    .is_some_and(|code| lasting.contains(&code))
                    && self.passthrough.swap(false, Ordering::Relaxed)
                {
                    tracing::info!(%error, "no passthrough here; sealed files are read through the page cache");
                }
                Mode::Cached
            }
        }
    }
}

/// Nothing is written, so the kernel need not send FLUSH at close.
fn noflush() -> FopenFlags {
    FopenFlags::FOPEN_NOFLUSH
}
