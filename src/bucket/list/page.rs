//! One page of a listing, whichever kind of bucket sent it.

use crate::bucket::ObjectInfo;
use crate::handle::BucketPath;

/// Objects and directories, in the bucket's order.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    pub entries: Vec<ObjectInfo>,
    /// With a slash at the end.
    pub prefixes: Vec<String>,
    /// Where the listing goes on.
    pub next: Option<String>,
}

impl Listed {
    /// How many names it has, whatever they are.
    pub fn len(&self) -> usize {
        self.entries.len() + self.prefixes.len()
    }
}

/// What the keys of everything below a directory begin with.
pub(crate) fn prefix_of(dir: &BucketPath) -> String {
    match dir.key() {
        "" => String::new(),
        key => format!("{key}/"),
    }
}
