//! Which bytes of a file are present.

use std::ops::Range;

/// A set of byte offsets, kept as sorted ranges that neither touch nor overlap.
///
/// A file that is only appended to is one range, whatever its size; a file filled in any order has one range for each gap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    ranges: Vec<Range<u64>>,
}

impl Presence {
    /// Adds every offset in `range`.
    pub fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        // Those from `first` up to `last` touch or overlap the new one, and become one with it.
        let first = self.ranges.partition_point(|have| have.end < range.start);
        let last = self.ranges.partition_point(|have| have.start <= range.end);
        let start = self
            .ranges
            .get(first)
            .map_or(range.start, |have| have.start.min(range.start));
        let end = match last.checked_sub(1).and_then(|last| self.ranges.get(last)) {
            Some(have) => have.end.max(range.end),
            None => range.end,
        };
        self.ranges.splice(first..last, std::iter::once(start..end));
    }

    /// Whether every offset in `range` is present. An empty range always is.
    pub fn covers(&self, range: Range<u64>) -> bool {
        let at = self.ranges.partition_point(|have| have.end <= range.start);
        range.is_empty()
            || self
                .ranges
                .get(at)
                .is_some_and(|have| have.start <= range.start && range.end <= have.end)
    }

    /// How many bytes are present.
    pub fn bytes(&self) -> u64 {
        self.ranges.iter().map(|have| have.end - have.start).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn appending_stays_one_range() {
        let mut presence = Presence::default();
        for at in 0..1000 {
            presence.insert(at * 10..at * 10 + 10);
        }
        assert_eq!((presence.ranges.len(), presence.bytes()), (1, 10_000));
    }

    #[test]
    fn the_far_end_of_the_number_line() {
        let mut presence = Presence::default();
        presence.insert(u64::MAX - 1..u64::MAX);
        presence.insert(0..1);
        assert!(presence.covers(u64::MAX - 1..u64::MAX) && !presence.covers(0..u64::MAX));
        presence.insert(0..u64::MAX);
        assert_eq!(presence.bytes(), u64::MAX);
    }

    const SIZE: u64 = 64;

    fn range() -> impl Strategy<Value = Range<u64>> {
        (0..SIZE, 0..SIZE).prop_map(|(a, b)| a.min(b)..a.max(b))
    }

    proptest! {
        #[test]
        fn agrees_with_a_bitmap(inserted in proptest::collection::vec(range(), 0..24), asked in range()) {
            let mut presence = Presence::default();
            let mut bitmap = [false; SIZE as usize];
            for range in inserted {
                bitmap[range.start as usize..range.end as usize].fill(true);
                presence.insert(range);
                prop_assert!(presence.ranges.iter().all(|r| !r.is_empty()), "{presence:?}");
                prop_assert!(presence.ranges.windows(2).all(|w| w[0].end < w[1].start), "{presence:?}");
            }
            prop_assert_eq!(presence.bytes(), bitmap.iter().filter(|b| **b).count() as u64);
            let all = bitmap[asked.start as usize..asked.end as usize].iter().all(|b| *b);
            prop_assert_eq!(presence.covers(asked), all);
        }
    }
}
