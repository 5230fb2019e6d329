//! One file of a range filling, as the room sees it: what of it may go, and how it goes.
//!
//! The map first, the disk second. A reader that was between the two compares the count of losses after it has read the
//! disk, and looks again.

use std::io;
use std::ops::Range;
use std::sync::atomic::Ordering;

use crate::os;

use super::super::error::if_there;
use super::super::partial::sparse::Sparse;
use super::fillfile::{Body, FillFile, Map};
use super::segments::Worth;

/// What is given back as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cache) enum Unit {
    /// Part of a file, by its number in [`super::segments::Segments`].
    Segment(u64),
    /// A verified file: it may be being read without us, and goes by its name.
    Whole,
}

impl FillFile {
    /// Tells `offer` what may go.
    pub(in crate::cache) fn offer(&self, now: u64, mut offer: impl FnMut(Worth, Unit, u64)) {
        if self.shared.is_sealed() {
            return;
        }
        let map = self.map.lock();
        if self.verified.load(Ordering::Acquire) && matches!(self.body, Body::Sparse(_)) {
            let bytes = map.present.bytes();
            let is_held = self.given.lock().strong_count() > 0;
            if !is_held && bytes > 0 && !map.is_awaited(&(0..self.size())) {
                offer(Worth::Used(map.segments.last_used()), Unit::Whole, bytes);
            }
            return;
        }
        for (number, range, worth) in map.segments.worth(now, self.size()) {
            let bytes = match &self.body {
                Body::Memory => map.blocks.size_of(number),
                _ => map.present.bytes_in(range.clone()),
            };
            if let Some(worth) = worth
                && bytes > 0
                && !map.is_awaited(&range)
            {
                offer(worth, Unit::Segment(number), bytes);
            }
        }
    }

    /// Gives units back that were offered a moment ago. Returns how many bytes have gone.
    pub(in crate::cache) fn give_back(&self, units: &[Unit]) -> u64 {
        match &self.body {
            Body::Appended(_) => 0,
            Body::Memory => self.give_back_memory(units),
            Body::Sparse(disk) => self.give_back_disk(disk, units).unwrap_or_else(|error| {
                tracing::warn!(file = %self.shown().display(), %error, "cannot give back space");
                0
            }),
        }
    }

    fn give_back_memory(&self, units: &[Unit]) -> u64 {
        let now = self.shared.now();
        let mut map = self.map.lock();
        let numbers = map.still_offered(units, now, self.size());
        let mut freed = 0;
        for (number, range) in numbers {
            self.verified.store(false, Ordering::Release);
            map.segments.lost(number);
            map.present.remove(range);
            freed += map.blocks.remove(number);
        }
        drop(map);
        self.lose(freed);
        freed
    }

    fn give_back_disk(&self, disk: &Sparse, units: &[Unit]) -> io::Result<u64> {
        disk.parts.unsync()?;
        let open = disk.parts.gate.write();
        if !*open {
            return Ok(0);
        }
        if units.contains(&Unit::Whole) {
            return self.give_back_whole(disk);
        }
        let now = self.shared.now();
        let (ranges, freed) = {
            let mut map = self.map.lock();
            // Verified since it was offered, it may be being read without us: no hole may come into it.
            if self.verified.load(Ordering::Acquire) {
                return Ok(0);
            }
            let mut freed = 0;
            let numbers = map.still_offered(units, now, self.size());
            for (number, range) in &numbers {
                map.segments.lost(*number);
                freed += map.present.remove(range.clone());
            }
            (numbers, freed)
        };
        self.lose(freed);
        self.clear_bits(disk, ranges.iter().map(|(_, range)| range))?;
        let file = match disk.open() {
            Ok(file) => file,
            Err(_) => return Ok(freed), // lost, which the next reader or writer finds out
        };
        for (_, range) in ranges {
            if os::sparse::punch(&file, range).is_err() {
                // A file system without holes: the whole file, then.
                return Ok(freed + self.give_back_whole(disk)?);
            }
        }
        Ok(freed)
    }

    /// Takes the file away. Whoever reads it without us reads on.
    fn give_back_whole(&self, disk: &Sparse) -> io::Result<u64> {
        let freed = {
            let mut map = self.map.lock();
            if map.is_awaited(&(0..self.size())) || self.given.lock().strong_count() > 0 {
                return Ok(0);
            }
            self.forget(&mut map, disk)
        };
        self.lose(freed);
        self.clear_bits(disk, std::iter::once(&(0..self.size())))?;
        if_there(disk.remove())?;
        Ok(freed)
    }

    /// Says that somebody has taken the file away, or cut it off: nothing of it is present. Whoever saw that saw it in
    /// `generation`.
    pub(super) fn lost(&self, disk: &Sparse, generation: u64) {
        let freed = {
            let mut map = self.map.lock();
            if disk.generation() != generation {
                return;
            }
            self.forget(&mut map, disk)
        };
        tracing::warn!(file = %self.shown().display(), "somebody has removed a file of the cache, fetching it again");
        self.lose(freed);
        let cleared = disk.parts.unsync();
        let cleared = cleared.and(self.clear_bits(disk, std::iter::once(&(0..self.size()))));
        if let Err(error) = cleared {
            tracing::warn!(file = %self.shown().display(), %error, "cannot note that bytes are lost");
        }
        self.shared.tell_lost();
    }

    /// All of it was taken away.
    pub(super) fn cleared(&self) {
        if let Body::Sparse(disk) = &self.body {
            self.lost(disk, disk.generation());
        }
    }

    fn lose(&self, bytes: u64) {
        if let Some(stake) = &self.shared.stake {
            stake.lose(bytes);
        }
    }

    fn forget(&self, map: &mut Map, disk: &Sparse) -> u64 {
        disk.forget();
        self.verified.store(false, Ordering::Release);
        map.segments.lost_all();
        std::mem::take(&mut map.present).bytes()
    }

    /// Nothing may be given back that the map on disk still has.
    fn clear_bits<'a>(
        &self,
        disk: &Sparse,
        mut ranges: impl Iterator<Item = &'a Range<u64>>,
    ) -> io::Result<()> {
        match ranges.try_for_each(|range| self.save(disk, range, true)) {
            Ok(()) => Ok(()),
            Err(_) => disk.parts.forget_map(),
        }
    }
}

impl Map {
    /// Those of `units` that nobody has come for since they were offered.
    fn still_offered(&self, units: &[Unit], now: u64, size: u64) -> Vec<(u64, Range<u64>)> {
        let numbers = units.iter().filter_map(|unit| match unit {
            Unit::Segment(number) => Some(*number),
            Unit::Whole => None,
        });
        numbers
            .map(|number| (number, self.segments.range(number, size)))
            .filter(|(number, range)| self.segments.may_go(*number, now) && !self.is_awaited(range))
            .collect()
    }
}
