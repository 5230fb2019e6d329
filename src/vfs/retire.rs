//! Taking back what the kernel was told to remember without end.
//!
//! Names and sizes of a sealed model hold for as long as the kernel likes. When the copy on the disk turns out damaged and
//! the model is fetched again, it may come back different; so the kernel is told to forget every node of it.

use std::sync::OnceLock;

use super::Tree;
use super::nodes::number;

/// A name that the kernel must ask for again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stale {
    /// The number of the directory it is in.
    pub parent: u64,
    /// The name.
    pub name: String,
    /// The number of its node.
    pub node: u64,
}

type Forget = Box<dyn Fn(Vec<Stale>) + Send + Sync>;

/// Who tells the kernel; nobody in a tree without a mount.
#[derive(Default)]
pub(super) struct Retire(OnceLock<Forget>);

impl Tree {
    /// Sets who tells the kernel. It is called inside requests, so it must hand the work to a thread of its own.
    pub fn on_retire(&self, forget: impl Fn(Vec<Stale>) + Send + Sync + 'static) {
        // A second mount of the same tree would be a second session; there is none.
        let _ = self.shared.retire.0.set(Box::new(forget));
    }

    /// Tells the kernel to forget every node of the model at `root`.
    pub(super) fn retire(&self, root: &str) {
        if let Some(forget) = self.shared.retire.0.get() {
            forget(self.shared.nodes.below(root));
        }
    }
}

impl Stale {
    pub(super) fn of(path: &str) -> Stale {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        Stale {
            parent: number(parent),
            name: name.to_owned(),
            node: number(path),
        }
    }
}
