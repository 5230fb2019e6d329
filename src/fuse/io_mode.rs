//! How the bytes of each inode reach their readers.
//!
//! The kernel wants one mode per inode: a cached open forbids passthrough, a passthrough open forbids anything else
//! and must carry the same backing id each time, a direct open stands beside either unless it is mapped, which we
//! cannot see. So the mode of an inode is kept here from its first open to its last release.
//!
//! A passthrough inode reads one file for all its handles. When a damaged model has been fetched again while a handle of
//! the damaged copy is open, an open of the new copy would read the old one: it is refused until the old one is closed.
//!
//! A direct open that is mapped leaves pages in the page cache, of bytes that nobody had verified. The first open in
//! another mode therefore lets the kernel drop them.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fuser::{BackingId, Errno, FopenFlags, ReplyOpen};
use parking_lot::Mutex;

use crate::vfs::Opened;

/// The modes of all open inodes.
pub(super) struct IoModes {
    /// False once the kernel has refused passthrough for a reason that will not change.
    passthrough: AtomicBool,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    open: HashMap<u64, Inode>,
    /// Inodes whose pages may hold unverified bytes.
    doubtful: HashSet<u64>,
}

struct Inode {
    handles: usize,
    mode: Mode,
}

#[derive(Clone, Debug)]
enum Mode {
    /// Every read comes to us: a filling file, or one that was filling when another handle was opened.
    Direct,
    /// Reads go through the page cache, which keeps what it has.
    Cached,
    /// The kernel reads the sealed file itself.
    Passthrough(Arc<BackingId>, FileId),
}

/// Which file on the disk it is: device and inode.
type FileId = (u64, u64);

/// How one open is answered.
#[derive(Debug)]
struct Entered {
    mode: Mode,
    /// Whether the pages that the kernel has of this inode are good.
    keep: bool,
}

impl IoModes {
    /// `passthrough`: whether to try it at all.
    pub fn new(passthrough: bool) -> IoModes {
        IoModes {
            passthrough: AtomicBool::new(passthrough),
            table: Mutex::default(),
        }
    }

    /// Answers an open in the inode's mode. False if it had to be refused: the tree's handle is to be closed then.
    pub fn open(&self, inode: u64, opened: Opened, reply: ReplyOpen) -> bool {
        let handle = fuser::FileHandle(opened.handle);
        let file = opened.sealed.as_deref();
        let register = || file.and_then(|sealed| self.register(&sealed.file, &reply));
        let id = file.map(|sealed| sealed.id);
        let Some(Entered { mode, keep }) = self.enter(inode, id, register) else {
            reply.error(Errno::EIO);
            return false;
        };
        match mode {
            Mode::Direct => reply.opened(handle, FopenFlags::FOPEN_DIRECT_IO | noflush()),
            Mode::Cached if keep => reply.opened(handle, FopenFlags::FOPEN_KEEP_CACHE | noflush()),
            Mode::Cached => reply.opened(handle, noflush()),
            Mode::Passthrough(id, _) => reply.opened_passthrough(handle, noflush(), &id),
        }
        true
    }

    /// Counts a release; the last one ends the inode's mode.
    pub fn release(&self, inode: u64) {
        let mut table = self.table.lock();
        if let Some(entry) = table.open.get_mut(&inode) {
            entry.handles -= 1;
            if entry.handles == 0 {
                table.open.remove(&inode);
            }
        }
    }

    /// The kernel has forgotten an inode, and its pages with it.
    pub fn forget(&self, inode: u64) {
        self.table.lock().doubtful.remove(&inode);
    }

    /// Counts an open of `file` (`None`: of a filling one) and says how to answer it; `None` if the kernel would give it the
    /// bytes of another file. `register` makes the backing id of a first sealed open, if it can.
    fn enter(
        &self,
        inode: u64,
        file: Option<FileId>,
        register: impl FnOnce() -> Option<Arc<BackingId>>,
    ) -> Option<Entered> {
        // The lock is held over the registration, which is a short ioctl: two first opens must share one id.
        let mut table = self.table.lock();
        let Table { open, doubtful } = &mut *table;
        let entry = open.entry(inode).or_insert_with(|| Inode {
            handles: 0,
            mode: match file {
                None => Mode::Direct,
                Some(id) => {
                    register().map_or(Mode::Cached, |backing| Mode::Passthrough(backing, id))
                }
            },
        });
        let mode = match &entry.mode {
            // A damaged model is being fetched again: unverified bytes stay out of the page cache.
            Mode::Cached if file.is_none() => Mode::Direct,
            Mode::Passthrough(_, id) if file != Some(*id) => return None,
            mode => mode.clone(),
        };
        entry.handles += 1;
        if matches!(mode, Mode::Direct) {
            doubtful.insert(inode);
            return Some(Entered { mode, keep: false });
        }
        let keep = !doubtful.remove(&inode);
        Some(Entered { mode, keep })
    }

    fn register(&self, file: &File, reply: &ReplyOpen) -> Option<Arc<BackingId>> {
        if !self.passthrough.load(Ordering::Relaxed) {
            return None;
        }
        match reply.open_backing(file) {
            Ok(id) => Some(Arc::new(id)),
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
                None
            }
        }
    }
}

/// Nothing is written, so the kernel need not send FLUSH at close.
fn noflush() -> FopenFlags {
    FopenFlags::FOPEN_NOFLUSH
}

#[cfg(test)]
mod tests {
    use super::*;

    const INODE: u64 = 7;

    fn open(modes: &IoModes, sealed: bool) -> (&'static str, bool) {
        let file = sealed.then_some((1, 2));
        let Entered { mode, keep } = modes.enter(INODE, file, || None).unwrap();
        match mode {
            Mode::Direct => ("direct", keep),
            Mode::Cached => ("cached", keep),
            Mode::Passthrough(..) => ("passthrough", keep),
        }
    }

    #[test]
    fn an_inode_stays_direct_until_its_last_release() {
        let modes = IoModes::new(false);
        assert_eq!(open(&modes, false), ("direct", false));
        assert_eq!(open(&modes, true), ("direct", false), "it may be mapped");
        modes.release(INODE);
        assert_eq!(open(&modes, true), ("direct", false));
        modes.release(INODE);
        modes.release(INODE);
        assert_eq!(
            open(&modes, true),
            ("cached", false),
            "unverified pages are dropped"
        );
        assert_eq!(open(&modes, true), ("cached", true), "once");
        assert_eq!(modes.table.lock().open[&INODE].handles, 2);
    }

    #[test]
    fn what_the_kernel_has_forgotten_is_not_doubted() {
        let modes = IoModes::new(false);
        open(&modes, false);
        modes.release(INODE);
        modes.forget(INODE);
        assert!(modes.table.lock().doubtful.is_empty());
        assert_eq!(open(&modes, true), ("cached", true));
    }

    #[test]
    fn a_file_that_is_fetched_again_is_not_cached() {
        let modes = IoModes::new(false);
        assert_eq!(open(&modes, true), ("cached", true));
        assert_eq!(open(&modes, false), ("direct", false));
        assert_eq!(open(&modes, true), ("cached", false));
        for _ in 0..3 {
            modes.release(INODE);
        }
        assert!(modes.table.lock().open.is_empty());
        modes.release(INODE);
    }
}
