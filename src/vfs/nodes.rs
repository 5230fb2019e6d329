//! The nodes that the kernel holds: number to path, and what the path means.

use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;
use sha1::{Digest, Sha1};

use super::attr::Attr;
use super::invalidate::Stale;
use crate::handle::{BucketPath, Catalogue, Handle};
use crate::models::Model;

/// The root's number, fixed by the kernel's protocol.
pub const ROOT: u64 = 1;

/// How many open nodes are passed over in search of one that is not.
const OPEN_IN_A_ROW: usize = 64;

/// What a path means.
#[derive(Clone)]
pub(super) enum Spot {
    /// A directory above every model.
    Above,
    /// A directory that is an unversioned handle: versions and `latest`.
    Versions(Handle),
    /// A symbolic link and its target.
    Link(String),
    /// `.tfhub_modules`: a link for each known model.
    Modules,
    /// A directory of a bucket.
    Bucket(BucketPath),
    /// A directory of Kaggle above its models.
    Catalogue(Catalogue),
    /// A model's root (`inside` is empty) or a path in it.
    Model {
        /// The model.
        model: Arc<Model>,
        /// The path below the model's root.
        inside: String,
    },
}

/// A node as the table holds it.
#[derive(Clone)]
pub(super) struct Node {
    /// Path below the mountpoint, without slashes at the ends; empty for the root.
    pub path: String,
    /// How many digit components of `path` were refused as model roots and taken as directories.
    pub refused: usize,
    /// What the path means.
    pub spot: Spot,
    /// Attributes as last told.
    pub attr: Attr,
}

impl Node {
    /// About how much memory it takes in the table, with what the maps and the allocator add.
    fn cost(&self) -> usize {
        const TABLE: usize = 160;
        let text = match &self.spot {
            Spot::Link(target) => target.len(),
            Spot::Model { inside, .. } => inside.len(),
            // Parts of the path.
            Spot::Versions(_) | Spot::Bucket(_) | Spot::Catalogue(_) => 2 * self.path.len(),
            Spot::Above | Spot::Modules => 0,
        };
        TABLE + size_of::<Node>() + self.path.len() + text
    }
}

/// The table of nodes, bounded in bytes.
///
/// Any user may look up names that nobody knows, without end. Over `soft` bytes the kernel is asked to forget the least
/// recently used nodes (`invalidate`). Over twice as many, because it does not keep up, they are dropped: whoever walks through
/// one of them gets ESTALE inside the kernel, which then looks the path up again.
pub(super) struct Nodes {
    table: Mutex<Table>,
    soft: usize,
}

struct Table {
    /// All but the root, which the kernel never forgets.
    held: LruCache<u64, Held>,
    root: Arc<Node>,
    bytes: usize,
}

struct Held {
    node: Arc<Node>,
    /// How often the kernel was told of it.
    lookups: u64,
    /// How many files or directories of it are open.
    opens: u32,
    /// Whether the kernel was asked to forget it, and has not.
    is_asked: bool,
}

/// Nodes that the kernel is to forget.
#[derive(Debug, Default)]
pub(super) struct Unused {
    /// It has not been asked for these yet. What lies in a directory comes before it.
    pub fresh: Vec<u64>,
    /// These it kept when it was asked.
    pub stubborn: Vec<Stale>,
}

/// What a change of the table has put out of it, to be dropped without its lock: the last reference to a model may be in it.
type Dropped = Vec<Arc<Node>>;

impl Nodes {
    /// An empty table of `soft` bytes.
    pub fn new(soft: usize) -> Nodes {
        let root = Node {
            path: String::new(),
            refused: 0,
            spot: Spot::Above,
            attr: Attr::directory(ROOT),
        };
        Nodes {
            table: Mutex::new(Table {
                held: LruCache::unbounded(),
                root: Arc::new(root),
                bytes: 0,
            }),
            soft,
        }
    }

    /// The node with this number; it is in use.
    pub fn get(&self, number: u64) -> Option<Arc<Node>> {
        let mut table = self.table.lock();
        if number == ROOT {
            return Some(table.root.clone());
        }
        let held = table.held.get_mut(&number)?;
        held.is_asked = false;
        Some(held.node.clone())
    }

