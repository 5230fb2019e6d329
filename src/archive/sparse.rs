//! Sparse members: the four ways tar has of saying where the data of a file lies, read into one checked map.

use std::io::BufRead;

use tar::{GnuExtSparseHeader, GnuSparseHeader, Header};

use super::error::{Refusal, Result, shown};
use super::header::{BLOCK, Raw, size, until_nul};
use super::limits::MAX_SEGMENTS;
use super::pax::{PaxSparse, decimal};
use super::stream::Stream;

/// Offset and length of one piece of data; what lies between two is a hole.
pub(super) type Segment = (u64, u64);

/// Where the stored bytes of a file go. Segments ascend, do not overlap, end within `size` and hold exactly the
/// bytes that are stored.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sparse {
    pub(super) size: u64,
    pub(super) segments: Vec<Segment>,
}

/// A map in the making.
struct Map<'a> {
    name: &'a [u8],
    segments: Vec<Segment>,
}

impl<'a> Map<'a> {
    fn new(name: &'a [u8]) -> Map<'a> {
        Map {
            name,
            segments: Vec::new(),
        }
    }

    fn bad(&self, why: &'static str) -> Refusal {
        Refusal::BadSparseMap {
            name: shown(self.name),
            why,
        }
    }

    fn push(&mut self, offset: u64, len: u64) -> Result<(), Refusal> {
        if self.segments.len() >= MAX_SEGMENTS {
            return Err(Refusal::SparseMapTooLong {
                name: shown(self.name),
            });
        }
        self.segments.push((offset, len));
        Ok(())
    }

    fn finish(self, size: u64, stored: u64) -> Result<Sparse, Refusal> {
        let (mut end, mut sum) = (0u64, 0u64);
        for &(offset, len) in &self.segments {
            if offset < end {
                return Err(self.bad("its segments overlap"));
            }
            end = offset
                .checked_add(len)
                .filter(|end| *end <= size)
                .ok_or(self.bad("a segment ends behind the file"))?;
            // Cannot overflow: the segments lie within `size`, one behind the other.
            sum += len;
        }
        if sum != stored {
            return Err(self.bad("it does not fit the bytes that are stored"));
        }
        Ok(Sparse {
            size,
            segments: self.segments,
        })
    }
}

/// The old GNU form: four segments in the header, more in blocks of twenty-one behind it, as long as each says so.
pub(super) fn old_gnu<R: BufRead>(
    raw: &Raw,
    name: &[u8],
    stored: u64,
    stream: &mut Stream<R>,
) -> Result<Sparse> {
    let mut map = Map::new(name);
    let header = Header::from_byte_slice(&raw.block);
    let gnu = header
        .as_gnu()
        .ok_or_else(|| map.bad("the header is not a GNU header"))?;
    let real_size =
        size(&gnu.realsize).ok_or_else(|| map.bad("the size of the file is not a number"))?;
    push_all(&mut map, &gnu.sparse)?;
    let mut more = gnu.isextended[0] != 0;
    while more {
        let mut extension = GnuExtSparseHeader::new();
        extension.as_mut_bytes().copy_from_slice(&stream.block()?);
        push_all(&mut map, &extension.sparse)?;
        more = extension.isextended[0] != 0;
    }
    Ok(map.finish(real_size, stored)?)
}

/// Unused slots are empty; a segment of no bytes at the end of the file marks a trailing hole.
fn push_all(map: &mut Map<'_>, slots: &[GnuSparseHeader]) -> Result<(), Refusal> {
    for slot in slots
        .iter()
        .filter(|slot| !until_nul(&slot.numbytes).is_empty() || slot.numbytes[0] & 0x80 != 0)
    {
        let (Some(offset), Some(len)) = (size(&slot.offset), size(&slot.numbytes)) else {
            return Err(map.bad("it is not made of numbers"));
        };
        map.push(offset, len)?;
    }
    Ok(())
}

/// The pax forms; `None` if the records say nothing about sparseness. `stored` counts the bytes behind the header
/// and is reduced by the map of form 1.0, which is read from the stream.
pub(super) fn pax<R: BufRead>(
    records: &PaxSparse,
    name: &[u8],
    stored: &mut u64,
    stream: &mut Stream<R>,
) -> Result<Option<Sparse>> {
    if *records == PaxSparse::default() {
        return Ok(None);
    }
    let mut map = Map::new(name);
    let real_size = records
        .real_size
        .ok_or_else(|| map.bad("the size of the file is missing"))?;
    match (records.major, records.minor, &records.map) {
        (None | Some(0), _, Some(numbers)) => {
            let (pairs, rest) = numbers.as_chunks::<2>();
            if !rest.is_empty() {
                return Err(map.bad("a length is missing").into());
            }
            for &[offset, len] in pairs {
                map.push(offset, len)?;
            }
        }
        (None | Some(0), _, None) => {
            if records.offsets.len() != records.lengths.len() {
                return Err(map.bad("a length is missing").into());
            }
            for (&offset, &len) in records.offsets.iter().zip(&records.lengths) {
                map.push(offset, len)?;
            }
        }
        (Some(1), Some(0), None) => *stored = read_map(&mut map, *stored, stream)?,
        _ => return Err(map.bad("its version is unknown").into()),
    }
    Ok(Some(map.finish(real_size, *stored)?))
}

/// Form 1.0: decimal numbers, each on a line of its own, in blocks before the data: how many segments, then
/// offset and length of each. Returns how many of the `stored` bytes are left.
fn read_map<R: BufRead>(map: &mut Map<'_>, mut stored: u64, stream: &mut Stream<R>) -> Result<u64> {
    let (mut number, mut numbers): (Vec<u8>, Vec<u64>) = (Vec::new(), Vec::new());
    let mut wanted = None;
    while wanted.is_none_or(|wanted| numbers.len() < wanted) {
        stored = stored
            .checked_sub(BLOCK as u64)
            .ok_or_else(|| map.bad("it is longer than the member"))?;
        for byte in stream.block()? {
            if wanted.is_some_and(|wanted| numbers.len() >= wanted) {
                break;
            }
            if byte != b'\n' {
                number.push(byte);
                continue;
            }
            let value = decimal(&number).ok_or_else(|| map.bad("it is not made of numbers"))?;
            number.clear();
            match wanted {
                Some(_) => numbers.push(value),
                None if value > MAX_SEGMENTS as u64 => {
                    return Err(Refusal::SparseMapTooLong {
                        name: shown(map.name),
                    }
                    .into());
                }
                // Bounded above, so the conversion holds and the product does not overflow.
                None => wanted = Some(value as usize * 2),
            }
        }
        if number.len() > BLOCK {
            return Err(map.bad("it is not made of numbers").into());
        }
    }
    for &[offset, len] in numbers.as_chunks::<2>().0 {
        map.push(offset, len)?;
    }
    Ok(stored)
}
