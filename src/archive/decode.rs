//! From compressed input to the bytes of the archive: every stream of it, every checksum, to the end of the input.

use std::io::{self, BufRead, Read};

use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;
use lzma_rust2::XzReader;

use super::error::{Broken, Place, Refusal, Result};
use super::format::Format;
use super::input::{HEAD, Input, InputFailed};
use super::limits::{Limits, MAX_PADDING};
use super::sniff;

/// The xz decoder fills whatever buffer it is given before it returns. A small one keeps a slow origin's bytes from
/// waiting there; LZMA2 itself works in chunks of up to 64 KiB of input.
const XZ_STEP: usize = 32 << 10;

/// Reads the bytes of the archive, whatever it is compressed with. After an error it must not be read again.
pub(super) struct Decoder<R: BufRead> {
    stage: Stage<R>,
    format: Format,
    xz_memory: u64,
}

enum Stage<R: BufRead> {
    Plain(Box<Input<R>>),
    Gzip(Box<GzDecoder<Input<R>>>),
    Bzip2(Box<BzDecoder<Input<R>>>),
    Xz(Box<XzReader<Input<R>>>),
    /// The input has ended; it had this many bytes.
    Ended(u64),
}

impl<R: BufRead> Decoder<R> {
    /// Looks at the first bytes and picks the decoder.
    pub(super) fn open(input: R, limits: &Limits) -> Result<Decoder<R>> {
        let mut input = Input::new(input);
        let head = input
            .peek(sniff::MAGIC)
            .map_err(|error| broken(error, Format::Tar, 0, 0))?;
        let format = match sniff::compression(head) {
            Some(format) => format,
            None => {
                let head = input
                    .peek(HEAD)
                    .map_err(|error| broken(error, Format::Tar, 0, 0))?;
                let tar = <&[u8; HEAD]>::try_from(head).is_ok_and(sniff::is_tar);
                if !tar {
                    return Err(Refusal::NotAnArchive {
                        looks: sniff::looks(head),
                        within: None,
                    }
                    .into());
                }
                Format::Tar
            }
        };
        let xz_memory = limits.max_xz_memory;
        Ok(Decoder {
            stage: Stage::start(format, input, xz_memory),
            format,
            xz_memory,
        })
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// Compressed bytes consumed so far.
    pub(super) fn taken(&self) -> u64 {
        match &self.stage {
            Stage::Plain(input) => input.taken(),
            Stage::Gzip(decoder) => decoder.get_ref().taken(),
            Stage::Bzip2(decoder) => decoder.get_ref().taken(),
            Stage::Xz(decoder) => decoder.inner().taken(),
            Stage::Ended(taken) => *taken,
        }
    }

    /// Some bytes of the archive, as soon as there are any; 0 once the input is at its end and all of it was good.
    pub(super) fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        loop {
            let read = match &mut self.stage {
                Stage::Plain(input) => input.read(buf),
                Stage::Gzip(decoder) => decoder.read(buf),
                Stage::Bzip2(decoder) => decoder.read(buf),
                Stage::Xz(decoder) => {
                    let step = buf.len().min(XZ_STEP);
                    decoder.read(&mut buf[..step])
                }
                Stage::Ended(_) => return Ok(0),
            };
            match read {
                Ok(0) => self.next_stream()?,
                Ok(len) => return Ok(len),
                Err(error) => return Err(self.broken(error)),
            }
        }
    }

    /// One compressed stream has ended: goes to the next one, or to the end of the input, over nothing but zeros.
    fn next_stream(&mut self) -> Result<()> {
        let ended = Stage::Ended(self.taken());
        let mut input = match std::mem::replace(&mut self.stage, ended) {
            Stage::Plain(input) => *input,
            Stage::Gzip(decoder) => decoder.into_inner(),
            Stage::Bzip2(decoder) => decoder.into_inner(),
            Stage::Xz(decoder) => decoder.into_inner(),
            Stage::Ended(_) => return Ok(()),
        };
        let next = skip_zeros(&mut input, self.format)?;
        self.stage = match next {
            None => Stage::Ended(input.taken()),
            Some(first) if Some(first) == first_byte(self.format) => {
                Stage::start(self.format, input, self.xz_memory)
            }
            Some(_) => {
                return Err(Refusal::JunkAfter {
                    place: Place::Compressed,
                    at: input.taken(),
                }
                .into());
            }
        };
        Ok(())
    }

    fn broken(&self, error: io::Error) -> Broken {
        broken(error, self.format, self.taken(), self.xz_memory)
    }
}

impl<R: BufRead> Stage<R> {
    fn start(format: Format, input: Input<R>, xz_memory: u64) -> Stage<R> {
        match format {
            Format::Tar => Stage::Plain(Box::new(input)),
            Format::Gzip => Stage::Gzip(Box::new(GzDecoder::new(input))),
            Format::Bzip2 => Stage::Bzip2(Box::new(BzDecoder::new(input))),
            Format::Xz => {
                // The largest value means "no limit" to the crate.
                let kib = u32::try_from(xz_memory / 1024)
                    .unwrap_or(u32::MAX)
                    .min(u32::MAX - 1);
                Stage::Xz(Box::new(XzReader::new_mem_limit(input, false, kib)))
            }
        }
    }
}

/// The byte with which another stream of the format begins.
fn first_byte(format: Format) -> Option<u8> {
    match format {
        Format::Tar => None,
        Format::Gzip => Some(0x1f),
        Format::Bzip2 => Some(b'B'),
        Format::Xz => Some(0xfd),
    }
}

/// Consumes zeros; the byte that follows them, or `None` at the end of the input.
fn skip_zeros<R: BufRead>(input: &mut Input<R>, format: Format) -> Result<Option<u8>> {
    let start = input.taken();
    loop {
        let available = match input.fill_buf() {
            Ok(available) => available,
            Err(error) => return Err(broken(error, format, start, 0)),
        };
        if available.is_empty() {
            return Ok(None);
        }
        let other = available.iter().position(|byte| *byte != 0);
        let (zeros, byte) = (
            other.unwrap_or(available.len()),
            other.map(|at| available[at]),
        );
        input.consume(zeros);
        if input.taken() - start > MAX_PADDING {
            return Err(Refusal::PaddingTooLong {
                place: Place::Compressed,
            }
            .into());
        }
        if byte.is_some() {
            return Ok(byte);
        }
    }
}

/// Tells a failed input from a damaged stream, and the ways of being damaged from one another.
fn broken(error: io::Error, format: Format, at: u64, xz_memory: u64) -> Broken {
    let error = match error.downcast::<InputFailed>() {
        Ok(InputFailed(original)) => return Broken::Input(original),
        Err(error) => error,
    };
    Broken::Refused(match error.kind() {
        io::ErrorKind::UnexpectedEof => Refusal::Truncated { format, at },
        io::ErrorKind::OutOfMemory if format == Format::Xz => {
            Refusal::XzMemory { limit: xz_memory }
        }
        _ => Refusal::Corrupt {
            format,
            at,
            why: error.to_string(),
        },
    })
}