    pub fn path(&self, number: u64) -> Option<String> {
        let table = self.table.lock();
        Some(table.held.peek(&number)?.node.path.clone())
    }

    /// Counts one more lookup of a node; the kernel gives it back with `forget`. Returns whether the kernel has to be asked
    /// to forget others.
    #[must_use]
    pub fn hold(&self, node: Node) -> bool {
        let number = node.attr.node;
        if number == ROOT {
            return false;
        }
        let node = Arc::new(node);
        let mut table = self.table.lock();
        let mut dropped = Dropped::new();
        table.bytes += node.cost();
        let new = Held {
            node: node.clone(),
            lookups: 0,
            opens: 0,
            is_asked: false,
        };
        let held = table.held.get_or_insert_mut(number, || new);
        held.lookups += 1;
        held.is_asked = false;
        if !Arc::ptr_eq(&held.node, &node) {
            let old = std::mem::replace(&mut held.node, node);
            table.bytes -= old.cost();
            dropped.push(old);
        }
        while table.bytes > 2 * self.soft
            && let Some(out) = table.drop_oldest()
        {
            dropped.push(out);
        }
        let is_over = table.bytes > self.soft;
        drop(table);
        is_over
    }

    /// Counts an open file or directory of a node.
    pub fn open(&self, number: u64) {
        if let Some(held) = self.table.lock().held.get_mut(&number) {
            held.opens += 1;
        }
    }

    /// Counts a close.
    pub fn close(&self, number: u64) {
        if let Some(held) = self.table.lock().held.get_mut(&number) {
            held.opens = held.opens.saturating_sub(1);
        }
    }

    /// The kernel gave back `lookups` references. Returns whether the node is gone.
    pub fn forget(&self, number: u64, lookups: u64) -> bool {
        let mut table = self.table.lock();
        let Some(held) = table.held.peek_mut(&number) else {
            return number != ROOT;
        };
        held.lookups = held.lookups.saturating_sub(lookups);
        if held.lookups > 0 {
            return false;
        }
        let gone = table.take(number);
        drop(table);
        drop(gone);
        true
    }

    /// Every held node below the path `root`.
    pub fn below(&self, root: &str) -> Vec<Stale> {
        let table = self.table.lock();
        let paths = table.held.iter().map(|(_, held)| held.node.path.as_str());
        let inside = |path: &&str| {
            path.strip_prefix(root)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        paths.filter(inside).map(Stale::of).collect()
    }

    /// The least recently used nodes, as many as are too many, at most `most` at a time; `None` when there is room. What is
    /// open stays.
    pub fn unused(&self, most: usize) -> Option<Unused> {
        let mut table = self.table.lock();
        // Some more, so that not each lookup that follows has one forgotten.
        let mut over = table.bytes.checked_sub(self.soft)? + self.soft / 8;
        let mut unused = Unused::default();
        for _ in 0..most.min(table.held.len()) {
            let Some((&number, held)) = table.held.peek_lru() else {
                break;
            };
            if held.opens == 0 {
                over = over.saturating_sub(held.node.cost());
                match held.is_asked {
                    false => unused.fresh.push(number),
                    true => unused.stubborn.push(Stale::of(&held.node.path)),
                }
            }
            if let Some(held) = table.held.get_mut(&number) {
                held.is_asked = true;
            }
            if over == 0 {
                break;
            }
        }
        // Directories were looked up before what lies in them.
        unused.fresh.reverse();
        // A few that the kernel kept are in use: a process works in such a directory, say. Many are not.
        if unused.stubborn.len() < unused.fresh.len() {
            unused.stubborn.clear();
        }
        Some(unused)
    }

    /// The same nodes by their names, for a kernel that prunes none.
    pub fn named(&self, mut unused: Unused) -> Unused {
        let table = self.table.lock();
        let fresh = unused.fresh.drain(..);
        let held = fresh.filter_map(|number| table.held.peek(&number));
        let names = held.map(|held| Stale::of(&held.node.path));
        unused.stubborn.extend(names);
        unused
    }

    /// About how much memory all nodes take.
    pub fn bytes(&self) -> usize {
        self.table.lock().bytes
    }
}

impl Table {
    fn take(&mut self, number: u64) -> Option<Arc<Node>> {
        let held = self.held.pop(&number)?;
        self.bytes -= held.node.cost();
        Some(held.node)
    }

