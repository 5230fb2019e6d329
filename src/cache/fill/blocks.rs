//! The bytes of a file that is kept in memory.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::super::layout::BLOCK;

/// Blocks of [`BLOCK`] bytes. Which bytes of a block mean something is for others to know.
#[derive(Debug, Default)]
pub(super) struct Blocks(HashMap<u64, Arc<Vec<u8>>>);

/// The blocks under a range, held so that they can be copied without a lock.
#[derive(Debug)]
pub(super) struct Lent(Vec<Arc<Vec<u8>>>);

impl Blocks {
    /// Writes `bytes` at `offset` of a file of `size` bytes, making the blocks that are missing.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8], size: u64) {
        let (mut at, mut left) = (offset, bytes);
        while !left.is_empty() {
            let (number, within) = (at / BLOCK, index(at % BLOCK));
            let len = index(BLOCK.min(size.saturating_sub(number * BLOCK)));
            let block = self
                .0
                .entry(number)
                .or_insert_with(|| Arc::new(vec![0; len]));
            let count = left.len().min(len.saturating_sub(within));
            let (now, later) = left.split_at(count);
            if count == 0 {
                return; // beyond the end of the file
            }
            // A reader may be copying from it.
            if let Some(target) = Arc::make_mut(block).get_mut(within..within + count) {
                target.copy_from_slice(now);
            }
            at += count as u64;
            left = later;
        }
    }

    /// The blocks under `range`; `None` if one is missing.
    pub(super) fn lend(&self, range: &Range<u64>) -> Option<Lent> {
        let numbers = range.start / BLOCK..range.end.div_ceil(BLOCK);
        let blocks = numbers.map(|number| self.0.get(&number).cloned());
        Some(Lent(blocks.collect::<Option<_>>()?))
    }

    /// Drops a block. Returns its size.
    pub(super) fn remove(&mut self, number: u64) -> u64 {
        let block = self.0.remove(&number);
        block.map_or(0, |block| block.len() as u64)
    }

    /// How much memory the blocks would take that a write to `range` would make.
    pub(super) fn cost(&self, range: &Range<u64>, size: u64) -> u64 {
        let numbers = range.start / BLOCK..range.end.div_ceil(BLOCK);
        numbers
            .filter(|number| !self.0.contains_key(number))
            .map(|number| BLOCK.min(size.saturating_sub(number * BLOCK)))
            .sum()
    }

    /// The memory that a block takes.
    pub(super) fn size_of(&self, number: u64) -> u64 {
        let block = self.0.get(&number);
        block.map_or(0, |block| block.len() as u64)
    }
}

impl Lent {
    /// Copies what is at `offset` of the file; `offset` lies in the first block lent.
    pub(super) fn copy(&self, offset: u64, buf: &mut [u8]) {
        let mut within = index(offset % BLOCK);
        let mut left = buf;
        for block in &self.0 {
            let source = block.get(within..).unwrap_or_default();
            let count = source.len().min(left.len());
            let (now, later) = left.split_at_mut(count);
            now.copy_from_slice(source.get(..count).unwrap_or_default());
            left = later;
            within = 0;
        }
    }
}

/// Of an offset within a block.
fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_across_blocks() {
        let size = 3 * BLOCK - 100;
        let data: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        let mut blocks = Blocks::default();
        assert_eq!(blocks.cost(&(0..size), size), size);
        for (at, part) in data
            .chunks(10_007)
            .enumerate()
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
        {
            blocks.write(at as u64 * 10_007, part, size);
        }
        assert_eq!(blocks.cost(&(5..size), size), 0);
        for (offset, len) in [
            (0, 10),
            (BLOCK - 1, 2),
            (BLOCK + 7, BLOCK as usize + 100),
            (0, size as usize),
        ] {
            let mut buf = vec![0; len];
            let range = offset..offset + len as u64;
            blocks.lend(&range).unwrap().copy(offset, &mut buf);
            assert_eq!(buf, data[offset as usize..][..len]);
        }
        assert_eq!(blocks.remove(1), BLOCK);
        assert!(blocks.lend(&(0..BLOCK + 1)).is_none());
        assert!(blocks.lend(&(2 * BLOCK..size)).is_some());
    }

    #[test]
    fn a_lent_block_does_not_change() {
        let mut blocks = Blocks::default();
        blocks.write(0, b"old", 10);
        let lent = blocks.lend(&(0..3)).unwrap();
        blocks.write(3, b"new", 10);
        let mut buf = [0; 6];
        lent.copy(0, &mut buf);
        assert_eq!(&buf, b"old\0\0\0");
        blocks.lend(&(0..6)).unwrap().copy(0, &mut buf);
        assert_eq!(&buf, b"oldnew");
    }
}
