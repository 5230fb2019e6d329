//! What a follower has taken in of a journal, and what has come since.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::journal::Event;

/// More than this is not searched between two looks.
const MAX_UNHEARD: u64 = 16 << 20;

/// A journal, and how much of it has been taken in.
#[derive(Debug)]
pub(super) struct Heard {
    file: File,
    upto: AtomicU64,
}

impl Heard {
    pub(super) fn new(file: File) -> Heard {
        Heard {
            file,
            upto: AtomicU64::new(0),
        }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Says that so many bytes have been taken in, with all that follows from them.
    pub(super) fn is_heard(&self, upto: u64) {
        self.upto.store(upto, Ordering::Release);
    }

    /// Whether its filler could not write on, and has cut it off to say so.
    pub(super) fn is_broken(&self) -> bool {
        let upto = self.upto.load(Ordering::Acquire);
        self.file.metadata().map_or(true, |meta| meta.len() < upto)
    }

    /// Whether a file of this name may have been removed, as far as has not been taken in. To be asked after it was opened, or
    /// measured, by its name.
    pub(super) fn is_gone(&self, path: &str) -> bool {
        let upto = self.upto.load(Ordering::Acquire);
        let Ok(meta) = self.file.metadata() else {
            return true;
        };
        match meta.len().checked_sub(upto) {
            Some(0) => false,
            Some(unheard) if unheard <= MAX_UNHEARD => self.says_gone(upto, unheard, path),
            _ => true,
        }
    }

    fn says_gone(&self, from: u64, len: u64, path: &str) -> bool {
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        if self.file.read_exact_at(&mut bytes, from).is_err() {
            return true;
        }
        let lines = bytes.split_inclusive(|byte| *byte == b'\n');
        let mut whole = lines.filter_map(|line| line.strip_suffix(b"\n"));
        whole.any(|line| match serde_json::from_slice(line) {
            Ok(Event::Gone { path: gone }) => gone == path,
            Ok(_) => false,
            Err(_) => true,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_is_gone_is_seen_before_it_is_taken_in() {
        let mut file = tempfile::tempfile().unwrap();
        let heard = Heard::new(file.try_clone().unwrap());
        file.write_all(b"\"named\"\n").unwrap();
        assert!(!heard.is_gone("a") && !heard.is_broken());
        heard.is_heard(8);
        file.write_all(b"\"sealing\"\n{\"gone\":{\"path\":\"a\"}}")
            .unwrap();
        assert!(!heard.is_gone("a"), "no line yet, and so not removed yet");
        file.write_all(b"\n").unwrap();
        assert!(heard.is_gone("a") && !heard.is_gone("b"));
        heard.is_heard(file.metadata().unwrap().len());
        assert!(!heard.is_gone("a"));
        file.write_all(b"garbage\n").unwrap();
        assert!(heard.is_gone("b"), "who knows");
        file.set_len(0).unwrap();
        assert!(heard.is_gone("b") && heard.is_broken());
    }
}
