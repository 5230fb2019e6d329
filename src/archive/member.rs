//! One member at a time: its header, and the extension headers before it that give it a longer name, another size,
//! a finer time or a sparse map.

use std::io::BufRead;
use std::time::SystemTime;

use super::error::{Refusal, Result};
use super::header::{Kind, Raw, until_nul};
use super::limits::{Limits, MAX_EXTENSION};
use super::pax::Pax;
use super::sparse::{self, Segment};
use super::stream::Stream;

/// A file or a directory, its name not vetted yet.
pub(super) struct Member {
    pub(super) name: Vec<u8>,
    pub(super) mtime: SystemTime,
    pub(super) what: What,
}

pub(super) enum What {
    Directory,
    File {
        /// The size of the unpacked file.
        size: u64,
        /// The bytes that follow in the archive, padded to a block.
        stored: u64,
        /// Where they go, if the file has holes.
        segments: Option<Vec<Segment>>,
    },
}

/// Reads members until the end-of-archive marker.
pub(super) struct Members {
    left: u64,
    max_entries: u64,
    /// The time that a global pax header gave to all members that follow.
    mtime: Option<SystemTime>,
}

/// What the extension headers before a member say about it. Two that say the same thing are refused: which one
/// counts differs between tar readers, and a name is what an attacker would hide in that difference.
#[derive(Default)]
struct Extensions {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    pax: Option<Pax>,
}

fn set<T>(slot: &mut Option<T>, value: T, at: u64) -> Result<(), Refusal> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Refusal::BadHeader {
            at,
            why: "it repeats an extension of the same member",
        }),
    }
}

impl Members {
    pub(super) fn new(limits: &Limits) -> Members {
        Members {
            left: limits.max_entries,
            max_entries: limits.max_entries,
            mtime: None,
        }
    }

    /// The next member, or `None` at the first block of zeros. GNU tar writes two; one is enough, as it is for
    /// Python's tarfile, because whoever reads on finds nothing but zeros or is refused.
    pub(super) fn next<R: BufRead>(&mut self, stream: &mut Stream<R>) -> Result<Option<Member>> {
        let mut extensions = Extensions::default();
        stream.set_member(None);
        loop {
            let at = stream.at();
            let block = stream.block()?;
            if block.iter().all(|byte| *byte == 0) {
                return if extensions.is_empty() {
                    Ok(None)
                } else {
                    Err(Refusal::BadHeader {
                        at,
                        why: "a member must follow its extension header",
                    }
                    .into())
                };
            }
            let raw = Raw::parse(block, at)?;
            match raw.kind {
                Kind::LongName => set(
                    &mut extensions.name,
                    text(&extension(stream, "long name", at, raw.size)?),
                    at,
                )?,
                Kind::LongLink => set(
                    &mut extensions.link,
                    text(&extension(stream, "long link", at, raw.size)?),
                    at,
                )?,
                Kind::Pax => set(&mut extensions.pax, records(stream, at, raw.size)?, at)?,
                Kind::PaxGlobal => {
                    self.count()?;
                    self.global(&records(stream, at, raw.size)?, at)?;
                }
                _ => {
                    self.count()?;
                    return Ok(Some(extensions.apply(raw, self.mtime, at, stream)?));
                }
            }
        }
    }

    fn count(&mut self) -> Result<(), Refusal> {
        self.left = self.left.checked_sub(1).ok_or(Refusal::TooManyEntries {
            limit: self.max_entries,
        })?;
        Ok(())
    }

    fn global(&mut self, pax: &Pax, at: u64) -> Result<(), Refusal> {
        if pax.names_one_member() {
            return Err(Refusal::BadHeader {
                at,
                why: "a global pax header gives every member one name or size",
            });
        }
        self.mtime = pax.mtime.or(self.mtime);
        Ok(())
    }
}

impl Extensions {
    fn is_empty(&self) -> bool {
        self.name.is_none() && self.link.is_none() && self.pax.is_none()
    }

    /// The member that `raw` heads, with what its extensions say.
    fn apply<R: BufRead>(
        mut self,
        raw: Raw,
        global: Option<SystemTime>,
        at: u64,
        stream: &mut Stream<R>,
    ) -> Result<Member> {
        let mut pax = self.pax.take().unwrap_or_default();
        let name = self.name(&mut pax, &raw, at)?;
        stream.set_member(Some(&name));
        let mtime = pax.mtime.or(global).unwrap_or(raw.mtime);
        let mut stored = pax.size.unwrap_or(raw.size);
        let sparse = match raw.kind.of(&name) {
            Kind::File => sparse::pax(&pax.sparse, &name, &mut stored, stream)?,
            Kind::Sparse => Some(sparse::old_gnu(&raw, &name, stored, stream)?),
            // POSIX lets a directory have a size; no data follows.
            Kind::Directory => {
                let what = What::Directory;
                return Ok(Member { name, mtime, what });
            }
            _ => {
                let link = self.link.as_deref().unwrap_or(&raw.link);
                return Err(Raw::refuse(raw.typeflag(), &name, link).into());
            }
        };
        let (size, segments) = match sparse {
            None => (stored, None),
            Some(sparse) => (sparse.size, Some(sparse.segments)),
        };
        let what = What::File {
            size,
            stored,
            segments,
        };
        Ok(Member { name, mtime, what })
    }

    fn name(&mut self, pax: &mut Pax, raw: &Raw, at: u64) -> Result<Vec<u8>, Refusal> {
        if self.name.is_some() && pax.path.is_some() {
            let why = "it has a GNU long name and a pax name";
            return Err(Refusal::BadHeader { at, why });
        }
        // The other names of a pax sparse member stand for programs that do not know the form.
        let given = pax.sparse.name.clone().or(pax.path.take());
        Ok(given
            .or(self.name.take())
            .unwrap_or_else(|| raw.name.clone()))
    }
}

/// The body of an extension header, which is held in memory: bounded before it is allocated.
fn extension<R: BufRead>(
    stream: &mut Stream<R>,
    what: &'static str,
    at: u64,
    size: u64,
) -> Result<Vec<u8>> {
    let len = match usize::try_from(size) {
        Ok(len) if size <= MAX_EXTENSION => len,
        _ => return Err(Refusal::ExtensionTooLong { what, at, size }.into()),
    };
    let body = stream.bytes(len)?;
    stream.pad(size)?;
    Ok(body)
}

fn records<R: BufRead>(stream: &mut Stream<R>, at: u64, size: u64) -> Result<Pax> {
    let body = extension(stream, "pax header", at, size)?;
    Ok(Pax::parse(&body).map_err(|why| Refusal::BadHeader { at, why })?)
}

fn text(body: &[u8]) -> Vec<u8> {
    until_nul(body).to_vec()
}
