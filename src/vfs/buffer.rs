//! The bytes of an answer, in memory that is used again: a reader of a large file asks for a megabyte a thousand times a
//! second, and fresh memory would have to be cleared for each.

use std::ops::{Deref, DerefMut};

use parking_lot::Mutex;

/// How many buffers wait for their next use, each of at most a request's size (a megabyte).
const SPARE: usize = 8;

static WAITING: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// Bytes read for one request.
#[derive(Debug)]
pub struct Buffer {
    memory: Vec<u8>,
    len: usize,
}

impl Buffer {
    /// `len` bytes of any value.
    pub(super) fn of(len: usize) -> Buffer {
        let mut memory = WAITING.lock().pop().unwrap_or_default();
        if memory.len() < len {
            memory.resize(len, 0);
        }
        Buffer { memory, len }
    }

    /// Keeps the first `len` bytes.
    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // `len` is at most the length of the memory, which never shrinks.
        self.memory.get(..self.len).unwrap_or_default()
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.memory.get_mut(..self.len).unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.memory);
        let mut waiting = WAITING.lock();
        if waiting.len() < SPARE {
            waiting.push(memory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_as_long_as_it_was_asked_for() {
        for len in [0, 5, 1 << 20, 3] {
            let mut buffer = Buffer::of(len);
            assert_eq!(buffer.len(), len);
            buffer.fill(7);
            assert!(buffer.iter().all(|byte| *byte == 7));
        }
        let mut buffer = Buffer::of(9);
        buffer.truncate(4);
        assert_eq!(buffer.len(), 4);
        buffer.truncate(6);
        assert_eq!(buffer.len(), 4, "what was cut off does not come back");
    }
}
