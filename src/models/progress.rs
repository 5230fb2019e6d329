//! How far a model that is being fetched is, for whoever shows it.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::cache::{Filling, Holder};

/// Of one fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that have come: of the archive, or of the model's files.
    pub bytes: u64,
    /// How many of these there will be, if that is known.
    pub total: Option<u64>,
}

/// The transfer of one archive.
#[derive(Debug)]
pub(super) struct Transfer {
    size: Option<u64>,
    received: AtomicU64,
}

impl Transfer {
    /// Of an archive of this size, if it is known.
    pub(super) fn new(size: Option<u64>) -> Transfer {
        Transfer {
            size,
            received: AtomicU64::new(0),
        }
    }

    pub(super) fn add(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn progress(&self) -> Progress {
        Progress {
            bytes: self.received.load(Ordering::Relaxed),
            total: self.size,
        }
    }
}

impl Progress {
    /// Of what another process fetches only the unpacked bytes are known.
    pub(super) fn of_holder(holder: &Holder) -> Progress {
        Progress {
            bytes: holder.grown,
            total: None,
        }
    }

    /// Of files that come by ranges.
    pub(super) fn of_files(filling: &Filling) -> Progress {
        let files = filling.files();
        Progress {
            bytes: files.iter().map(|file| file.bytes_present()).sum(),
            total: Some(files.iter().map(|file| file.size()).sum()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_counts_what_it_has() {
        let transfer = Transfer::new(Some(10));
        transfer.add(3);
        transfer.add(4);
        let of = |bytes, total| Progress { bytes, total };
        assert_eq!(transfer.progress(), of(7, Some(10)));
        assert_eq!(Transfer::new(None).progress(), of(0, None));
    }
}
