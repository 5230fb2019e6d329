//! What a model that is being unpacked takes of the disk.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::budget::Budget;
use super::room::{Full, Room};

/// Its bytes, counted as long as it is neither complete nor gone.
#[derive(Debug)]
pub(in crate::cache) struct Staging {
    room: Arc<Room>,
    dir: String,
    bytes: AtomicU64,
    /// How many of them have been written.
    written: AtomicU64,
}

impl Staging {
    pub(in crate::cache) fn new(room: Arc<Room>, dir: &Path) -> Staging {
        let name = dir.file_name().unwrap_or_default();
        let dir = name.to_string_lossy().into_owned();
        if let Budget::Disk(disk) = room.budget() {
            disk.begin_staging(&dir);
        }
        Staging {
            room,
            dir,
            bytes: AtomicU64::new(0),
            written: AtomicU64::new(0),
        }
    }

    /// Makes room for so many bytes more.
    ///
    /// # Errors
    ///
    /// There is none, and nothing may leave for them.
    pub(in crate::cache) fn grow(&self, bytes: u64) -> Result<(), Full> {
        self.room.stage(bytes)?;
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Says that so many of the bytes that room was made for are on the disk.
    pub(in crate::cache) fn wrote(&self, bytes: u64) {
        if let Budget::Disk(disk) = self.room.budget() {
            self.written.fetch_add(bytes, Ordering::Relaxed);
            disk.record_written(bytes);
        }
    }

    /// Ends the counting: the bytes are a complete model's, or gone. Nothing is written any more.
    pub(in crate::cache) fn end(&self) {
        if let Budget::Disk(disk) = self.room.budget() {
            let bytes = self.bytes.swap(0, Ordering::Relaxed);
            disk.record_written(bytes.saturating_sub(self.written.swap(0, Ordering::Relaxed)));
            disk.end_staging(&self.dir, bytes);
        }
    }
}
