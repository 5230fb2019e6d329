//! What `variables.index` announces: how many data shards there are, and how long each must be at least.
//!
//! The file is a table in LevelDB's form (`tensorflow/tsl/lib/io/format.h`: blocks of prefix-compressed entries, an index
//! block, a footer of 48 bytes). Its first key is empty and holds a BundleHeaderProto; every other value is a
//! BundleEntryProto (`tensor_bundle.proto`). Only the few fields needed are read, and no byte is trusted: what does not
//! parse is `None`, and the caller falls back to the shards' names. Checksums are TensorFlow's to check.

use std::collections::BTreeMap;

const FOOTER: usize = 48;
const MAGIC: u64 = 0xdb47_7524_8b80_fb57;
/// TensorFlow writes bundles uncompressed; the other type is snappy.
const UNCOMPRESSED: u8 = 0;

/// The data shards of one checkpoint.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Shards {
    /// How many there are.
    pub(super) count: u64,
    /// By shard number: the end of its last tensor in bytes. Shards without a tensor are left out.
    pub(super) extents: BTreeMap<u64, u64>,
}

/// Reads a whole `variables.index`.
pub(super) fn parse(table: &[u8]) -> Option<Shards> {
    let mut footer = Bytes(table.get(table.len().checked_sub(FOOTER)?..)?);
    let magic = footer.0.last_chunk::<8>()?;
    if u64::from_le_bytes(*magic) != MAGIC {
        return None;
    }
    footer.handle()?; // of the metaindex block, which is empty
    let (start, len) = footer.handle()?;
    let mut shards = Shards::default();
    let mut seen = 0;
    let mut entries = Entries::of(block(table, start, len)?)?;
    while let Some((_, handle)) = entries.next()? {
        let (start, len) = Bytes(handle).handle()?;
        // Blocks follow each other in the file. Insisting on it bounds the work by the file's length.
        if start < seen {
            return None;
        }
        shards.add(block(table, start, len)?, seen == 0)?;
        seen = start.checked_add(len)?;
    }
    (shards.count > 0).then_some(shards)
}

impl Shards {
    fn add(&mut self, block: &[u8], first: bool) -> Option<()> {
        let mut entries = Entries::of(block)?;
        if first {
            let (key_is_empty, header) = entries.next()??;
            if !key_is_empty {
                return None;
            }
            self.count = Bytes(header).fields([1])?[0];
        }
        while let Some((_, entry)) = entries.next()? {
            let [shard, offset, size] = Bytes(entry).fields([3, 4, 5])?;
            let end = offset.checked_add(size)?;
            let extent = self.extents.entry(shard).or_default();
            *extent = end.max(*extent);
        }
        Some(())
    }
}

/// The contents of an uncompressed block; its type byte follows it.
fn block(table: &[u8], start: u64, len: u64) -> Option<&[u8]> {
    let start = usize::try_from(start).ok()?;
    let end = start.checked_add(usize::try_from(len).ok()?)?;
    (*table.get(end)? == UNCOMPRESSED).then(|| table.get(start..end))?
}

/// The entries of a block.
struct Entries<'a>(Bytes<'a>);

impl<'a> Entries<'a> {
    /// A block ends with offsets of 4 bytes each and their number in 4 bytes.
    fn of(block: &'a [u8]) -> Option<Entries<'a>> {
        let (rest, count) = block.split_last_chunk::<4>()?;
        let restarts = usize::try_from(u32::from_le_bytes(*count))
            .ok()?
            .checked_mul(4)?;
        rest.get(..rest.len().checked_sub(restarts)?)
            .map(|entries| Entries(Bytes(entries)))
    }

    /// Whether the key is empty, and the value. Outer `None`: nonsense; inner: the end.
    #[allow(clippy::type_complexity)]
    fn next(&mut self) -> Option<Option<(bool, &'a [u8])>> {
        if self.0.0.is_empty() {
            return Some(None);
        }
        let shared = self.0.varint()?;
        let unshared = self.0.varint()?;
        let len = self.0.varint()?;
        self.0.take(unshared)?;
        Some(Some((shared == 0 && unshared == 0, self.0.take(len)?)))
    }
}

/// Bytes being read from the front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, len: u64) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(usize::try_from(len).ok()?)?;
        self.0 = tail;
        Some(head)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// Offset and length of a block.
    fn handle(&mut self) -> Option<(u64, u64)> {
        Some((self.varint()?, self.varint()?))
    }

