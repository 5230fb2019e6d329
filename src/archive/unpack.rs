//! The joint: members from the stream, vetted, counted and passed on.

use std::io::BufRead;
use std::time::SystemTime;

use super::decode::Decoder;
use super::error::{Error, Refusal, shown};
use super::format::Format;
use super::limits::Limits;
use super::member::{Member, Members, What};
use super::name::{BadName, Name};
use super::seen::{Kind, Seen};
use super::sparse::Segment;
use super::stream::Stream;

/// Where an unpacked archive goes. Calls come in the order of the archive; nothing is verified before
/// [`unpack`] has returned `Ok`.
pub trait Sink {
    /// What it fails with; the archive is given up at once.
    type Error: std::error::Error + Send + Sync + 'static;

    /// A directory. May come after what is in it, more than once, or not at all: parents are implied.
    ///
    /// # Errors
    /// Whatever keeps it from being made.
    fn dir(&mut self, path: &Name, mtime: SystemTime) -> Result<(), Self::Error>;

    /// A file begins: exactly `size` bytes of data and holes follow, then [`Sink::end`]. A path may come again;
    /// the last one counts.
    ///
    /// # Errors
    /// Whatever keeps it from being made.
    fn file(&mut self, path: &Name, size: u64, mtime: SystemTime) -> Result<(), Self::Error>;

    /// The next bytes of the file, never none.
    ///
    /// # Errors
    /// Whatever keeps them from being kept.
    fn data(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;

    /// The next `len` bytes of the file are zeros; never none.
    ///
    /// # Errors
    /// Whatever keeps them from being kept.
    fn hole(&mut self, len: u64) -> Result<(), Self::Error>;

    /// The file is complete.
    ///
    /// # Errors
    /// Whatever keeps it from being finished.
    fn end(&mut self) -> Result<(), Self::Error>;
}

/// What was in the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// What it was compressed with.
    pub format: Format,
    /// Files passed on, superseded copies included.
    pub files: u64,
    /// Directories passed on.
    pub directories: u64,
    /// Sum of the sizes of all files in bytes, holes and superseded copies included.
    pub size: u64,
    /// Bytes of the archive as it came, all of them consumed.
    pub compressed: u64,
    /// Bytes of the archive once decompressed, headers and padding included.
    pub decompressed: u64,
}

/// Unpacks the archive that `input` holds into `sink`, to the end of the input.
///
/// # Errors
/// [`Error::Input`] if the reader failed, [`Error::Sink`] if the sink did, and otherwise [`Error::Refused`] with
/// one [`Refusal`] for each thing an archive must not be. What the sink got until then is worth nothing.
pub fn unpack<R: BufRead, S: Sink>(
    input: R,
    limits: &Limits,
    sink: &mut S,
) -> Result<Summary, Error<S::Error>> {
    let decoder = Decoder::open(input, limits)?;
    let mut stream = Stream::new(decoder, limits);
    stream.expect_tar()?;
    let mut members = Members::new(limits);
    let mut unpacker = Unpacker {
        limits,
        sink,
        seen: Seen::new(),
        files: 0,
        directories: 0,
        size: 0,
    };
    while let Some(member) = members.next(&mut stream)? {
        unpacker.member(member, &mut stream)?;
    }
    stream.drain()?;
    if unpacker.seen.is_empty() {
        return Err(Refusal::Empty.into());
    }
    Ok(Summary {
        format: stream.format(),
        files: unpacker.files,
        directories: unpacker.directories,
        size: unpacker.size,
        compressed: stream.taken(),
        decompressed: stream.decoded(),
    })
}

struct Unpacker<'a, S> {
    limits: &'a Limits,
    sink: &'a mut S,
    seen: Seen,
    files: u64,
    directories: u64,
    size: u64,
}

impl<S: Sink> Unpacker<'_, S> {
    fn member<R: BufRead>(
        &mut self,
        member: Member,
        stream: &mut Stream<R>,
    ) -> Result<(), Error<S::Error>> {
        let bad = |why| Refusal::BadName {
            name: shown(&member.name),
            why,
        };
        let name = Name::parse(&member.name).map_err(bad)?;
        match (name, member.what) {
            // The root of the model, `./`: it is there already.
            (None, What::Directory) => Ok(()),
            (None, What::File { .. }) => Err(bad(BadName::Root).into()),
            (Some(name), What::Directory) => {
                self.seen.add(&name, Kind::Directory, self.limits)?;
                self.directories += 1;
                self.sink.dir(&name, member.mtime).map_err(Error::Sink)
            }
            (
                Some(name),
                What::File {
                    size,
                    stored,
                    segments,
                },
            ) => {
                self.size = self.admit(&name, size)?;
                self.seen.add(&name, Kind::File, self.limits)?;
                self.files += 1;
                self.sink
                    .file(&name, size, member.mtime)
                    .map_err(Error::Sink)?;
                match segments {
                    None => self.copy(stored, stream)?,
                    Some(segments) => self.scatter(&segments, size, stream)?,
                }
                self.sink.end().map_err(Error::Sink)?;
                Ok(stream.pad(stored)?)
            }
        }
    }

    /// The sum of all sizes with this file, if both are within their limits.
    fn admit(&self, name: &Name, size: u64) -> Result<u64, Refusal> {
        let shown = || shown(name.as_str().as_bytes());
        let Limits {
            max_file,
            max_total,
            ..
        } = *self.limits;
        if size > max_file {
            return Err(Refusal::FileTooLarge {
                name: shown(),
                size,
                limit: max_file,
            });
        }
        match self.size.saturating_add(size) {
            total if total > max_total => Err(Refusal::TotalTooLarge {
                name: shown(),
                total,
                limit: max_total,
            }),
            total => Ok(total),
        }
    }

    fn copy<R: BufRead>(
        &mut self,
        mut left: u64,
        stream: &mut Stream<R>,
    ) -> Result<(), Error<S::Error>> {
        while left > 0 {
            let piece = stream.take(left)?;
            left -= piece.len() as u64;
            self.sink.data(piece).map_err(Error::Sink)?;
        }
        Ok(())
    }

    fn scatter<R: BufRead>(
        &mut self,
        segments: &[Segment],
        size: u64,
        stream: &mut Stream<R>,
    ) -> Result<(), Error<S::Error>> {
        let mut at = 0;
        for &(offset, len) in segments.iter().chain([&(size, 0)]) {
            if offset > at {
                self.sink.hole(offset - at).map_err(Error::Sink)?;
            }
            self.copy(len, stream)?;
            at = offset + len;
        }
        Ok(())
    }
}
