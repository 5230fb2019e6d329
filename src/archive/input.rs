//! The compressed input: looked at before it is consumed, counted, its failures marked.

use std::io::{self, BufRead, Read};

/// How much of the input can be looked at: one tar block.
pub(super) const HEAD: usize = 512;

/// A reader that can be looked into, counts what was consumed, and marks its own failures so that they can be told
/// from those of a decoder above it.
pub(super) struct Input<R> {
    inner: R,
    head: [u8; HEAD],
    start: usize,
    end: usize,
    taken: u64,
}

/// A failure of the input on its way up through a decoder.
#[derive(Debug, thiserror::Error)]
#[error("the input failed")]
pub(super) struct InputFailed(#[source] pub(super) io::Error);

fn mark(error: io::Error) -> io::Error {
    io::Error::other(InputFailed(error))
}

impl<R: BufRead> Input<R> {
    pub(super) fn new(inner: R) -> Input<R> {
        Input {
            inner,
            head: [0; HEAD],
            start: 0,
            end: 0,
            taken: 0,
        }
    }

    /// Bytes consumed so far.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// The first `want` bytes (at most [`HEAD`]), fewer only if the input ends. Only before anything is consumed.
    pub(super) fn peek(&mut self, want: usize) -> io::Result<&[u8]> {
        while self.end < want.min(HEAD) {
            let available = fill(&mut self.inner)?;
            let len = available.len().min(want.min(HEAD) - self.end);
            if len == 0 {
                break;
            }
            self.head[self.end..self.end + len].copy_from_slice(&available[..len]);
            self.end += len;
            self.inner.consume(len);
        }
        Ok(&self.head[..self.end])
    }
}

/// `fill_buf` that goes on after a signal and marks a failure.
fn fill<R: BufRead>(inner: &mut R) -> io::Result<&[u8]> {
    loop {
        match inner.fill_buf() {
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(mark(error)),
        }
    }
    // Asked again only because the borrow checker does not let the loop return it; it is buffered by now.
    inner.fill_buf().map_err(mark)
}

impl<R: BufRead> BufRead for Input<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start < self.end {
            return Ok(&self.head[self.start..self.end]);
        }
        fill(&mut self.inner)
    }

    fn consume(&mut self, len: usize) {
        self.taken += len as u64;
        if self.start < self.end {
            self.start += len;
        } else {
            self.inner.consume(len);
        }
    }
}

impl<R: BufRead> Read for Input<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let len = available.len().min(buf.len());
        buf[..len].copy_from_slice(&available[..len]);
        self.consume(len);
        Ok(len)
    }
}
