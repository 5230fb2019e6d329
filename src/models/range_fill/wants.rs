//! What is wanted of a filling, what is on its way, and what goes next. No I/O and no clock.
//!
//! What somebody waits for (*demand*) goes before what somebody may want (*ahead*). A byte is on its way once, whoever wants it.

use std::collections::VecDeque;
use std::ops::Range;

use super::readers::Readers;
use crate::cache::Presence;

/// What is read is fetched in blocks of so many bytes, aligned: what the disk remembers of a filling too.
pub(super) const BLOCK: u64 = 64 << 10;

/// The largest part that one transfer brings: with 30 ms to the origin and 50 MB/s a connection, three quarters of that
/// rate are used, and sixteen connections together use any link.
const PIECE: u64 = 4 << 20;

/// How many transfers ahead of readers one model has.
const AHEAD: usize = 16;

/// One transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    /// The file's number.
    pub(super) file: usize,
    /// The bytes.
    pub(super) range: Range<u64>,
    /// Whether somebody waits for them.
    pub(super) demanded: bool,
}

/// All that is wanted of one filling.
#[derive(Debug, Default)]
pub(super) struct Wants {
    files: Vec<File>,
    demand: VecDeque<(usize, Range<u64>)>,
    ahead: VecDeque<(usize, Range<u64>)>,
    flying_ahead: usize,
}

#[derive(Debug, Default)]
struct File {
    size: u64,
    readers: Readers,
    /// What transfers are bringing.
    flying: Presence,
    /// What readers wait for.
    waited: Presence,
}

impl Wants {
    /// Of files with these sizes.
    pub(super) fn new(sizes: impl Iterator<Item = u64>) -> Wants {
        let files = sizes.map(|size| File {
            size,
            ..File::default()
        });
        Wants {
            files: files.collect(),
            ..Wants::default()
        }
    }

    /// Somebody waits for `range`.
    pub(super) fn demand(&mut self, number: usize, range: Range<u64>) {
        let Some(file) = self.files.get_mut(number) else {
            return;
        };
        for part in file.waited.missing(blocks(&range, file.size)) {
            file.waited.insert(part.clone());
            self.demand.push_back((number, part));
        }
    }

    /// `range` may be wanted soon.
    pub(super) fn ahead(&mut self, number: usize, range: Range<u64>) {
        let size = self.files.get(number).map_or(0, |file| file.size);
        let range = blocks(&range, size);
        if !range.is_empty() {
            self.ahead.push_back((number, range));
        }
    }

    /// A read of a file; what may follow is wanted, up to `most` bytes of it.
    pub(super) fn follow(&mut self, number: usize, range: &Range<u64>, most: u64) {
        if let Some(file) = self.files.get_mut(number) {
            let ahead = file.readers.read(range, most);
            self.ahead(number, ahead);
        }
    }

    /// A file that will be read from its start, in order.
    pub(super) fn expect(&mut self, number: usize, window: u64) {
        if let Some(file) = self.files.get_mut(number) {
            let ahead = file.readers.expect(0, window);
            self.ahead(number, ahead);
        }
    }

    /// How many readers there are.
    pub(super) fn readers(&self) -> usize {
        self.files.iter().map(|file| file.readers.count()).sum()
    }

    /// The next transfer; it counts as on its way from now on. `missing` tells which parts of a range are not there.
    pub(super) fn next(
        &mut self,
        missing: impl Fn(usize, Range<u64>) -> Vec<Range<u64>>,
    ) -> Option<Job> {
        if let Some((file, range)) = self.pop(true, &missing) {
            return Some(self.launch(file, range, true));
        }
        if self.flying_ahead >= AHEAD {
            return None;
        }
        let (file, range) = self.pop(false, &missing)?;
        self.flying_ahead += 1;
        Some(self.launch(file, range, false))
    }

