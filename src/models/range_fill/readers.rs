//! Who reads a file where, and how far ahead of each it should be fetched.
//!
//! A read that goes on where another ended belongs to the same reader, whose window doubles as it advances. A read anywhere
//! else is a new reader, who gets nothing ahead until it has gone on: random reads cost what they touch.

use std::collections::VecDeque;
use std::ops::Range;

/// The window of a reader who has begun to read in order.
const FIRST: u64 = 1 << 20;

/// How far from where a reader should go on a read may be and still be its own: the kernel sends the parts of one large
/// read at once, in any order.
const NEAR: u64 = 2 << 20;

/// A read shorter than this is whole: it belongs to a reader only if it goes on where that one is, to within as much.
const WHOLE: u64 = 64 << 10;

/// How many readers of one file are told apart.
const KEPT: usize = 64;

/// The readers of one file, the latest last.
#[derive(Debug, Default)]
pub(super) struct Readers {
    table: VecDeque<Reader>,
}

#[derive(Debug, Clone, Copy)]
struct Reader {
    /// Where it should go on.
    next: u64,
    /// How far ahead of it the file is wanted.
    window: u64,
    /// Up to where it has been asked for.
    asked: u64,
}

impl Readers {
    /// Notes a read, and says what is wanted ahead of it. `most` bounds the window; 0 wants nothing.
    pub(super) fn read(&mut self, range: &Range<u64>, most: u64) -> Range<u64> {
        let is_whole = range.end.saturating_sub(range.start) < WHOLE;
        let near = if is_whole { WHOLE } else { NEAR };
        let near = |reader: &Reader| {
            range.start <= reader.next.saturating_add(near)
                && reader.next <= range.end.saturating_add(near)
        };
        let mut reader = match self.table.iter().position(near) {
            Some(at) => self.table.remove(at).unwrap_or(Reader::at(range)),
            None => Reader::at(range),
        };
        let ahead = reader.advance(range, most);
        if self.table.len() == KEPT {
            self.table.pop_front();
        }
        self.table.push_back(reader);
        ahead
    }

    /// Somebody will read from `start` on in order: the window is open at once. Gives what is wanted.
    pub(super) fn expect(&mut self, start: u64, window: u64) -> Range<u64> {
        let asked = start.saturating_add(window);
        self.table.push_back(Reader {
            next: start,
            window,
            asked,
        });
        start..asked
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.table.len()
    }
}

impl Reader {
    /// One that has not gone on yet. A file that is read from its start is probably read to its end.
    fn at(range: &Range<u64>) -> Reader {
        Reader {
            next: range.end,
            window: if range.start == 0 { FIRST } else { 0 },
            asked: range.end,
        }
    }

    fn advance(&mut self, range: &Range<u64>, most: u64) -> Range<u64> {
        if range.end > self.next {
            self.next = range.end;
            self.window = (self.window * 2).max(FIRST);
        }
        self.window = self.window.min(most);
        let from = self.asked.max(range.end);
        let to = self.next.saturating_add(self.window);
        // In large steps: many small transfers are slower than a few large ones.
        if to < from.saturating_add(self.window / 4).saturating_add(1) {
            return from..from;
        }
        self.asked = to;
        from..to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const MOST: u64 = 64 * MIB;

    /// Reads in order from `start` in pieces of `piece`; gives what was wanted ahead, joined.
    fn in_order(readers: &mut Readers, start: u64, end: u64, piece: u64) -> Vec<Range<u64>> {
        let mut wanted: Vec<Range<u64>> = Vec::new();
        for at in (start..end).step_by(piece as usize) {
            let ahead = readers.read(&(at..(at + piece).min(end)), MOST);
            match wanted.last_mut() {
                _ if ahead.is_empty() => {}
                Some(last) if last.end == ahead.start => last.end = ahead.end,
                _ => wanted.push(ahead),
            }
        }
        wanted
    }

    #[test]
    fn a_reader_in_order_is_kept_ahead_of_by_a_growing_window() {
        let mut readers = Readers::default();
        let first = readers.read(&(0..128 << 10), MOST);
        assert_eq!(
            first,
            128 << 10..(128 << 10) + MIB,
            "from the start: at once"
        );
        let wanted = in_order(&mut readers, 128 << 10, 40 * MIB, 128 << 10);
        assert_eq!(wanted.len(), 1, "no gap and nothing twice: {wanted:?}");
        assert_eq!(wanted[0].start, first.end);
        let ahead = wanted[0].end - 40 * MIB;
        assert!((MOST / 2..=MOST).contains(&ahead), "{ahead}");
        assert_eq!(readers.count(), 1);
    }

    #[test]
    fn random_reads_want_nothing_ahead() {
        let mut readers = Readers::default();
        for number in 1..200_u64 {
            let at = number * 37 * MIB;
            assert!(readers.read(&(at..at + 4096), MOST).is_empty());
        }
        assert_eq!(readers.count(), KEPT);
    }

    #[test]
    fn random_reads_beside_one_another_want_nothing_ahead() {
        let mut readers = Readers::default();
        for number in 1..200_u64 {
            let at = 100 * MIB + number * 977 % 200 * 200_000;
            assert!(readers.read(&(at..at + 4096), MOST).is_empty(), "{number}");
        }
    }

    #[test]
    fn short_reads_in_order_are_followed_too() {
        let mut readers = Readers::default();
        let wanted = in_order(&mut readers, 10 * MIB, 12 * MIB, 4096);
        assert!(wanted.last().is_some_and(|last| last.end > 12 * MIB));
        assert_eq!(readers.count(), 1);
    }

    #[test]
    fn parts_of_one_read_may_come_in_any_order() {
        let mut readers = Readers::default();
        readers.expect(0, MOST);
        for at in [1, 0, 3, 2, 5, 4] {
            readers.read(&(at * MIB..(at + 1) * MIB), MOST);
        }
        assert_eq!(readers.count(), 1);
    }

    #[test]
    fn two_readers_are_told_apart() {
        let mut readers = Readers::default();
        for step in 0..20 {
            for base in [0, 500 * MIB] {
                let at = base + step * MIB;
                readers.read(&(at..at + MIB), MOST);
            }
        }
        assert_eq!(readers.count(), 2);
    }

    #[test]
    fn no_window_where_there_is_no_room() {
        let mut readers = Readers::default();
        for at in 0..100 {
            assert!(readers.read(&(at * MIB..(at + 1) * MIB), 0).is_empty());
        }
    }
}
