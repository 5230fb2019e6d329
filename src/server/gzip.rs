//! A gzip writer that does not waste time on what cannot be made smaller.
//!
//! The weights of a model are most of its bytes and hardly compress: at its
//! fastest level deflate takes some 10 s a GiB to save a few per cent. So the
//! stream is cut into blocks, a sample of each is tried, and a block that would
//! save little is stored as it is. The result is one ordinary gzip member
//! (tensorflow_hub reads no more than one), a pure function of the bytes.

use std::io::{self, Write};

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// Large enough that a fresh dictionary for each block costs nothing.
const BLOCK: usize = 1 << 20;

/// What is tried of a block: deflate's window, beyond which it finds nothing new.
const SAMPLE: usize = 32 << 10;

/// The longest stored block that deflate's 16-bit length field can say.
const STORED: usize = 0xffff;

/// No flags, no time, fastest level, unknown system (RFC 1952, 2.3).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];

/// An empty stored block with the mark of the last block.
const LAST: [u8; 5] = [1, 0, 0, 0xff, 0xff];

/// Compresses what is written to it into `W`.
pub struct GzipWriter<W> {
    out: W,
    block: Vec<u8>,
    deflated: Vec<u8>,
    deflate: Compress,
    crc: Crc,
    started: bool,
}

impl<W: Write> GzipWriter<W> {
    /// Writes nothing yet.
    pub fn new(out: W) -> GzipWriter<W> {
        GzipWriter {
            out,
            block: Vec::with_capacity(BLOCK),
            deflated: Vec::new(),
            deflate: Compress::new(Compression::fast(), false),
            crc: Crc::new(),
            started: false,
        }
    }

    /// Writes what is left and the trailer.
    ///
    /// # Errors
    /// Those of the writer below.
    pub fn finish(mut self) -> io::Result<W> {
        self.end_block()?;
        self.out.write_all(&LAST)?;
        self.out.write_all(&self.crc.sum().to_le_bytes())?;
        // The length modulo 2^32, which is how `Crc` counts.
        self.out.write_all(&self.crc.amount().to_le_bytes())?;
        Ok(self.out)
    }

    fn end_block(&mut self) -> io::Result<()> {
        if !self.started {
            self.out.write_all(&HEADER)?;
            self.started = true;
        }
        self.crc.update(&self.block);
        let sample = self.block.len().min(SAMPLE);
        self.try_deflate(sample)?;
        let worth_it = self.deflated.len() <= sample / 8 * 7;
        if worth_it && sample < self.block.len() {
            self.try_deflate(self.block.len())?;
        }
        if worth_it && self.deflated.len() < self.block.len() {
            self.out.write_all(&self.deflated)?;
        } else {
            for piece in self.block.chunks(STORED) {
                // No chunk is longer than the field can say.
                let len = u16::try_from(piece.len()).map_err(io::Error::other)?;
                let [low, high] = len.to_le_bytes();
                self.out.write_all(&[0, low, high, !low, !high])?;
                self.out.write_all(piece)?;
            }
        }
        self.block.clear();
        Ok(())
    }

    /// Deflates the first `len` bytes of the block. They refer to nothing before
    /// them, and the sync flush ends on a whole byte: pieces can be joined.
    fn try_deflate(&mut self, len: usize) -> io::Result<()> {
        let input = &self.block[..len];
        self.deflate.reset();
        self.deflated.clear();
        // Deflate never needs so much more than its input.
        self.deflated.reserve(len + len / 8 + 1024);
        let status = self
            .deflate
            .compress_vec(input, &mut self.deflated, FlushCompress::Sync)?;
        let complete =
            self.deflate.total_in() == len as u64 && self.deflated.len() < self.deflated.capacity();
        match status {
            Status::Ok if complete => Ok(()),
            _ => Err(io::Error::other("deflate did not take a block whole")),
        }
    }
}

impl<W: Write> Write for GzipWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..n]);
        if self.block.len() == BLOCK {
            self.end_block()?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use proptest::prelude::*;

    use super::super::testing::noise;
    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut writer = GzipWriter::new(Vec::new());
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    /// Through another decoder, which reads one member and checks its trailer.
    fn unpacked(archive: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut decoder = GzDecoder::new(archive);
        decoder.read_to_end(&mut bytes).unwrap();
        assert!(
            decoder.into_inner().is_empty(),
            "one member and nothing after it"
        );
        bytes
    }

    #[test]
    fn any_length_comes_back() {
        let noise = noise(BLOCK + 1);
        for len in [
            0,
            1,
            STORED,
            STORED + 1,
            SAMPLE,
            BLOCK - 1,
            BLOCK,
            BLOCK + 1,
            noise.len(),
        ] {
            assert!(
                unpacked(&packed(&noise[..len])) == noise[..len],
                "noise of {len}"
            );
            let text = vec![b'a'; len];
            assert!(unpacked(&packed(&text)) == text, "text of {len}");
        }
    }

    #[test]
    fn text_shrinks_and_noise_does_not_grow() {
        let text = b"a line of a vocabulary\n".repeat(50_000);
        assert!(packed(&text).len() < text.len() / 20);
        let noise = noise(BLOCK + 99);
        assert!(packed(&noise).len() < noise.len() + noise.len() / 10_000 + 64);
        // One does not spoil the other.
        let both = [noise.as_slice(), &text].concat();
        assert!(packed(&both).len() < noise.len() + text.len() / 2);
        assert!(unpacked(&packed(&both)) == both);
    }

    #[test]
    fn how_it_is_cut_into_writes_does_not_show() {
        let bytes = [noise(BLOCK + 5), b"text ".repeat(50_000)].concat();
        let mut writer = GzipWriter::new(Vec::new());
        for piece in bytes.chunks(777) {
            writer.write_all(piece).unwrap();
        }
        assert!(writer.finish().unwrap() == packed(&bytes));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..20_000), repeat in 1usize..5) {
            let bytes = bytes.repeat(repeat);
            prop_assert!(unpacked(&packed(&bytes)) == bytes);
        }
    }
}
