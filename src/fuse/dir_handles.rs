//! Open directories: the listing that each reader is being told, so that it does not change under them.
//!
//! Any user may hold a thousand large directories open, so a listing is compact, and those who read the same one share it.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::vfs::{DirEntry, Kind};

/// The names of a directory, as readdir(3) shows them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    /// All names, one after another.
    names: Box<str>,
    rows: Box<[Row]>,
}

#[derive(Debug, PartialEq, Eq)]
struct Row {
    node: u64,
    /// Where its name ends.
    end: u32,
    kind: Kind,
}

impl Listing {
    /// The names of the directory `node`, with `.` and `..`.
    pub fn new(node: u64, entries: &[DirEntry]) -> Listing {
        let mut names = String::new();
        let mut rows = Vec::with_capacity(2 + entries.len());
        let dots = [".", ".."].map(|dot| (dot, node, Kind::Directory));
        let entries = entries
            .iter()
            .map(|entry| (entry.name.as_str(), entry.node, entry.kind));
        for (name, node, kind) in dots.into_iter().chain(entries) {
            let Ok(end) = u32::try_from(names.len() + name.len()) else {
                break; // 4 GiB of names
            };
            names.push_str(name);
            rows.push(Row { node, end, kind });
        }
        Listing {
            names: names.into(),
            rows: rows.into(),
        }
    }

    /// Name, node and kind of every entry from the one at `first` on.
    pub fn from(&self, first: usize) -> impl Iterator<Item = (&str, u64, Kind)> {
        let rows = self.rows.get(first..).unwrap_or_default();
        let mut start = match first.checked_sub(1).and_then(|last| self.rows.get(last)) {
            Some(last) => last.end as usize,
            None => 0,
        };
        rows.iter().map(move |row| {
            let name = self.names.get(start..row.end as usize).unwrap_or_default();
            start = row.end as usize;
            (name, row.node, row.kind)
        })
    }
}

/// The table of open directories.
#[derive(Default)]
pub(super) struct DirHandles {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    next: u64,
    open: HashMap<u64, Option<Arc<Listing>>>,
    /// The latest listing of each node that is being read.
    latest: HashMap<u64, Weak<Listing>>,
}

impl DirHandles {
    /// Opens a directory; nothing is listed before it is read.
    pub fn open(&self) -> u64 {
        let mut table = self.table.lock();
        table.next += 1;
        let handle = table.next;
        table.open.insert(handle, None);
        handle
    }

    /// The listing that this reader has been told so far.
    pub fn get(&self, handle: u64) -> Option<Arc<Listing>> {
        self.table.lock().open.get(&handle).cloned().flatten()
    }

    /// Keeps a listing of the directory `node` for this reader's further calls.
    pub fn keep(&self, handle: u64, node: u64, listing: Listing) -> Arc<Listing> {
        let latest = self.table.lock().latest.get(&node).and_then(Weak::upgrade);
        let listing = match latest {
            Some(latest) if *latest == listing => latest,
            _ => Arc::new(listing),
        };
        let mut table = self.table.lock();
        if let Some(open) = table.open.get_mut(&handle) {
            *open = Some(listing.clone());
            table.latest.insert(node, Arc::downgrade(&listing));
        }
        listing
    }

    /// Closes a directory.
    pub fn close(&self, handle: u64, node: u64) {
        let mut table = self.table.lock();
        let listing = table.open.remove(&handle).flatten();
        let Some(listing) = listing else { return };
        // The one reference is `listing`.
        if Arc::strong_count(&listing) == 1
            && let Some(latest) = table.latest.get(&node)
            && std::ptr::eq(latest.as_ptr(), &*listing)
        {
            table.latest.remove(&node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(names: &[&str]) -> Vec<DirEntry> {
        let entry = |(at, name): (usize, &&str)| DirEntry {
            name: (*name).to_owned(),
            node: 10 + at as u64,
            kind: Kind::File,
        };
        names.iter().enumerate().map(entry).collect()
    }

    #[test]
    fn a_listing_goes_on_anywhere() {
        let listing = Listing::new(7, &entries(&["a", "long name", "ü"]));
        let names = |from| -> Vec<&str> { listing.from(from).map(|(name, ..)| name).collect() };
        assert_eq!(names(0), [".", "..", "a", "long name", "ü"]);
        assert_eq!(names(3), ["long name", "ü"]);
        assert!(names(5).is_empty() && names(6).is_empty());
        assert_eq!(listing.from(2).next(), Some(("a", 10, Kind::File)));
    }

    #[test]
    fn equal_listings_of_one_directory_are_one() {
        let handles = DirHandles::default();
        let [a, b, c] = [handles.open(), handles.open(), handles.open()];
        let one = handles.keep(a, 7, Listing::new(7, &entries(&["x", "y"])));
        let same = handles.keep(b, 7, Listing::new(7, &entries(&["x", "y"])));
        let other = handles.keep(c, 7, Listing::new(7, &entries(&["x", "z"])));
        assert!(Arc::ptr_eq(&one, &same) && !Arc::ptr_eq(&one, &other));
        drop((one, same, other));
        for handle in [a, b, c] {
            handles.close(handle, 7);
        }
        let table = handles.table.lock();
        assert!(table.open.is_empty() && table.latest.is_empty());
    }
}