    /// The first part of what is queued that is neither there nor on its way.
    fn pop(
        &mut self,
        demanded: bool,
        missing: &impl Fn(usize, Range<u64>) -> Vec<Range<u64>>,
    ) -> Option<(usize, Range<u64>)> {
        let queue = match demanded {
            true => &mut self.demand,
            false => &mut self.ahead,
        };
        while let Some((number, range)) = queue.pop_front() {
            let Some(file) = self.files.get_mut(number) else {
                continue;
            };
            // Who waited for it has been told that it does not come.
            if demanded && file.waited.bytes_in(range.clone()) == 0 {
                continue;
            }
            let absent = missing(number, range.clone());
            if demanded {
                // What has come meanwhile is not waited for: it may be given back, and asked for anew.
                file.waited.remove(range.clone());
                for gap in &absent {
                    file.waited.insert(gap.clone());
                }
            }
            let mut gaps = absent
                .iter()
                .flat_map(|gap| file.flying.missing(gap.clone()));
            let Some(gap) = gaps.next() else {
                continue;
            };
            // Present bytes need not end where blocks do; what is fetched does.
            let start = gap.start / BLOCK * BLOCK;
            let end = gap.end.min(start + PIECE);
            if end < range.end {
                queue.push_front((number, end..range.end));
            }
            return Some((number, gap.start..end));
        }
        None
    }

    fn launch(&mut self, file: usize, range: Range<u64>, demanded: bool) -> Job {
        if let Some(file) = self.files.get_mut(file) {
            file.flying.insert(range.clone());
        }
        Job {
            file,
            range,
            demanded,
        }
    }

    /// A transfer has brought what it was to bring. `missing` as for [`Wants::next`]: some of it may not have been kept, or be
    /// gone again, and be `awaited` all the same.
    pub(super) fn landed(
        &mut self,
        job: &Job,
        missing: impl Fn(usize, Range<u64>) -> Vec<Range<u64>>,
        awaited: impl Fn(usize, Range<u64>) -> bool,
    ) {
        self.ended(job);
        let Some(file) = self.files.get_mut(job.file) else {
            return;
        };
        file.waited.remove(job.range.clone());
        for gone in missing(job.file, job.range.clone()) {
            for part in pieces(gone) {
                if awaited(job.file, part.clone()) {
                    file.waited.insert(part.clone());
                    self.demand.push_back((job.file, part));
                }
            }
        }
    }

    /// A transfer has failed. True if somebody waits for it and there shall be no other try: one that was made ahead of
    /// readers is made again for those who wait now.
    pub(super) fn failed(&mut self, job: &Job) -> bool {
        self.ended(job);
        self.ahead.retain(|(file, _)| *file != job.file);
        let Some(file) = self.files.get_mut(job.file) else {
            return false;
        };
        let waited = file.waited.remove(job.range.clone()) > 0;
        if waited && !job.demanded {
            file.waited.insert(job.range.clone());
            self.demand.push_front((job.file, job.range.clone()));
        }
        job.demanded
    }

    fn ended(&mut self, job: &Job) {
        if !job.demanded {
            self.flying_ahead -= 1;
        }
        if let Some(file) = self.files.get_mut(job.file) {
            file.flying.remove(job.range.clone());
        }
    }
}

/// A range, block by block.
fn pieces(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let first = range.start / BLOCK;
    (first..range.end.div_ceil(BLOCK))
        .map(move |block| (block * BLOCK).max(range.start)..((block + 1) * BLOCK).min(range.end))
}

