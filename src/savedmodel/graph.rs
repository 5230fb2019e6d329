//! Whether a `saved_model.pb` says that its model has variables.
//!
//! TensorFlow 1 leaves an empty directory `variables` beside a graph without any, which looks exactly like what a cleaner
//! leaves of a graph with some. The difference is a SaverDef: field 3 of each MetaGraphDef, which is field 2 of a SavedModel
//! (`saved_model.proto`, `meta_graph.proto`). A graph may be 2 GB, so what is between those fields is skipped, not read.

use std::io::{BufReader, Read, Seek};

/// A SavedModel has a handful of fields on these two levels, and a signature each.
const MAX_FIELDS: u32 = 1 << 20;

/// `None` if the file is no SavedModel, or holds no graph.
pub(super) fn find_variables<R: Read + Seek>(file: R, len: u64) -> Option<bool> {
    let mut file = BufReader::new(file);
    let mut fields = MAX_FIELDS;
    let mut model = Message {
        file: &mut file,
        left: len,
        fields: &mut fields,
    };
    let mut graphs = 0;
    while let Some((number, len)) = model.next()? {
        if number != 2 {
            model.skip(len)?;
            continue;
        }
        graphs += 1;
        let mut graph = Message {
            file: model.file,
            left: len,
            fields: model.fields,
        };
        while let Some((number, len)) = graph.next()? {
            if number == 3 {
                return Some(true);
            }
            graph.skip(len)?;
        }
    }
    (graphs > 0).then_some(false)
}

/// A protobuf message of `left` more bytes.
struct Message<'a, R> {
    file: &'a mut BufReader<R>,
    left: u64,
    /// How many more fields are looked at.
    fields: &'a mut u32,
}

impl<R: Read + Seek> Message<'_, R> {
    /// Number and length of the next field, whose bytes the caller then reads or skips. Outer `None`: nonsense; inner: the
    /// end. A varint is read at once and has no more bytes.
    #[allow(clippy::type_complexity)]
    fn next(&mut self) -> Option<Option<(u64, u64)>> {
        if self.left == 0 {
            return Some(None);
        }
        let tag = self.varint()?;
        // Field numbers begin at 1; a file of zeros would be read to its end.
        if tag >> 3 == 0 || *self.fields == 0 {
            return None;
        }
        *self.fields -= 1;
        let len = match tag & 7 {
            0 => self.varint().map(|_| 0)?,
            1 => 8,
            2 => self.varint()?,
            5 => 4,
            _ => return None,
        };
        self.left = self.left.checked_sub(len)?;
        Some(Some((tag >> 3, len)))
    }

    fn skip(&mut self, len: u64) -> Option<()> {
        self.file.seek_relative(i64::try_from(len).ok()?).ok()
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let mut byte = [0];
            self.left = self.left.checked_sub(1)?;
            self.file.read_exact(&mut byte).ok()?;
            value |= u64::from(byte[0] & 0x7f) << shift;
            if byte[0] < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    /// Schema version 1 and one graph: with a graph_def of 3 bytes, and a saver_def or a signature_def.
    pub(crate) const WITH: &[u8] = b"\x08\x01\x12\x08\x12\x03abc\x1a\x01x";
    pub(crate) const WITHOUT: &[u8] = b"\x08\x01\x12\x08\x12\x03abc\x2a\x01x";

    fn judge(bytes: &[u8]) -> Option<bool> {
        find_variables(Cursor::new(bytes), bytes.len() as u64)
    }

    #[test]
    fn a_saver_means_variables() {
        assert_eq!(judge(WITH), Some(true));
        assert_eq!(judge(WITHOUT), Some(false));
        assert_eq!(
            judge(&[WITHOUT, WITH].concat()),
            Some(true),
            "the second graph counts too"
        );
    }

    #[test]
    fn what_is_no_saved_model_says_nothing() {
        for bytes in [
            b"" as &[u8],
            b"\x08\x01",
            b"x",
            b"graph",
            &WITHOUT[..9],
            b"\x12\xff\xff\xff\xff\x7f",
            &[0; 1000],
        ] {
            assert_eq!(judge(bytes), None, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(noise in proptest::collection::vec(any::<u8>(), 0..64)) {
            judge(&noise);
        }
    }
}