    /// The varint fields with these numbers in a protobuf message; 0 for those that are left out.
    fn fields<const N: usize>(mut self, numbers: [u64; N]) -> Option<[u64; N]> {
        let mut values = [0; N];
        while !self.0.is_empty() {
            let tag = self.varint()?;
            match tag & 7 {
                0 => {
                    let value = self.varint()?;
                    for (slot, number) in values.iter_mut().zip(numbers) {
                        if number == tag >> 3 {
                            *slot = value;
                        }
                    }
                }
                1 => drop(self.take(8)?),
                2 => {
                    let len = self.varint()?;
                    self.take(len)?;
                }
                5 => drop(self.take(4)?),
                _ => return None,
            }
        }
        Some(values)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Written by TensorFlow 2.21: `tf.raw_ops.SaveV2` of `a` (3 floats) and `b/x` (2x2 int64).
    pub(crate) const REAL: &[u8] = b"\
        \x00\x00\x06\x08\x01\x1a\x02\x08\x01\x00\x01\x0f\x61\x08\x01\x12\x04\x12\x02\x08\x03\x28\x0c\x35\x99\x41\x3d\x0d\
        \x00\x03\x15\x62\x2f\x78\x08\x09\x12\x08\x12\x02\x08\x02\x12\x02\x08\x02\x20\x0c\x28\x20\x35\xfa\xff\xd7\x0f\x00\
        \x00\x00\x00\x01\x00\x00\x00\x00\x11\x94\x8a\xef\x00\x00\x00\x00\x01\x00\x00\x00\x00\xc0\xf2\xa1\xb0\x00\x01\x02\
        \x63\x00\x3f\x00\x00\x00\x00\x01\x00\x00\x00\x00\x6a\xd5\x14\x57\x44\x08\x51\x0e\x00\x00\x00\x00\x00\x00\x00\x00\
        \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\
        \x57\xfb\x80\x8b\x24\x75\x47\xdb";

    /// An index of `count` shards with one tensor each, `extent` bytes long, in TensorFlow's form.
    pub(crate) fn table(count: u8, extent: u8) -> Vec<u8> {
        let mut block = vec![0, 0, 2, 0x08, count];
        for shard in 0..count {
            // Shared 0, key "k", a value of shard_id and size.
            block.extend([0, 1, 4, b'k', 0x18, shard, 0x28, extent]);
        }
        let mut table = finish(block);
        let data = table.len() as u8 - 5;
        let at = table.len() as u8;
        table.extend(finish(vec![0, 1, 2, b'l', 0, data]));
        let index = table.len() as u8 - at - 5;
        let mut footer = vec![0, 0, at, index];
        footer.resize(FOOTER - 8, 0);
        table.extend(footer);
        table.extend(MAGIC.to_le_bytes());
        table
    }

    /// Adds the restarts (one, at 0), the type and a checksum.
    fn finish(mut block: Vec<u8>) -> Vec<u8> {
        block.extend([0, 0, 0, 0, 1, 0, 0, 0, UNCOMPRESSED, 0, 0, 0, 0]);
        block
    }

    #[test]
    fn a_real_index_is_read() {
        let shards = parse(REAL).unwrap();
        assert_eq!(
            shards,
            Shards {
                count: 1,
                extents: BTreeMap::from([(0, 44)])
            }
        );
    }

    #[test]
    fn several_shards() {
        let shards = parse(&table(3, 9)).unwrap();
        assert_eq!(
            shards,
            Shards {
                count: 3,
                extents: BTreeMap::from([(0, 9), (1, 9), (2, 9)])
            }
        );
        assert_eq!(parse(&table(0, 0)), None, "no bundle has no shards");
    }

    #[test]
    fn a_compressed_or_cut_index_is_not() {
        let mut table = table(2, 9);
        assert_eq!(parse(&table[1..]), None);
        assert_eq!(parse(&table[..FOOTER]), None);
        assert_eq!(parse(b""), None);
        // The data block: a header entry of 5 bytes, two of 8, the restarts in 8, then its type.
        let kind = 5 + 2 * 8 + 8;
        assert_eq!(
            (table[kind], parse(&table).map(|shards| shards.count)),
            (UNCOMPRESSED, Some(2))
        );
        table[kind] = 1;
        assert_eq!(parse(&table), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(mut noise in proptest::collection::vec(any::<u8>(), 0..200), real in any::<bool>()) {
            if real {
                // With a true footer, so that the noise is looked into.
                noise.extend(&REAL[REAL.len() - FOOTER..]);
            }
            parse(&noise);
        }

        #[test]
        fn no_flip_panics(at in 0..REAL.len(), bit in 0..8) {
            let mut table = REAL.to_vec();
            table[at] ^= 1u8 << bit;
            parse(&table);
        }
    }
}
