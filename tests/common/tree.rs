//! Models that look real: the files TensorFlow writes, with bytes that do not compress.

use std::collections::BTreeSet;
use std::path::Path;

use super::bundle;

/// The files of a model in the order in which an archive will hold them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree(Vec<(String, Vec<u8>)>);

impl Tree {
    pub fn new() -> Tree {
        Tree::default()
    }

    pub fn with(mut self, path: &str, bytes: impl Into<Vec<u8>>) -> Tree {
        self.0.push((path.to_owned(), bytes.into()));
        self
    }

    pub fn files(&self) -> &[(String, Vec<u8>)] {
        &self.0
    }

    /// Every directory below the root, parents first.
    pub fn dirs(&self) -> BTreeSet<String> {
        let parents = self
            .0
            .iter()
            .flat_map(|(path, _)| Path::new(path).ancestors().skip(1));
        parents
            .map(|dir| dir.to_str().unwrap().to_owned())
            .filter(|dir| !dir.is_empty())
            .collect()
    }

    /// One file's bytes.
    #[track_caller]
    pub fn bytes(&self, path: &str) -> &[u8] {
        &self
            .0
            .iter()
            .find(|(known, _)| known == path)
            .unwrap_or_else(|| panic!("no {path} in this tree"))
            .1
    }

    /// Asserts that a directory holds exactly these files with these bytes.
    #[track_caller]
    pub fn assert_at(&self, root: &Path) {
        let mut found = Vec::new();
        walk(root, "", &mut found);
        let mut wanted = self.0.clone();
        wanted.sort();
        found.sort();
        let list = |files: &[(String, Vec<u8>)]| {
            files
                .iter()
                .map(|(path, bytes)| (path.clone(), bytes.len()))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            list(&found),
            list(&wanted),
            "names and sizes below {}",
            root.display()
        );
        for ((path, got), (_, wanted)) in found.iter().zip(&wanted) {
            assert!(
                got == wanted,
                "the bytes of {path} below {}",
                root.display()
            );
        }
    }

    /// Writes the files to a plain directory.
    pub fn write_to(&self, root: &Path) {
        std::fs::create_dir_all(root).unwrap();
        for (path, bytes) in &self.0 {
            let to = root.join(path);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::write(to, bytes).unwrap();
        }
    }
}

/// The paths of all files below a directory in which others may be removing files.
pub fn files_below(root: &Path) -> Vec<String> {
    let (mut found, mut dirs) = (Vec::new(), vec![root.to_owned()]);
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => dirs.push(entry.path()),
                _ => found.extend(
                    entry
                        .path()
                        .strip_prefix(root)
                        .ok()
                        .and_then(Path::to_str)
                        .map(str::to_owned),
                ),
            }
        }
    }
    found
}

fn walk(root: &Path, below: &str, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(root.join(below)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = if below.is_empty() {
            name
        } else {
            format!("{below}/{name}")
        };
        if entry.file_type().unwrap().is_dir() {
            walk(root, &path, found);
        } else {
            let bytes = std::fs::read(root.join(&path)).unwrap();
            found.push((path, bytes));
        }
    }
}

/// Bytes that no compressor shrinks; the same for the same seed.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// A TF2 SavedModel with so many bytes of variables; `saved_model.pb` comes first, the variables last.
pub fn saved_model(seed: u64, variables: usize) -> Tree {
    Tree::new()
        .with("saved_model.pb", noise(seed, 20_000))
        .with("fingerprint.pb", noise(seed + 1, 56))
        .with("assets/vocab.txt", format!("[PAD]\n[UNK]\nword{seed}\n"))
        .with(
            "variables/variables.index",
            bundle::index(1, variables as u64),
        )
        .with(
            "variables/variables.data-00000-of-00001",
            noise(seed + 2, variables),
        )
}