/// The blocks that a range touches, within a file.
fn blocks(range: &Range<u64>, size: u64) -> Range<u64> {
    let start = (range.start / BLOCK * BLOCK).min(size);
    let end = range.end.div_ceil(BLOCK).saturating_mul(BLOCK).min(size);
    start..end.max(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// Nothing is there yet.
    fn all(_: usize, range: Range<u64>) -> Vec<Range<u64>> {
        vec![range]
    }

    fn nobody(_: usize, _: Range<u64>) -> bool {
        false
    }

    fn wants(sizes: &[u64]) -> Wants {
        Wants::new(sizes.iter().copied())
    }

    fn jobs(wants: &mut Wants) -> Vec<(Range<u64>, bool)> {
        std::iter::from_fn(|| wants.next(all))
            .map(|job| (job.range, job.demanded))
            .collect()
    }

    #[test]
    fn a_read_costs_the_blocks_it_touches_once() {
        let mut wants = wants(&[10 * MIB + 5]);
        for _ in 0..64 {
            wants.demand(0, 100_000..104_096);
            wants.demand(0, 10 * MIB..10 * MIB + 5);
        }
        let end = 10 * MIB;
        assert_eq!(
            jobs(&mut wants),
            [(BLOCK..2 * BLOCK, true), (end..end + 5, true)]
        );
        wants.demand(0, 100_000..104_096);
        assert_eq!(jobs(&mut wants), [], "it is on its way");
    }

    #[test]
    fn who_waits_goes_first_and_nothing_goes_twice() {
        let mut wants = wants(&[100 * MIB]);
        wants.ahead(0, 0..20 * MIB);
        wants.demand(0, 5 * MIB..6 * MIB);
        let jobs = jobs(&mut wants);
        assert_eq!(jobs[0], (5 * MIB..6 * MIB, true));
        assert_eq!(jobs[1], (0..4 * MIB, false));
        assert_eq!(jobs[2], (4 * MIB..5 * MIB, false));
        assert_eq!(jobs[3], (6 * MIB..10 * MIB, false));
        let bytes: u64 = jobs.iter().map(|(range, _)| range.end - range.start).sum();
        assert_eq!(bytes, 20 * MIB);
    }

    #[test]
    fn so_many_transfers_run_ahead_and_no_more() {
        let mut wants = wants(&[1 << 30]);
        wants.ahead(0, 0..1 << 30);
        let first = wants.next(all).unwrap();
        assert_eq!(jobs(&mut wants).len(), AHEAD - 1);
        wants.demand(0, 500 * MIB..501 * MIB);
        assert_eq!(
            jobs(&mut wants).len(),
            1,
            "who waits is not held up by them"
        );
        wants.landed(&first, all, nobody);
        assert_eq!(jobs(&mut wants).len(), 1);
    }

    #[test]
    fn what_is_there_is_not_fetched() {
        let mut wants = wants(&[10 * MIB]);
        let mut there = Presence::default();
        there.insert(MIB..3 * MIB);
        wants.demand(0, 0..4 * MIB);
        let missing = |_: usize, range: Range<u64>| there.missing(range);
        let ranges: Vec<_> = std::iter::from_fn(|| wants.next(missing))
            .map(|job| job.range)
            .collect();
        assert_eq!(ranges, [0..MIB, 3 * MIB..4 * MIB]);
    }

    #[test]
    fn what_was_given_back_can_be_demanded_again() {
        let nothing = |_: usize, _: Range<u64>| Vec::new();
        let mut wants = wants(&[MIB]);
        for _ in 0..2 {
            wants.demand(0, 0..BLOCK);
            let job = wants.next(all).unwrap();
            wants.landed(&job, nothing, nobody);
        }
        wants.demand(0, 0..BLOCK);
        let job = wants.next(all).unwrap();
        wants.landed(&job, all, |_, _| true);
        let job = wants.next(all).unwrap();
        assert_eq!(job.range, 0..BLOCK, "it was gone before its reader had it");
        wants.landed(&job, all, nobody);
        assert_eq!(wants.next(all), None, "nobody waits any more");
        wants.demand(0, 0..BLOCK);
        assert_eq!(wants.next(nothing), None, "it came some other way");
        wants.demand(0, 0..BLOCK);
        assert!(wants.next(all).is_some());
    }

    #[test]
    fn what_came_otherwise_is_not_waited_for_any_more() {
        let mut wants = wants(&[MIB]);
        wants.demand(0, 0..BLOCK);
        let front_is_there = |_: usize, range: Range<u64>| vec![range.start.max(1000)..range.end];
        let job = wants.next(front_is_there).unwrap();
        assert_eq!(job.range, 1000..BLOCK);
        wants.landed(&job, |_, _| Vec::new(), nobody);
        wants.demand(0, 0..10);
        assert!(wants.next(all).is_some(), "the front was given back since");
    }

    #[test]
    fn a_failure_ahead_is_tried_again_for_who_waits_and_only_then_final() {
        let mut wants = wants(&[100 * MIB]);
        wants.ahead(0, 0..80 * MIB);
        let unread = wants.next(all).unwrap();
        let waited = wants.next(all).unwrap();
        wants.demand(0, waited.range.start..waited.range.start + 5);
        assert!(!wants.failed(&unread));
        assert!(!wants.failed(&waited));
        let again = wants.next(all).unwrap();
        assert_eq!(
            (again.range.start, again.demanded),
            (waited.range.start, true)
        );
        assert!(wants.failed(&again));
        assert_eq!(
            wants.next(all),
            None,
            "nothing runs ahead of an origin that fails"
        );
    }
}
