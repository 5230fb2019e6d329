//! One file of a range filling, as its filler sees it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::checksum::{Hashes, Verifier};

use super::super::error::{Context, Error};
use super::super::partial::bitmap;
use super::super::partial::sparse::{Sparse, is_lost};
use super::fillfile::{Body, FillFile, Map, ReadAt};
use super::waiting::Woken;

/// How often the file may be taken away while the same bytes are written.
const MOST_LOSSES: u32 = 4;

/// How much is read at once to be verified.
const PIECE: usize = 1 << 20;

impl FillFile {
    /// Puts `bytes` at `offset`. Readers see them when they are on the disk, never before. What was there already stays.
    ///
    /// `false`: they were not kept, because nobody waits for them and there is no room. May take as long as the disk needs.
    ///
    /// # Errors
    ///
    /// The disk is full, even after whatever may go was given back, or failed; more bytes than announced; the filling has
    /// failed.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<bool, Error> {
        let end = offset.checked_add(bytes.len() as u64);
        let Some(range) = end.filter(|end| *end <= self.size()).map(|end| offset..end) else {
            return Err(Error::TooLong {
                name: self.path().to_owned(),
                size: self.size(),
            });
        };
        let Some(stake) = &self.shared.stake else {
            return Err(self.error("write", io::ErrorKind::Unsupported.into()));
        };
        let (mut tries, mut losses) = (0, 0);
        loop {
            if let Some(ReadAt::Failed(why)) = self.bad() {
                return Err(Error::Failed(why));
            }
            let Some((cost, awaited)) = self.cost(&range) else {
                return Ok(true);
            };
            if !stake.admit(cost, awaited) {
                return Ok(false);
            }
            let put = match &self.body {
                Body::Memory => Ok(Some(self.put_in_memory(&range, bytes))),
                Body::Sparse(disk) => self.put_on_disk(disk, &range, bytes, losses),
                Body::Appended(_) => Ok(Some(0)),
            };
            stake.settle(cost, put.as_ref().map_or(0, |written| written.unwrap_or(0)));
            match put {
                Ok(Some(_)) => return Ok(true),
                Ok(None) => losses += 1, // the file was taken away meanwhile
                Err(error) if self.shared.has_spared(&error, &mut tries) => {}
                Err(Error::NoSpace { .. }) if !awaited => {
                    stake.refuse();
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The parts of `range` (clamped to the file) that are not present, in order.
    pub fn missing(&self, range: Range<u64>) -> Vec<Range<u64>> {
        self.map.lock().present.missing(self.clamp(range))
    }

    /// Whether all of `range` (clamped to the file) is present. Tells the filler nothing.
    #[cfg(test)]
    pub fn present(&self, range: Range<u64>) -> bool {
        self.map.lock().present.covers(self.clamp(range))
    }

    /// Whether somebody waits for a byte of `range`.
    pub fn is_awaited(&self, range: Range<u64>) -> bool {
        self.map.lock().is_awaited(&range)
    }

    /// The whole file, open for reading, once all of it is on disk and was verified: it may be read without us. No byte of
    /// it changes any more, whatever becomes of its name.
    pub fn complete(&self) -> Option<Arc<File>> {
        let Body::Sparse(disk) = &self.body else {
            return None;
        };
        if self.bad().is_some() || !self.verified.load(Ordering::Acquire) {
            return None;
        }
        let earlier = self.given.lock().upgrade();
        let file = match earlier {
            Some(file) => file,
            None => Arc::new(disk.open_read().ok()?),
        };
        *self.given.lock() = Arc::downgrade(&file);
        let mut map = self.map.lock();
        map.segments.read(&(0..self.size()), self.shared.now());
        // Given back just now, it is another file's name.
        (self.verified.load(Ordering::Acquire) && map.present.covers(0..self.size()))
            .then_some(file)
    }

    /// Compares all of the file with its checksum, and says so if they agree.
    ///
    /// # Errors
    ///
    /// Bytes are missing; they are not the announced ones ([`Error::Mismatch`]); the disk failed.
    pub fn verify(&self) -> Result<(), Error> {
        if self.verified.load(Ordering::Acquire) && self.is_complete() {
            return Ok(());
        }
        let losses = self.map.lock().segments.losses(&(0..self.size()));
        let mut check = Verifier::new(*self.hashes.lock());
        let mut buf = vec![0; PIECE.min(usize::try_from(self.size()).unwrap_or(PIECE))];
        let mut at = 0;
        while at < self.size() {
            let range = self.clamp(at..at + PIECE as u64);
            let len = usize::try_from(range.end - range.start).unwrap_or(0);
            let piece = buf.get_mut(..len).unwrap_or_default();
            match self.read(&range, piece, false) {
                ReadAt::Ready(_) => check.update(piece),
                ReadAt::NotYet => return Err(self.too_short()),
                ReadAt::Failed(why) => return Err(Error::Failed(why)),
                ReadAt::Replaced => return Err(Error::Abandoned),
                ReadAt::Io(error) => return Err(self.error("read", error)),
            }
            at = range.end;
        }
        let crc32c = check.crc32c();
        check.finish().map_err(|mismatch| Error::Mismatch {
            name: self.path().to_owned(),
            what: mismatch.what,
            announced: mismatch.announced,
            found: mismatch.found,
        })?;
        let map = self.map.lock();
        if !map.present.covers(0..self.size()) || map.segments.losses(&(0..self.size())) != losses {
            drop(map);
            return Err(self.too_short());
        }
        *self.crc32c.lock() = Some(crc32c);
        // With the map still locked: whatever goes from now on goes from a verified file.
        self.verified.store(true, Ordering::Release);
        Ok(())
    }

    /// Tells checksums that its listing did not, so that it is verified by them from now on.
    pub fn told(&self, hashes: Hashes) {
        let mut known = self.hashes.lock();
        if known.is_empty() && !hashes.is_empty() {
            *known = hashes;
            let _map = self.map.lock();
            self.verified.store(false, Ordering::Release);
        }
    }

    pub(super) fn too_short(&self) -> Error {
        Error::TooShort {
            name: self.path().to_owned(),
            size: self.size(),
            got: self.bytes_present(),
        }
    }

    fn error(&self, what: &'static str, error: io::Error) -> Error {
        Error::io(what, self.shown(), error)
    }

    /// What writing `range` would take, and whether somebody waits for it; `None` if all of it is there.
    fn cost(&self, range: &Range<u64>) -> Option<(u64, bool)> {
        let map = self.map.lock();
        if map.present.covers(range.clone()) {
            return None;
        }
        let cost = match &self.body {
            Body::Memory => map.blocks.cost(range, self.size()),
            _ => range.end - range.start - map.present.bytes_in(range.clone()),
        };
        Some((cost, map.is_awaited(range)))
    }

    fn put_in_memory(&self, range: &Range<u64>, bytes: &[u8]) -> u64 {
        let mut woken = Woken::default();
        let written = {
            let mut map = self.map.lock();
            let written = map.blocks.cost(range, self.size());
            map.blocks.write(range.start, bytes, self.size());
            map.arrive(range, self.shared.now(), &mut woken);
            written
        };
        self.shared.grow(range.end - range.start);
        woken.wake();
        written
    }

    /// How many bytes are new; `None` if the file was lost meanwhile, and the bytes with it, which has happened `losses` times
    /// to the same bytes.
    fn put_on_disk(
        &self,
        disk: &Sparse,
        range: &Range<u64>,
        bytes: &[u8],
        losses: u32,
    ) -> Result<Option<u64>, Error> {
        let gate = disk.parts.gate.read();
        if !*gate {
            return Err(Error::Abandoned);
        }
        let generation = disk.generation();
        let file = match disk.open_or_make() {
            Ok(file) => file,
            Err(error) if is_lost(&error) && losses < MOST_LOSSES => {
                self.lost(disk, generation);
                // Perhaps the directory is gone that it would be made in, or something else has come there.
                disk.parts.restore(losses + 1 == MOST_LOSSES)?;
                return Ok(None);
            }
            Err(error) => return Err(self.error("create", error)),
        };
        for gap in self.missing(range.clone()) {
            let within = |at: u64| usize::try_from(at - range.start).unwrap_or(usize::MAX);
            let piece = bytes
                .get(within(gap.start)..within(gap.end))
                .unwrap_or_default();
            file.write_all_at(piece, gap.start)
                .context("write", self.shown())?;
        }
        let mut woken = Woken::default();
        let written = {
            let mut map = self.map.lock();
            if disk.generation() != generation {
                return Ok(None);
            }
            map.arrive(range, self.shared.now(), &mut woken)
        };
        self.shared.grow(range.end - range.start);
        woken.wake();
        if let Err(error) = self.save(disk, range, false) {
            // It will be fetched again after a restart, that is all.
            tracing::debug!(file = self.path(), %error, "cannot note what has come");
        }
        Ok(Some(written))
    }

    /// Writes the bits of the blocks that `range` touches. `cleared`: they may all be 0.
    pub(super) fn save(&self, disk: &Sparse, range: &Range<u64>, cleared: bool) -> io::Result<()> {
        let bytes = bitmap::under(range);
        let _one = disk.saving.lock();
        let bits = bitmap::pack(&self.map.lock().present, self.size(), bytes.clone());
        if !cleared && bits.iter().all(|bits| *bits == 0) {
            return Ok(());
        }
        disk.parts.save(disk.bits + bytes.start, &bits)
    }
}

impl Map {
    /// Adds bytes that have come. Returns how many are new.
    fn arrive(&mut self, range: &Range<u64>, now: u64, woken: &mut Woken) -> u64 {
        let Map {
            present,
            waiters,
            segments,
            ..
        } = self;
        let new = present.insert(range.clone());
        segments.fetched(range, now);
        waiters.take_met(woken, |want| {
            let met = present.covers(want.clone());
            if met {
                segments.came(want, now);
            }
            met
        });
        new
    }

    pub(super) fn is_awaited(&self, range: &Range<u64>) -> bool {
        self.waiters
            .any(|want| want.start < range.end && range.start < want.end)
    }
}
