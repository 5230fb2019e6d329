//! A complete model, read from its directory.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::handle::is_plain_path;
use crate::os;
use crate::os::dir::{Dir, Kind};
use crate::savedmodel;

use super::file_tree::{FileTree, Stat};
use super::index::Index;

/// A complete model. Its names are read once, when it is found; nothing in it ever changes.
#[derive(Debug)]
pub struct Sealed {
    dir: PathBuf,
    tree: Arc<FileTree>,
    odd: Vec<PathBuf>,
}

impl Sealed {
    /// Reads the names in `dir`, whether it is complete or not.
    ///
    /// Only plain files and directories count. Links are left out (tensorflow_hub makes none): a daemon that runs as root
    /// must not be led out of the cache by whoever may write to it. Names that are not UTF-8 are left out too.
    pub(in crate::cache) fn load(dir: PathBuf) -> io::Result<Sealed> {
        Sealed::load_with(dir, |_| {})
    }

    /// `before` is told of each directory that is about to be opened.
    fn load_with(dir: PathBuf, before: impl Fn(&str)) -> io::Result<Sealed> {
        let mut top = Dir::top(&dir)?;
        let mut names = Names {
            index: Index::new(top.mtime()?),
            odd: Vec::new(),
            left: Vec::new(),
        };
        names.add(&mut top, "")?;
        while let Some(parent) = names.left.pop() {
            before(&parent);
            names.add(&mut top.below(Path::new(&parent))?, &parent)?;
        }
        let Names { index, odd, .. } = names;
        let tree = Arc::new(FileTree::new(index));
        Ok(Sealed { dir, tree, odd })
    }

    /// The model, after its directory was renamed to `dir`.
    pub(in crate::cache) fn moved_to(self, dir: PathBuf) -> Sealed {
        Sealed { dir, ..self }
    }

    /// The model's directory in the cache.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    ///
    /// Those of open(2): above all `NotFound`, if the model was taken out of the cache since it was found.
    pub fn open(&self, path: &str) -> io::Result<File> {
        if !is_plain_path(path) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // Neither a link nor a FIFO that somebody put in the place of a name leads astray or waits.
        os::beneath::open_read(&os::beneath::top_path(&self.dir)?, Path::new(path))
    }

    /// Holds the model: as long as the file is open, no process that shares the cache lets it leave to make room. `None` if it
    /// has gone, or has no file.
    pub fn hold(&self) -> Option<File> {
        let (path, _) = self.files().next()?;
        self.open(&path).ok()
    }

    /// What is in it that no model has: links, devices, names that are not UTF-8.
    pub(in crate::cache) fn odd(&self) -> &[PathBuf] {
        &self.odd
    }

    /// Its names, which stay known when it has left the cache.
    pub fn file_tree(&self) -> &Arc<FileTree> {
        &self.tree
    }
}

impl savedmodel::Files for Sealed {
    fn files_in(&self, dir: &str) -> Option<Vec<(&str, u64)>> {
        Some(self.tree.files_in(dir)?.collect())
    }

    fn size(&self, path: &str) -> Option<u64> {
        self.tree.size(path)
    }

    fn open(&self, path: &str) -> Option<impl Read + Seek> {
        Sealed::open(self, path).ok()
    }
}

/// The names that were read so far.
struct Names {
    index: Index<Stat>,
    odd: Vec<PathBuf>,
    /// Directories that are to be read.
    left: Vec<String>,
}

impl Names {
    fn add(&mut self, dir: &mut Dir, parent: &str) -> io::Result<()> {
        for entry in dir {
            let entry = entry?;
            let name = match entry.name.into_string() {
                Ok(name) => name,
                Err(name) => {
                    self.odd.push(Path::new(parent).join(name));
                    continue;
                }
            };
            let path = if parent.is_empty() {
                name
            } else {
                format!("{parent}/{name}")
            };
            let (size, mtime) = (entry.size, entry.mtime);
            match entry.kind {
                Kind::Dir => {
                    self.index.add_dir(&path, mtime);
                    self.left.push(path);
                }
                Kind::File => self.index.add_file(&path, Stat { size, mtime }),
                Kind::Other => self.odd.push(PathBuf::from(path)),
            }
        }
        Ok(())
    }
}

