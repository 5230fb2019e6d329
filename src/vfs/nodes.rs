//! The nodes that the kernel holds: number to path, and what the path means.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use parking_lot::RwLock;
use sha1::{Digest, Sha1};

use super::attr::Attr;
use super::retire::Stale;
use crate::handle::{BucketPath, Catalogue, Handle};
use crate::models::Model;

/// The root's number, fixed by the kernel's protocol.
pub const ROOT: u64 = 1;

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

/// The table of nodes.
pub(super) struct Nodes {
    /// Boxed, because the map moves and reserves what it holds: the kernel keeps tens of thousands.
    table: RwLock<HashMap<u64, Box<Held>>>,
}

struct Held {
    node: Node,
    lookups: u64,
}

impl Default for Nodes {
    fn default() -> Nodes {
        let root = Node {
            path: String::new(),
            refused: 0,
            spot: Spot::Above,
            attr: Attr::directory(ROOT),
        };
        let held = Box::new(Held {
            node: root,
            lookups: 1,
        });
        Nodes {
            table: RwLock::new(HashMap::from([(ROOT, held)])),
        }
    }
}

impl Nodes {
    pub fn get(&self, number: u64) -> Option<Node> {
        self.table.read().get(&number).map(|held| held.node.clone())
    }

    pub fn path(&self, number: u64) -> Option<String> {
        self.table
            .read()
            .get(&number)
            .map(|held| held.node.path.clone())
    }

    /// Counts one more lookup of a node; the kernel gives it back with `forget`.
    pub fn hold(&self, node: Node) {
        let mut table = self.table.write();
        match table.entry(node.attr.node) {
            Entry::Occupied(mut held) => {
                let held = held.get_mut();
                held.node = node;
                held.lookups += 1;
            }
            Entry::Vacant(free) => {
                free.insert(Box::new(Held { node, lookups: 1 }));
            }
        }
    }

    /// Every held node below the path `root`.
    pub fn below(&self, root: &str) -> Vec<Stale> {
        let table = self.table.read();
        let paths = table.values().map(|held| held.node.path.as_str());
        let inside = |path: &&str| {
            path.strip_prefix(root)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        paths.filter(inside).map(Stale::of).collect()
    }

    pub fn forget(&self, number: u64, lookups: u64) {
        if number == ROOT {
            return;
        }
        let mut table = self.table.write();
        if let Some(held) = table.get_mut(&number) {
            held.lookups = held.lookups.saturating_sub(lookups);
            if held.lookups == 0 {
                table.remove(&number);
            }
        }
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

    #[test]
    fn a_models_nodes_are_those_below_its_root() {
        let nodes = Nodes::default();
        for path in ["a/m/1", "a/m/1/x", "a/m/1/v/y", "a/m/10/x"] {
            nodes.hold(Node {
                path: path.into(),
                refused: 0,
                spot: Spot::Above,
                attr: Attr::directory(number(path)),
            });
        }
        let mut below = nodes.below("a/m/1");
        below.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(below, [Stale::of("a/m/1/x"), Stale::of("a/m/1/v/y")]);
        assert_eq!(below[1].parent, number("a/m/1/v"));
    }

    #[test]
    fn a_node_goes_when_its_last_lookup_does() {
        let nodes = Nodes::default();
        let node = Node {
            path: "google".into(),
            refused: 0,
            spot: Spot::Above,
            attr: Attr::directory(number("google")),
        };
        nodes.hold(node.clone());
        nodes.hold(node);
        nodes.forget(number("google"), 1);
        assert!(nodes.get(number("google")).is_some());
        nodes.forget(number("google"), 1);
        assert!(nodes.get(number("google")).is_none());
        nodes.forget(ROOT, 5);
        assert!(nodes.get(ROOT).is_some());
    }
}
