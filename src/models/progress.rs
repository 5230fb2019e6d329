//! How far a model that is being fetched is, for whoever shows it.

use std::sync::atomic::{AtomicU64, Ordering};

use super::model::{Content, Model};

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

    fn progress(&self) -> Progress {
        Progress {
            bytes: self.received.load(Ordering::Relaxed),
            total: self.size,
        }
    }
}

impl Model {
    /// How far the model is that is being fetched. Of what another process fetches only the unpacked bytes are known.
    pub fn progress(&self) -> Option<Progress> {
        let (content, transfer) = self.under_way();
        let Content::Filling(filling) = content? else {
            return None;
        };
        if let Some(transfer) = transfer {
            return Some(transfer.progress());
        }
        let files = filling.files();
        let total = files.iter().map(|file| file.size());
        Some(Progress {
            bytes: match files.is_empty() {
                true => filling.progress().bytes,
                false => files.iter().map(|file| file.bytes_present()).sum(),
            },
            total: (!files.is_empty()).then(|| total.sum()),
        })
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
