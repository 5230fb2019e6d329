//! Attributes, in the few forms that exist here.

use std::time::{Duration, SystemTime};

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
}

/// A node's attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attr {
    /// The node's number.
    pub node: u64,
    /// What it is.
    pub kind: Kind,
    /// Size in bytes; always exact.
    pub size: u64,
    /// From the archive, or the epoch for directories of our own.
    pub mtime: SystemTime,
}

/// How long the kernel may use an answer without asking again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ttl {
    /// Not at all.
    Zero,
    /// While something is moving: a filling model, `latest`.
    Short,
    /// A versioned model never changes.
    Forever,
}

impl Ttl {
    /// The span to tell the kernel.
    pub fn span(self) -> Duration {
        match self {
            Ttl::Zero => Duration::ZERO,
            Ttl::Short => Duration::from_secs(1),
            // Ten years: the kernel's jiffies hold it on every architecture.
            Ttl::Forever => Duration::from_secs(10 * 365 * 24 * 3600),
        }
    }
}

/// A found name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The node's attributes.
    pub attr: Attr,
    /// How long they hold.
    pub ttl: Ttl,
}

impl Attr {
    pub(super) fn directory(node: u64) -> Attr {
        Attr {
            node,
            kind: Kind::Directory,
            size: 0,
            mtime: SystemTime::UNIX_EPOCH,
        }
    }

    pub(super) fn link(node: u64, target: &str) -> Attr {
        Attr {
            node,
            kind: Kind::Link,
            size: target.len() as u64,
            mtime: SystemTime::UNIX_EPOCH,
        }
    }
}
