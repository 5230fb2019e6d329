//! Our own record of what we sealed: names and sizes, so that any missing file is noticed, and so that a model of files that
//! are no SavedModel at all counts as whole.
//!
//! It speaks of one fill. If somebody else filled the same model later, its descriptor is another, and the record says
//! nothing any more.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::{Context, Error, if_there};
use super::layout::{Key, Layout, replace};
use super::plain;
use super::sealed::Sealed;

/// A name may have 4 KiB; a hundred thousand of them are more than any model has, and rarely longer than 100 bytes.
const MAX_RECORD: u64 = 64 << 20;

/// One fill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) handle: String,
    /// The text of the descriptor that was written with it.
    pub(super) descriptor: String,
    /// Path and size in bytes of every file.
    pub(super) files: BTreeMap<String, u64>,
}

impl Record {
    pub(super) fn write(&self, layout: &Layout, key: &Key) -> Result<(), Error> {
        let path = layout.record(key);
        let text = serde_json::to_vec(self)
            .map_err(std::io::Error::from)
            .context("write", &path)?;
        replace(&layout.temp(key, "record"), &path, &text)
    }

    /// The record that speaks of the entry as it is now. One that is damaged counts as none.
    pub(super) fn current(layout: &Layout, key: &Key) -> Option<Record> {
        let text = plain::read_up_to(&layout.record(key), MAX_RECORD).ok()?;
        let record: Record = serde_json::from_slice(&text).ok()?;
        // Nothing is sealed without a file: such a record would call any directory whole.
        if record.files.is_empty() {
            return None;
        }
        // A cleaner may have taken the descriptor; a later filler would have written its own.
        match if_there(plain::read_text(&layout.descriptor(key))).ok()? {
            Some(descriptor) if descriptor != record.descriptor => None,
            _ => Some(record),
        }
    }

    /// A file that is missing or has another size now. Files that somebody added do no harm.
    pub(super) fn missing(&self, sealed: &Sealed) -> Option<&str> {
        let lost = self
            .files
            .iter()
            .find(|(path, size)| sealed.size(path) != Some(**size))?;
        Some(lost.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_speaks_of_its_own_fill_only() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().to_path_buf());
        layout.prepare().unwrap();
        let key = Key::of("https://h/a/1");
        assert_eq!(Record::current(&layout, &key), None);
        let record = Record {
            handle: "https://h/a/1".into(),
            descriptor: "first".into(),
            files: BTreeMap::from([("odd\n\"name".into(), 3)]),
        };
        record.write(&layout, &key).unwrap();
        assert_eq!(
            Record::current(&layout, &key).as_ref(),
            Some(&record),
            "the descriptor may be gone"
        );
        std::fs::write(layout.descriptor(&key), "first").unwrap();
        assert_eq!(Record::current(&layout, &key), Some(record));
        std::fs::write(layout.descriptor(&key), "second").unwrap();
        assert_eq!(Record::current(&layout, &key), None);
        std::fs::write(layout.record(&key), "{").unwrap();
        std::fs::remove_file(layout.descriptor(&key)).unwrap();
        assert_eq!(Record::current(&layout, &key), None);
    }
}