    /// The least recently used node that is not open.
    fn drop_oldest(&mut self) -> Option<Arc<Node>> {
        // What is open is found again at the other end.
        for _ in 0..=OPEN_IN_A_ROW {
            let (&number, held) = self.held.peek_lru()?;
            if held.opens == 0 {
                return self.take(number);
            }
            self.held.promote(&number);
        }
        None
    }
}

/// A path's number: the first 63 bits of its SHA-1, so that it needs no table and survives a restart.
pub(super) fn number(path: &str) -> u64 {
    if path.is_empty() {
        return ROOT;
    }
    let digest = Sha1::digest(path.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    // Zero and the root's number are taken.
    (u64::from_be_bytes(first) >> 1).max(ROOT + 1)
}

/// Joins a name onto a path below the mountpoint.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}/{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_depend_on_the_path_alone() {
        assert_eq!(number(""), ROOT);
        assert_eq!(number("google/x/1"), number("google/x/1"));
        assert_ne!(number("google/x/1"), number("google/x/2"));
    }

    fn directory(path: &str) -> Node {
        Node {
            path: path.into(),
            refused: 0,
            spot: Spot::Above,
            attr: Attr::directory(number(path)),
        }
    }

    #[test]
    fn a_models_nodes_are_those_below_its_root() {
        let nodes = Nodes::new(1 << 20);
        for path in ["a/m/1", "a/m/1/x", "a/m/1/v/y", "a/m/10/x"] {
            assert!(!nodes.hold(directory(path)));
        }
        let mut below = nodes.below("a/m/1");
        below.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(below, [Stale::of("a/m/1/x"), Stale::of("a/m/1/v/y")]);
        assert_eq!(below[1].parent, number("a/m/1/v"));
    }

    #[test]
    fn a_node_goes_when_its_last_lookup_does() {
        let nodes = Nodes::new(1 << 20);
        assert!(!nodes.hold(directory("google")) && !nodes.hold(directory("google")));
        assert!(!nodes.forget(number("google"), 1));
        assert!(nodes.get(number("google")).is_some());
        assert!(nodes.forget(number("google"), 1));
        assert!(nodes.get(number("google")).is_none());
        assert!(!nodes.forget(ROOT, 5));
        assert!(nodes.get(ROOT).is_some());
        assert_eq!(nodes.bytes(), 0);
    }

    #[test]
    fn the_least_recently_used_are_forgotten_and_what_is_open_is_not() {
        let nodes = Nodes::new(100_000);
        let mut held = 0;
        while !nodes.hold(directory(&format!("n{held}"))) {
            held += 1;
        }
        assert!(nodes.get(number("n0")).is_some());
        nodes.open(number("n1"));
        let unused = nodes.unused(usize::MAX).unwrap();
        assert!(unused.stubborn.is_empty());
        assert_eq!(unused.fresh.last(), Some(&number("n2")));
        assert!(unused.fresh.len() > held / 10 && unused.fresh.len() < held / 4);
        for _ in 0..10 {
            nodes.unused(usize::MAX);
        }
        let unused = nodes.unused(usize::MAX).unwrap();
        assert!(unused.fresh.is_empty() && !unused.stubborn.is_empty());
        for number in unused.stubborn {
            nodes.forget(number.node, 1);
        }
        assert!(nodes.unused(usize::MAX).is_none());
        assert!(nodes.get(number("n1")).is_some());
    }

    #[test]
    fn a_kernel_that_forgets_nothing_does_not_make_it_grow() {
        let nodes = Nodes::new(100_000);
        let _ = nodes.hold(directory("open"));
        nodes.open(number("open"));
        for n in 0..10_000 {
            let _ = nodes.hold(directory(&format!("n{n}")));
        }
        assert!(nodes.bytes() <= 200_000);
        assert!(nodes.get(number("open")).is_some());
        assert!(nodes.get(number("n0")).is_none());
        assert!(nodes.get(number("n9999")).is_some());
        assert!(nodes.forget(number("n0"), 1));
    }
}
