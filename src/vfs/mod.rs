//! The filesystem in our own words: nodes, names, listings, attributes, open files.
//!
//! It knows paths, handles and models, and nothing of the kernel's protocol: the skin in `fuse` calls one method
//! per kind of request and gets an [`Answer`], at once or later. Nothing here waits in the caller's thread, so a
//! test can use the whole filesystem without a mount.
//!
//! A node is a path. Its number is made from the path alone, so it is the same in every run; the table in
//! `nodes` only remembers which paths the kernel holds.

mod answer;
mod attr;
mod bucket;
mod buffer;
mod error;
mod files;
mod filling;
mod inside;
mod invalidate;
mod known;
mod listing;
mod look;
mod lookup;
mod modules;
mod nodes;
mod xattr;

#[cfg(test)]
mod tests;

pub use answer::Answer;
pub use attr::{Attr, Entry, Kind, Ttl};
pub use buffer::Buffer;
pub use error::Error;
pub use files::Opened;
pub use invalidate::{Kernel, Stale};
pub use listing::DirEntry;

use std::sync::Arc;

use crate::handle::{Handle, HandleList, Key, Names};
use crate::models::{Models, ProgressTimeout};
use crate::status::Status;

use files::OpenFiles;
use invalidate::Invalidator;
use known::Known;
use modules::Modules;
use nodes::Nodes;

/// The filesystem of one mount. Cheap to clone.
#[derive(Clone)]
pub struct Tree {
    shared: Arc<Shared>,
}

/// How a tree behaves.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether listing a model that was never seen begins its download. Without, such a listing is empty.
    pub list_fetches: bool,
    /// How much memory names may take that were looked up, in bytes.
    pub memory: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            list_fetches: true,
            memory: 16 << 20,
        }
    }
}

struct Shared {
    options: Options,
    names: Names,
    models: Models,
    nodes: Nodes,
    known: Known,
    modules: Modules,
    files: OpenFiles,
    invalidator: Invalidator,
    status: Arc<Status>,
}

impl Tree {
    /// A tree over `models`, with the naming rules of one mount.
    pub fn new(names: Names, models: Models, status: Arc<Status>, options: Options) -> Tree {
        Tree {
            shared: Arc::new(Shared {
                options,
                names,
                models,
                nodes: Nodes::new(options.memory / 2),
                known: Known::default(),
                modules: Modules::default(),
                files: OpenFiles::default(),
                invalidator: Invalidator::default(),
                status,
            }),
        }
    }

    /// Reads which models the cache holds, whoever put them there, so that listings show them. Local disk only; may take a
    /// while with a large cache, and the mount answers meanwhile.
    pub fn learn_cached(&self) {
        for key in self.shared.models.cached() {
            if !self.shared.modules.is_lasting(&key) {
                self.shared.learn_cached(&key);
            }
        }
    }

    /// Looks after the cache for as long as the process lives. To be given a thread of its own.
    pub fn maintain(&self) {
        self.shared.models.maintain(|| self.learn_cached());
    }

    /// Shows the models of a catalog, in the place of those of an earlier one. What has been opened or cached meanwhile
    /// stays known. Local disk only.
    pub fn set_catalog(&self, catalog: &HandleList) {
        self.learn_cached();
        let lines = catalog.lines();
        self.shared.modules.set_catalog(lines);
        let paths = lines.iter().map(|line| line.path().to_owned());
        self.shared.known.set_catalog(paths.collect());
    }

    /// How many files the kernel has open.
    pub fn open_files(&self) -> usize {
        self.shared.files.count()
    }

    /// The path of a node below the mountpoint, for messages; empty for the root.
    pub fn path(&self, node: u64) -> String {
        self.shared.nodes.path(node).unwrap_or_default()
    }

    /// The kernel gave back `lookups` references of a node. Returns whether it has none left.
    pub fn forget(&self, node: u64, lookups: u64) -> bool {
        self.shared.nodes.forget(node, lookups)
    }

    /// A file or directory of this node is open: the node stays, however many others are looked up.
    pub fn hold_open(&self, node: u64) {
        self.shared.nodes.open(node);
    }

    /// It has been closed.
    pub fn release_open(&self, node: u64) {
        self.shared.nodes.close(node);
    }

    /// Takes an error at the edge into the record that `user.tfhub.error` shows.
    pub fn record(&self, path: &str, error: &Error) {
        self.shared.status.errors.record(path, error.to_string());
    }

    fn progress_timeout(&self, handle: &Handle) -> ProgressTimeout {
        ProgressTimeout::new(handle, self.shared.models.timeout())
    }
}

impl Shared {
    /// A model exists: it is listed above, and has its name for tensorflow_hub.
    fn learn(&self, handle: &Handle, path: &str) {
        self.known.insert(path);
        self.modules.insert(handle, path);
    }

    /// A model is in the cache, under a handle that tensorflow_hub may have been given in any spelling. Its canonical path.
    fn learn_cached(&self, key: &Key) -> Option<String> {
        let url = self.models.cached_as(key)?;
        let handle = Handle::parse(&url).ok()?;
        let path = self.names.path(&handle).ok()?;
        self.learn(&handle, &path);
        self.modules.insert_spelled(&url, &path);
        Some(path)
    }
}
