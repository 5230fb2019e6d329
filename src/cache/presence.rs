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
    /// Adds every offset in `range`. Returns how many of them are new.
    pub fn insert(&mut self, range: Range<u64>) -> u64 {
        if range.is_empty() {
            return 0;
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
        let had: u64 = self
            .ranges
            .splice(first..last, std::iter::once(start..end))
            .map(|have| have.end - have.start)
            .sum();
        end - start - had
    }

    /// Takes every offset in `range` away. Returns how many of them were present.
    pub fn remove(&mut self, range: Range<u64>) -> u64 {
        if range.is_empty() {
            return 0;
        }
        let touched = self.touched(&range);
        let (Some(first), Some(last)) = (
            self.ranges.get(touched.start).cloned(),
            touched
                .end
                .checked_sub(1)
                .and_then(|at| self.ranges.get(at))
                .cloned(),
        ) else {
            return 0;
        };
        if touched.is_empty() {
            return 0;
        }
        let kept = [
            first.start..range.start.max(first.start),
            range.end.min(last.end)..last.end,
        ];
        let kept = kept.into_iter().filter(|left| !left.is_empty());
        let before = self.bytes_of(touched.clone());
        let left: u64 = kept.clone().map(|left| left.end - left.start).sum();
        self.ranges.splice(touched, kept);
        before - left
    }

    /// The parts of `range` that are not present, in order.
    pub fn missing(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut missing = Vec::new();
        let mut at = range.start;
        for have in self.ranges.get(self.touched(&range)).unwrap_or_default() {
            if at < have.start {
                missing.push(at..have.start);
            }
            at = have.end;
        }
        if at < range.end {
            missing.push(at..range.end);
        }
        missing
    }

    /// How many bytes of `range` are present.
    pub fn bytes_in(&self, range: Range<u64>) -> u64 {
        let touched = self.ranges.get(self.touched(&range)).unwrap_or_default();
        touched
            .iter()
            .map(|have| have.end.min(range.end) - have.start.max(range.start))
            .sum()
    }

    /// The indices of the ranges that overlap `range`.
    fn touched(&self, range: &Range<u64>) -> Range<usize> {
        let first = self.ranges.partition_point(|have| have.end <= range.start);
        let last = self.ranges.partition_point(|have| have.start < range.end);
        first..last.max(first)
    }

    fn bytes_of(&self, ranges: Range<usize>) -> u64 {
        let ranges = self.ranges.get(ranges).unwrap_or_default();
        ranges.iter().map(|have| have.end - have.start).sum()
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

    /// What is present, in order.
    pub fn ranges(&self) -> impl Iterator<Item = &Range<u64>> {
        self.ranges.iter()
    }

    /// How many bytes are present.
    pub fn bytes(&self) -> u64 {
        self.bytes_of(0..self.ranges.len())
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
        fn agrees_with_a_bitmap(
            changes in proptest::collection::vec((range(), any::<bool>()), 0..24),
            asked in range(),
        ) {
            let mut presence = Presence::default();
            let mut bitmap = [false; SIZE as usize];
            for (range, insert) in changes {
                let bits = &mut bitmap[range.start as usize..range.end as usize];
                let changed = bits.iter().filter(|b| **b != insert).count() as u64;
                bits.fill(insert);
                let told = if insert { presence.insert(range) } else { presence.remove(range) };
                prop_assert_eq!(told, changed);
                prop_assert!(presence.ranges.iter().all(|r| !r.is_empty()), "{presence:?}");
                prop_assert!(presence.ranges.windows(2).all(|w| w[0].end < w[1].start), "{presence:?}");
            }
            prop_assert_eq!(presence.bytes(), bitmap.iter().filter(|b| **b).count() as u64);
            let bits = &bitmap[asked.start as usize..asked.end as usize];
            prop_assert_eq!(presence.covers(asked.clone()), bits.iter().all(|b| *b));
            prop_assert_eq!(presence.bytes_in(asked.clone()), bits.iter().filter(|b| **b).count() as u64);
            let missing = presence.missing(asked.clone());
            prop_assert!(missing.iter().all(|gap| !gap.is_empty()), "{missing:?}");
            let gaps: Vec<u64> = missing.into_iter().flatten().collect();
            let clear: Vec<u64> = asked.filter(|at| !bitmap[*at as usize]).collect();
            prop_assert_eq!(gaps, clear);
        }
    }
}
