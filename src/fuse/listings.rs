//! Open directories: the listing that each reader is being told, so that it does not change under them.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::vfs::DirEntry;

/// The table of open directories.
#[derive(Default)]
pub(super) struct Listings {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    next: u64,
    open: HashMap<u64, Option<Arc<Vec<DirEntry>>>>,
}

impl Listings {
    /// Opens a directory; nothing is listed before it is read.
    pub fn open(&self) -> u64 {
        let mut table = self.table.lock();
        table.next += 1;
        let handle = table.next;
        table.open.insert(handle, None);
        handle
    }

    /// The listing that this reader has been told so far.
    pub fn get(&self, handle: u64) -> Option<Arc<Vec<DirEntry>>> {
        self.table.lock().open.get(&handle).cloned().flatten()
    }

    /// Keeps a listing for this reader's further calls.
    pub fn keep(&self, handle: u64, entries: Vec<DirEntry>) -> Arc<Vec<DirEntry>> {
        let entries = Arc::new(entries);
        if let Some(open) = self.table.lock().open.get_mut(&handle) {
            *open = Some(entries.clone());
        }
        entries
    }

    /// Closes a directory.
    pub fn close(&self, handle: u64) {
        self.table.lock().open.remove(&handle);
    }
}
