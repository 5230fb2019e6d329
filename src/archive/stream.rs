//! The decompressed stream: one buffer, read in blocks and in pieces, with the bomb check where it grows.

use std::io::BufRead;

use super::decode::Decoder;
use super::error::{Place, Refusal, Result, shown};
use super::format::Format;
use super::header::BLOCK;
use super::limits::{Limits, MAX_PADDING};
use super::sniff;

/// The buffer between decoder and sink. Large enough that calls cost nothing and that inflate's 32 KiB window is
/// copied seldom, small enough to stay in the processor's cache until the sink has read it.
const BUFFER: usize = 256 << 10;

/// The archive's bytes, in order.
pub(super) struct Stream<R: BufRead> {
    decoder: Decoder<R>,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    decoded: u64,
    max_ratio: u64,
    ratio_floor: u64,
    /// The member being read, for the message when the stream ends in it.
    member: Option<Vec<u8>>,
}

impl<R: BufRead> Stream<R> {
    pub(super) fn new(decoder: Decoder<R>, limits: &Limits) -> Stream<R> {
        Stream {
            decoder,
            buffer: vec![0; BUFFER].into_boxed_slice(),
            start: 0,
            end: 0,
            decoded: 0,
            max_ratio: limits.max_ratio,
            ratio_floor: limits.ratio_floor,
            member: None,
        }
    }

    /// Offset of the next byte.
    pub(super) fn at(&self) -> u64 {
        self.decoded - (self.end - self.start) as u64
    }

    /// Bytes that came out of the decoder.
    pub(super) fn decoded(&self) -> u64 {
        self.decoded
    }

    /// Compressed bytes consumed.
    pub(super) fn taken(&self) -> u64 {
        self.decoder.taken()
    }

    pub(super) fn format(&self) -> Format {
        self.decoder.format()
    }

    /// Names the member that is being read from now on.
    pub(super) fn set_member(&mut self, name: Option<&[u8]>) {
        self.member = name.map(<[u8]>::to_vec);
    }

    /// Gets at least one byte into the empty buffer; false at the end.
    fn fill(&mut self) -> Result<bool> {
        self.start = 0;
        self.end = 0;
        let len = self.decoder.read(&mut self.buffer)?;
        self.end = len;
        self.decoded += len as u64;
        let compressed = self.decoder.taken();
        if self.decoded > self.ratio_floor
            && self.decoded > compressed.saturating_mul(self.max_ratio)
        {
            let (decompressed, limit) = (self.decoded, self.max_ratio);
            return Err(Refusal::RatioTooHigh {
                compressed,
                decompressed,
                limit,
            }
            .into());
        }
        Ok(len > 0)
    }

    fn cut_short(&self) -> Refusal {
        Refusal::CutShort {
            at: self.decoded,
            member: self.member.as_deref().map(shown),
        }
    }

    /// What is there of the next `max` bytes (not 0): at least one.
    pub(super) fn take(&mut self, max: u64) -> Result<&[u8]> {
        if self.start == self.end && !self.fill()? {
            return Err(self.cut_short().into());
        }
        let len = usize::try_from(max)
            .unwrap_or(usize::MAX)
            .min(self.end - self.start);
        let start = self.start;
        self.start += len;
        Ok(&self.buffer[start..start + len])
    }

    /// The next block.
    pub(super) fn block(&mut self) -> Result<[u8; BLOCK]> {
        let mut block = [0; BLOCK];
        self.fill_slice(&mut block)?;
        Ok(block)
    }

    fn fill_slice(&mut self, mut rest: &mut [u8]) -> Result<()> {
        while !rest.is_empty() {
            let piece = self.take(rest.len() as u64)?;
            let (head, tail) = rest.split_at_mut(piece.len());
            head.copy_from_slice(piece);
            rest = tail;
        }
        Ok(())
    }

    /// The next `len` bytes, which the caller has bounded.
    pub(super) fn bytes(&mut self, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.fill_slice(&mut bytes)?;
        Ok(bytes)
    }

    /// Skips to the next block boundary of something that was `len` bytes long.
    pub(super) fn pad(&mut self, len: u64) -> Result<()> {
        let mut left = len.wrapping_neg() % BLOCK as u64;
        while left > 0 {
            left -= self.take(left)?.len() as u64;
        }
        Ok(())
    }

    /// Before anything is read: refuses what is no tar archive once it is decompressed.
    pub(super) fn expect_tar(&mut self) -> Result<()> {
        while self.end < BLOCK {
            let len = self.decoder.read(&mut self.buffer[self.end..])?;
            if len == 0 {
                break;
            }
            self.end += len;
            self.decoded += len as u64;
        }
        let head = &self.buffer[..self.end];
        if head.first_chunk::<BLOCK>().is_some_and(sniff::is_tar) {
            return Ok(());
        }
        let looks = sniff::looks(&head[..head.len().min(BLOCK)]);
        Err(Refusal::NotAnArchive {
            looks,
            within: Some(self.format()),
        }
        .into())
    }

    /// Behind the end-of-archive marker: reads on to the end of the input, over zeros, so that every check is made.
    pub(super) fn drain(&mut self) -> Result<()> {
        let from = self.at();
        loop {
            let rest = &self.buffer[self.start..self.end];
            if let Some(junk) = rest.iter().position(|byte| *byte != 0) {
                return Err(Refusal::JunkAfter {
                    place: Place::Archive,
                    at: self.at() + junk as u64,
                }
                .into());
            }
            if !self.fill()? {
                return Ok(());
            }
            if self.decoded - from > MAX_PADDING {
                return Err(Refusal::PaddingTooLong {
                    place: Place::Archive,
                }
                .into());
            }
        }
    }
}
