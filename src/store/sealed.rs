//! A complete model, read from its directory.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::os;

use super::index::{Index, is_plain};
use super::outline::{Outline, Stat};

/// A complete model. Its names are read once, when it is found; nothing in it ever changes.
#[derive(Debug)]
pub struct Sealed {
    dir: PathBuf,
    outline: Arc<Outline>,
    odd: Vec<PathBuf>,
}

impl Sealed {
    /// Reads the names in `dir`, whether it is complete or not.
    ///
    /// Only plain files and directories count. Links are left out (tensorflow_hub makes none): a daemon that runs as root
    /// must not be led out of the cache by whoever may write to it. Names that are not UTF-8 are left out too.
    pub(super) fn load(dir: PathBuf) -> io::Result<Sealed> {
        let mut index = Index::new(std::fs::metadata(&dir)?.modified()?);
        let mut odd = Vec::new();
        let mut left = vec![String::new()];
        while let Some(parent) = left.pop() {
            for entry in std::fs::read_dir(dir.join(&parent))? {
                let entry = entry?;
                let name = match entry.file_name().into_string() {
                    Ok(name) => name,
                    Err(name) => {
                        odd.push(Path::new(&parent).join(name));
                        continue;
                    }
                };
                let path = if parent.is_empty() {
                    name
                } else {
                    format!("{parent}/{name}")
                };
                let meta = entry.metadata()?;
                if meta.is_dir() {
                    index.add_dir(&path, meta.modified()?);
                    left.push(path);
                } else if meta.is_file() {
                    index.add_file(
                        &path,
                        Stat {
                            size: meta.len(),
                            mtime: meta.modified()?,
                        },
                    );
                } else {
                    odd.push(PathBuf::from(path));
                }
            }
        }
        let outline = Arc::new(Outline { index });
        Ok(Sealed { dir, outline, odd })
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
        if !is_plain(path) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // Neither a link nor a FIFO that somebody put in the place of a name leads astray or waits.
        os::fs::open_beneath(&self.dir, Path::new(path))
    }

    /// Holds the model: as long as the file is open, no process that shares the cache lets it leave to make room. `None` if it
    /// has gone, or has no file.
    pub fn hold(&self) -> Option<File> {
        let (path, _) = self.files().next()?;
        self.open(&path).ok()
    }

    /// What is in it that no model has: links, devices, names that are not UTF-8.
    pub(super) fn odd(&self) -> &[PathBuf] {
        &self.odd
    }

    /// Its names, which stay known when it has left the cache.
    pub fn outline(&self) -> &Arc<Outline> {
        &self.outline
    }
}

impl Deref for Sealed {
    type Target = Outline;

    fn deref(&self) -> &Outline {
        &self.outline
    }
}

#[cfg(test)]
mod tests {
    use super::super::index::Attr;
    use super::*;
    use std::io::Read;
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
}