impl Deref for Sealed {
    type Target = FileTree;

    fn deref(&self) -> &FileTree {
        &self.tree
    }
}

#[cfg(test)]
mod tests {
    use super::super::index::Attr;
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn names_sizes_and_bytes() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/b/c"), "hello").unwrap();
        std::fs::write(dir.path().join("z"), "").unwrap();
        let sealed = Sealed::load(dir.path().to_path_buf()).unwrap();
        assert!(matches!(
            sealed.find("a/b/c"),
            Some(Attr::File { size: 5, .. })
        ));
        assert!(matches!(sealed.find(""), Some(Attr::Dir { .. })));
        assert_eq!(sealed.find("a/b/d"), None);
        let names: Vec<_> = sealed
            .children("")
            .unwrap()
            .into_iter()
            .map(|child| child.name)
            .collect();
        assert_eq!(names, ["a", "z"]);
        assert_eq!(sealed.children("z"), None);
        let mut text = String::new();
        sealed
            .open("a/b/c")
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!((text.as_str(), sealed.bytes()), ("hello", 5));
    }

    #[test]
    fn nothing_leads_out_of_it() {
        let dir = tempfile::tempdir().unwrap();
        symlink("/etc/passwd", dir.path().join("link")).unwrap();
        symlink("/etc", dir.path().join("etc")).unwrap();
        let sealed = Sealed::load(dir.path().to_path_buf()).unwrap();
        assert_eq!(sealed.children("").unwrap(), []);
        for path in ["link", "../x", "/etc/passwd", ""] {
            assert!(sealed.open(path).is_err(), "{path}");
        }
    }
    #[test]
    fn a_directory_that_became_a_link_leads_nowhere() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::create_dir(dir.path().join("a")).unwrap();
        for at in [dir.path().join("a"), outside.path().to_path_buf()] {
            std::fs::write(at.join("b"), "hello").unwrap();
        }
        let sealed = Sealed::load(dir.path().to_path_buf()).unwrap();
        assert!(sealed.open("a/b").is_ok());
        std::fs::remove_dir_all(dir.path().join("a")).unwrap();
        symlink(outside.path(), dir.path().join("a")).unwrap();
        assert!(sealed.open("a/b").is_err());
    }

    #[test]
    fn a_directory_that_becomes_a_link_while_names_are_read_is_not_listed() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(outside.path().join("secret"), "hello").unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        for swapped in ["a/b", "a"] {
            let swap = |name: &str| {
                if name == swapped {
                    let at = dir.path().join(name);
                    std::fs::rename(&at, dir.path().join("away")).unwrap();
                    symlink(outside.path(), &at).unwrap();
                }
            };
            let error = Sealed::load_with(dir.path().to_path_buf(), swap).unwrap_err();
            assert!(
                matches!(error.raw_os_error(), Some(libc::ELOOP | libc::ENOTDIR)),
                "{error}"
            );
            std::fs::remove_file(dir.path().join(swapped)).unwrap();
            std::fs::rename(dir.path().join("away"), dir.path().join(swapped)).unwrap();
        }
    }

    #[test]
    fn a_model_that_becomes_a_link_of_another_user_is_not_opened() {
        os::testing::needs_root();
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let model = dir.path().join("model");
        std::fs::create_dir(&model).unwrap();
        for at in [&*model, outside.path()] {
            std::fs::write(at.join("shadow"), "hello").unwrap();
        }
        let sealed = Sealed::load(model.clone()).unwrap();
        assert!(sealed.open("shadow").is_ok());
        std::fs::remove_dir_all(&model).unwrap();
        symlink(outside.path(), &model).unwrap();
        std::os::unix::fs::lchown(&model, Some(65534), None).unwrap();
        assert!(sealed.open("shadow").is_err());
        assert!(Sealed::load(model).is_err());
    }
}
