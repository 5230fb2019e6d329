//! Which blocks of a file are on the disk, as bits of a file beside it: bit `n % 8` of byte `n / 8` is block `n`.

use std::ops::Range;

use super::super::layout::BLOCK;
use super::super::presence::Presence;

/// How many bytes the bits of a file of `size` bytes take.
pub(in crate::cache) fn len(size: u64) -> u64 {
    size.div_ceil(BLOCK).div_ceil(8)
}

/// The bytes of the bitmap that speak of `range`.
pub(in crate::cache) fn under(range: &Range<u64>) -> Range<u64> {
    range.start / BLOCK / 8..len(range.end)
}

/// These bytes of the bitmap: a block counts when all of it is present.
pub(in crate::cache) fn pack(presence: &Presence, size: u64, bytes: Range<u64>) -> Vec<u8> {
    let whole = |number: u64| {
        let block = block(number, size);
        !block.is_empty() && presence.covers(block)
    };
    bytes
        .map(|byte| {
            (0..8).fold(0, |bits, bit| {
                bits | (u8::from(whole(byte * 8 + bit)) << bit)
            })
        })
        .collect()
}

/// What a bitmap says of a file of `size` bytes.
pub(super) fn unpack(bytes: &[u8], size: u64) -> Presence {
    let mut presence = Presence::default();
    let numbered = (0u64..).zip(bytes);
    for (number, bits) in numbered.filter(|(_, bits)| **bits != 0) {
        for bit in (0..8).filter(|bit| bits >> bit & 1 == 1) {
            presence.insert(block(number * 8 + bit, size));
        }
    }
    presence
}

/// What of `presence` is whole blocks that lie in `data` entirely.
pub(super) fn only_in(presence: &Presence, data: &[Range<u64>], size: u64) -> Presence {
    let mut stored = Presence::default();
    for range in data {
        stored.insert(range.clone());
    }
    let mut kept = Presence::default();
    for number in presence
        .ranges()
        .flat_map(|have| have.start / BLOCK..have.end.div_ceil(BLOCK))
    {
        let block = block(number, size);
        if stored.covers(block.clone()) && presence.covers(block.clone()) {
            kept.insert(block);
        }
    }
    kept
}

fn block(number: u64, size: u64) -> Range<u64> {
    let start = number.saturating_mul(BLOCK);
    start.min(size)..start.saturating_add(BLOCK).min(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_blocks_survive() {
        let size = 20 * BLOCK + 5;
        let mut presence = Presence::default();
        presence.insert(BLOCK - 1..3 * BLOCK + 7);
        presence.insert(9 * BLOCK..10 * BLOCK);
        presence.insert(20 * BLOCK..size);
        let bytes = pack(&presence, size, 0..len(size));
        assert_eq!(bytes, [0b110, 0b10, 0b10000]);
        let mut want = Presence::default();
        want.insert(BLOCK..3 * BLOCK);
        want.insert(9 * BLOCK..10 * BLOCK);
        want.insert(20 * BLOCK..size);
        assert_eq!(unpack(&bytes, size), want);
        assert_eq!(
            pack(&presence, size, under(&(8 * BLOCK..9 * BLOCK + 1))),
            [0b10]
        );
        assert_eq!(len(0), 0);
        assert_eq!(unpack(&[], 0), Presence::default());
        // Bits beyond the end mean nothing.
        assert_eq!(unpack(&[0xff], 5).bytes(), 5);
    }

    #[test]
    fn blocks_that_are_holes_are_not_present() {
        let size = 4 * BLOCK + 5;
        let mut presence = Presence::default();
        presence.insert(0..size);
        let kept = only_in(&presence, &[0..BLOCK + 1, 3 * BLOCK..size], size);
        let mut want = Presence::default();
        want.insert(0..BLOCK);
        want.insert(3 * BLOCK..size);
        assert_eq!(kept, want);
    }
}
