//! A sink that keeps everything in memory and checks that it is called as promised.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::archive::{Name, Sink};

#[derive(Debug, thiserror::Error)]
#[error("this sink does not fail")]
pub(super) enum Never {}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Dir,
    File(Vec<u8>),
}

impl Node {
    pub(super) fn file(bytes: impl AsRef<[u8]>) -> Node {
        Node::File(bytes.as_ref().to_vec())
    }
}

#[derive(Default)]
pub(super) struct Tree {
    /// Explicit entries only: parents that are merely implied are not here.
    pub(super) nodes: BTreeMap<String, Node>,
    pub(super) times: BTreeMap<String, SystemTime>,
    pub(super) holes: u64,
    open: Option<(String, u64, Vec<u8>)>,
}

impl Tree {
    pub(super) fn assert_settled(&self) {
        assert!(self.open.is_none(), "a file was never ended");
    }

    /// Bytes of the file that is not ended yet.
    pub(super) fn partial(&self) -> Option<&[u8]> {
        self.open.as_ref().map(|(_, _, bytes)| &bytes[..])
    }
}

impl Sink for Tree {
    type Error = Never;

    fn dir(&mut self, path: &Name, mtime: SystemTime) -> Result<(), Never> {
        self.assert_settled();
        let known = self.nodes.insert(path.to_string(), Node::Dir);
        assert!(!matches!(known, Some(Node::File(_))), "{path} was a file");
        self.times.insert(path.to_string(), mtime);
        Ok(())
    }

    fn file(&mut self, path: &Name, size: u64, mtime: SystemTime) -> Result<(), Never> {
        self.assert_settled();
        for parent in path.parents() {
            assert!(
                !matches!(self.nodes.get(parent), Some(Node::File(_))),
                "{path} is below a file"
            );
        }
        self.open = Some((path.to_string(), size, Vec::new()));
        self.times.insert(path.to_string(), mtime);
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), Never> {
        assert!(!bytes.is_empty());
        let (_, size, file) = self.open.as_mut().expect("data outside a file");
        file.extend_from_slice(bytes);
        assert!(file.len() as u64 <= *size, "more data than announced");
        Ok(())
    }

    fn hole(&mut self, len: u64) -> Result<(), Never> {
        assert_ne!(len, 0);
        self.holes += len;
        let (_, size, file) = self.open.as_mut().expect("a hole outside a file");
        assert!(
            file.len() as u64 + len <= *size,
            "more holes than announced"
        );
        file.resize(file.len() + usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Never> {
        let (path, size, file) = self.open.take().expect("an end without a file");
        assert_eq!(file.len() as u64, size, "{path} is not complete");
        let known = self.nodes.insert(path.clone(), Node::File(file));
        assert!(!matches!(known, Some(Node::Dir)), "{path} was a directory");
        Ok(())
    }
}
