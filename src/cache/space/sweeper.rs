//! Deletes what was evicted, in a thread of its own: whoever evicts only renames.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::super::layout::Layout;
use super::super::trash;

/// What lies in the trash and is still to be deleted by this process.
#[derive(Debug)]
pub(in crate::cache) struct Sweeper {
    layout: Arc<Layout>,
    queue: Mutex<Queue>,
    swept: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    graves: Vec<(PathBuf, u64)>,
    /// The bytes of all of them, and of the one that is being deleted.
    bytes: u64,
    running: bool,
}

impl Sweeper {
    pub(super) fn new(layout: Arc<Layout>) -> Arc<Sweeper> {
        Arc::new(Sweeper {
            layout,
            queue: Mutex::default(),
            swept: Condvar::new(),
        })
    }

    /// The bytes that the disk will have once everything is deleted.
    pub(super) fn bytes(&self) -> u64 {
        self.queue.lock().bytes
    }

    /// Deletes a directory of so many bytes that lies in the trash.
    pub(super) fn push(self: &Arc<Sweeper>, grave: PathBuf, bytes: u64) {
        let mut queue = self.queue.lock();
        queue.graves.push((grave, bytes));
        queue.bytes = queue.bytes.saturating_add(bytes);
        if queue.running {
            return;
        }
        queue.running = true;
        drop(queue);
        let sweeper = self.clone();
        let sweep = move || sweeper.sweep();
        let thread = std::thread::Builder::new().name("cache-trash".to_owned());
        if thread.spawn(sweep).is_err() {
            self.sweep();
        }
    }

    fn sweep(&self) {
        loop {
            let mut queue = self.queue.lock();
            let Some((grave, bytes)) = queue.graves.pop() else {
                queue.running = false;
                self.swept.notify_all();
                return;
            };
            drop(queue);
            trash::delete(&self.layout, grave);
            let mut queue = self.queue.lock();
            queue.bytes = queue.bytes.saturating_sub(bytes);
        }
    }

    /// Waits until everything is deleted. Returns how many bytes that were.
    pub(in crate::cache) fn drain(&self) -> u64 {
        let mut queue = self.queue.lock();
        let bytes = queue.bytes;
        while queue.running {
            self.swept.wait(&mut queue);
        }
        bytes
    }
}
