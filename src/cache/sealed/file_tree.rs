//! The names in a complete model, with sizes and times, wherever its bytes are.

use std::time::SystemTime;

use super::index::{Attr, Child, Entry, Index};

/// Names, sizes and times.
#[derive(Debug)]
pub struct FileTree {
    index: Index<Stat>,
}

/// What is known of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cache) struct Stat {
    pub size: u64,
    pub mtime: SystemTime,
}

impl FileTree {
    pub(super) fn new(index: Index<Stat>) -> FileTree {
        FileTree { index }
    }

    /// Every directory with its time, the model itself ("") included, in no order.
    pub(super) fn dirs(&self) -> impl Iterator<Item = (&str, SystemTime)> {
        self.index.dirs()
    }

    /// What `path` is ("" is the model itself); `None` if there is no such name.
    pub fn find(&self, path: &str) -> Option<Attr> {
        self.index.get(path).map(attr)
    }

    /// The listing of a directory, sorted by name; `None` if `path` is no directory.
    pub fn children(&self, path: &str) -> Option<Vec<Child>> {
        let child = |(name, entry): (&str, Entry<'_, Stat>)| Child {
            name: name.to_owned(),
            attr: attr(entry),
        };
        Some(self.index.children(path)?.map(child).collect())
    }

    /// The sum of all files' sizes.
    pub fn bytes(&self) -> u64 {
        self.index.files().map(|(_, stat)| stat.size).sum()
    }

    /// The size of a file; `None` for directories and for what is not there.
    pub(in crate::cache) fn size(&self, path: &str) -> Option<u64> {
        Some(self.stat(path)?.size)
    }

    /// Size and time of a file; `None` for directories and for what is not there.
    pub(in crate::cache) fn stat(&self, path: &str) -> Option<&Stat> {
        match self.index.get(path)? {
            Entry::File(stat) => Some(stat),
            Entry::Dir(_) => None,
        }
    }

    /// Names and sizes of the files right in a directory; `None` if there is no such directory.
    pub(in crate::cache) fn files_in(
        &self,
        dir: &str,
    ) -> Option<impl Iterator<Item = (&str, u64)>> {
        let children = self.index.children(dir)?;
        Some(children.filter_map(|(name, entry)| match entry {
            Entry::File(stat) => Some((name, stat.size)),
            Entry::Dir(_) => None,
        }))
    }

    /// Every file, in no order.
    pub(in crate::cache) fn files(&self) -> impl Iterator<Item = (String, &Stat)> {
        self.index.files()
    }
}

fn attr(entry: Entry<'_, Stat>) -> Attr {
    match entry {
        Entry::Dir(mtime) => Attr::Dir { mtime },
        Entry::File(Stat { size, mtime }) => Attr::File {
            size: *size,
            mtime: *mtime,
        },
    }
}
