//! The units in which the bytes of a range filling are given back, and which of them should go first.

use std::collections::BTreeMap;
use std::ops::Range;

/// Bytes that a reader waited for stay at least so long, if it does not fetch them before. In nanoseconds.
const GRACE: u64 = 2_000_000_000;
/// Bytes that were read ahead and that nobody has come for are like any others after so long.
const STALE: u64 = 10_000_000_000;

/// How willingly a segment is given back. The least goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cache) enum Worth {
    /// Read already, or left lying: the longest unused first.
    Used(u64),
    /// Fetched ahead a moment ago: the latest first, because the earliest are read next.
    Fresh(std::cmp::Reverse<u64>),
}

#[derive(Clone, Copy, Debug, Default)]
struct Segment {
    /// When it was last written or read.
    used: u64,
    /// Whether something of it was read since it was last written.
    read: bool,
    /// A reader waited for bytes that came at this time and has not fetched them yet. 0: none.
    came: u64,
    /// How often bytes of it were taken away: a reader compares before and after it reads the disk.
    losses: u64,
}

/// What is known of the segments of one file. Times are nanoseconds of the room's clock.
#[derive(Debug)]
pub(super) struct Segments {
    unit: u64,
    table: BTreeMap<u64, Segment>,
}

impl Segments {
    pub(super) fn new(unit: u64) -> Segments {
        Segments {
            unit,
            table: BTreeMap::new(),
        }
    }

    /// Says that bytes of `range` have come.
    pub(super) fn fetched(&mut self, range: &Range<u64>, now: u64) {
        for number in self.numbers(range) {
            let segment = self.table.entry(number).or_default();
            segment.used = now;
            segment.read = false;
        }
    }

    /// Says that bytes of `range` were there before this run.
    pub(super) fn found(&mut self, range: &Range<u64>) {
        for number in self.numbers(range) {
            self.table.entry(number).or_default().read = true;
        }
    }

    /// Says that a reader who waited for `range` has been told that it is there.
    pub(super) fn came(&mut self, range: &Range<u64>, now: u64) {
        for number in self.numbers(range) {
            self.table.entry(number).or_default().came = now;
        }
    }

    /// Says that `range` is being read.
    pub(super) fn read(&mut self, range: &Range<u64>, now: u64) {
        let numbers = self.numbers(range);
        for (_, segment) in self.table.range_mut(numbers) {
            segment.used = now;
            segment.read = true;
            segment.came = 0;
        }
    }

    /// Says that bytes of segment `number` are being taken away.
    pub(super) fn lost(&mut self, number: u64) {
        self.table.entry(number).or_default().losses += 1;
    }

    /// Says that every byte is being taken away.
    pub(super) fn lost_all(&mut self) {
        for segment in self.table.values_mut() {
            segment.losses += 1;
        }
    }

    /// A number that changes whenever bytes of `range` are taken away.
    pub(super) fn losses(&self, range: &Range<u64>) -> u64 {
        let segments = self.table.range(self.numbers(range));
        segments.map(|(_, segment)| segment.losses).sum()
    }

    /// Every segment that ever held bytes, its range, and how willingly it is given back; `None`: not now.
    pub(super) fn worth(
        &self,
        now: u64,
        size: u64,
    ) -> impl Iterator<Item = (u64, Range<u64>, Option<Worth>)> {
        self.table.iter().map(move |(number, segment)| {
            let range = self.range(*number, size);
            (*number, range, segment.worth(now))
        })
    }

    /// Whether nobody has come for bytes that he waited for, in this segment.
    pub(super) fn may_go(&self, number: u64, now: u64) -> bool {
        let segment = self.table.get(&number);
        segment.is_some_and(|segment| segment.worth(now).is_some())
    }

    /// When a byte was last written or read.
    pub(super) fn last_used(&self) -> u64 {
        let used = self.table.values().map(|segment| segment.used);
        used.max().unwrap_or(0)
    }

    pub(super) fn range(&self, number: u64, size: u64) -> Range<u64> {
        let start = number.saturating_mul(self.unit);
        start.min(size)..start.saturating_add(self.unit).min(size)
    }

    fn numbers(&self, range: &Range<u64>) -> Range<u64> {
        let end = if range.is_empty() {
            range.start / self.unit
        } else {
            (range.end - 1) / self.unit + 1
        };
        range.start / self.unit..end
    }
}

impl Segment {
    fn worth(&self, now: u64) -> Option<Worth> {
        let since = |then: u64| now.saturating_sub(then);
        if self.came != 0 && since(self.came) < GRACE {
            return None;
        }
        Some(if self.read || since(self.used) > STALE {
            Worth::Used(self.used)
        } else {
            Worth::Fresh(std::cmp::Reverse(self.used))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(segments: &Segments, now: u64) -> Vec<u64> {
        let mut all: Vec<_> = segments
            .worth(now, u64::MAX)
            .filter_map(|(number, _, worth)| Some((worth?, number)))
            .collect();
        all.sort();
        all.into_iter().map(|(_, number)| number).collect()
    }

    #[test]
    fn what_was_read_long_ago_goes_before_what_was_just_fetched() {
        let mut segments = Segments::new(10);
        for number in 0..5 {
            segments.fetched(&(number * 10..number * 10 + 10), 100 + number);
        }
        segments.read(&(10..20), 200);
        segments.read(&(0..10), 300);
        assert_eq!(order(&segments, 400), [1, 0, 4, 3, 2]);
        assert_eq!(order(&segments, 400 + STALE), [2, 3, 4, 1, 0]);
        segments.came(&(25..26), 400);
        assert_eq!(order(&segments, 401), [1, 0, 4, 3]);
        segments.read(&(25..26), 402);
        assert_eq!(order(&segments, 403), [1, 0, 2, 4, 3]);
    }

    #[test]
    fn a_loss_is_seen_by_those_who_read_there() {
        let mut segments = Segments::new(10);
        segments.fetched(&(0..30), 1);
        let (low, high) = (segments.losses(&(0..11)), segments.losses(&(20..30)));
        segments.lost(1);
        assert_ne!(segments.losses(&(0..11)), low);
        assert_eq!(segments.losses(&(20..30)), high);
        segments.lost_all();
        assert_ne!(segments.losses(&(20..30)), high);
    }
}
