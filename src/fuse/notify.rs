//! What the kernel is told without being asked: to forget names, pages and nodes.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};

use fuser::{INodeNo, Notifier};

use crate::vfs::{Kernel, Stale};

/// `FUSE_NOTIFY_PRUNE` of Linux 6.18 (`include/uapi/linux/fuse.h`), which fuser does not have.
const PRUNE: u32 = 9;

/// The kernel of one session.
pub(super) struct KernelOfSession {
    notifier: Notifier,
    device: File,
}

impl KernelOfSession {
    /// `device` is a copy of the session's descriptor.
    pub fn new(notifier: Notifier, device: File) -> KernelOfSession {
        KernelOfSession { notifier, device }
    }
}

impl Kernel for KernelOfSession {
    fn prune(&self, nodes: &[u64]) -> io::Result<()> {
        if nodes.is_empty() {
            return Ok(());
        }
        (&self.device).write_all(&prune_request(nodes))
    }

    fn forget_name(&self, stale: &Stale) -> io::Result<()> {
        let name = OsStr::new(&stale.name);
        self.notifier.inval_entry(INodeNo(stale.parent), name)
    }

    fn drop_pages(&self, node: u64) -> io::Result<()> {
        self.notifier.inval_inode(INodeNo(node), 0, 0)
    }
}

/// `fuse_out_header`, `fuse_notify_prune_out`, and the nodes.
fn prune_request(nodes: &[u64]) -> Vec<u8> {
    const HEAD: usize = 32;
    let length = HEAD + size_of_val(nodes);
    let mut request = Vec::with_capacity(length);
    for word in [length as u32, PRUNE, 0, 0, nodes.len() as u32, 0, 0, 0] {
        request.extend(word.to_ne_bytes());
    }
    request.extend(nodes.iter().flat_map(|node| node.to_ne_bytes()));
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_a_header_a_count_and_the_nodes() {
        let request = prune_request(&[7, 1 << 62]);
        assert_eq!(request.len(), 48);
        let word = |at: usize| u32::from_ne_bytes(request[at..at + 4].try_into().unwrap());
        assert_eq!((word(0), word(4), word(16)), (48, 9, 2));
        assert_eq!(request[40..], (1u64 << 62).to_ne_bytes());
    }
}
