//! The served directory, and what of it is offered.
//!
//! Hidden names are skipped, a symbolic link is followed only if its end lies
//! inside the served directory, and what is neither file nor directory (a FIFO
//! would block its opener) is refused. A check resolves the links of a path; what
//! is opened afterwards is opened beneath the served directory through no link at
//! all, so that one that is swapped in between the two leads nowhere.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::path::{Path, PathBuf};
use std::{fmt, io};

use crate::os::beneath;

/// An entry that must not be offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stray {
    /// A link whose end lies outside the served directory.
    Outside,
    /// A link to a directory that it lies in.
    Loop,
    /// A link to nothing.
    Dangling,
    /// A FIFO, socket or device.
    Special,
}

impl fmt::Display for Stray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stray::Outside => "a symbolic link that leads out of the served directory",
            Stray::Loop => "a symbolic link to a directory that contains it",
            Stray::Dangling => "a symbolic link that leads nowhere",
            Stray::Special => "neither a file nor a directory",
        })
    }
}

/// What an entry turned out to be.
pub enum Checked {
    /// A file or directory inside the served directory: its path without links, and its metadata.
    Inside(PathBuf, Metadata),
    /// Not to be offered.
    Stray(Stray),
}

/// True for names that are never offered.
pub fn hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().first() == Some(&b'.')
}

/// The served directory: everything in it is reached through this.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
}

impl Root {
    /// The directory `dir`, wherever links on the way to it lead now.
    ///
    /// # Errors
    /// It is no directory, or cannot be reached.
    pub fn new(dir: &Path) -> io::Result<Root> {
        let path = fs::canonicalize(dir)?;
        match path.is_dir() {
            true => Ok(Root { path }),
            false => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// Its path, without links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a plain file for reading. `at` is a path that was checked.
    ///
    /// # Errors
    /// Those of openat2(2): ELOOP if a link is on the way by now.
    pub fn open(&self, at: &Path) -> io::Result<File> {
        let (base, name) = self.beneath(at)?;
        beneath::open_read(&base, name)
    }

    /// Lists a directory. `at` is a path that was checked.
    ///
    /// # Errors
    /// As [`Root::open`].
    pub fn list(&self, at: &Path) -> io::Result<beneath::Listing> {
        let (base, name) = self.beneath(at)?;
        beneath::list(&base, name)
    }

    /// What `at` is; of a link itself, in the last component.
    ///
    /// # Errors
    /// As [`Root::open`].
    pub fn metadata(&self, at: &Path) -> io::Result<Metadata> {
        let (base, name) = self.beneath(at)?;
        beneath::metadata(&base, name)
    }

    /// Looks at `at`, of which `meta` is known and whose parent was checked. `chain` holds the directories through which
    /// the walk came here: to meet one of them again is a loop.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn check(&self, chain: &[PathBuf], at: &Path, mut meta: Metadata) -> io::Result<Checked> {
        let mut place = at.to_owned();
        if meta.is_symlink() {
            place = match fs::canonicalize(at) {
                Ok(place) => place,
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    return Ok(Checked::Stray(Stray::Dangling));
                }
                Err(e) => return Err(e),
            };
            if !place.starts_with(&self.path) {
                return Ok(Checked::Stray(Stray::Outside));
            }
            meta = self.metadata(&place)?;
            if chain.contains(&place) {
                return Ok(Checked::Stray(Stray::Loop));
            }
        }
        if meta.is_dir() || meta.is_file() {
            Ok(Checked::Inside(place, meta))
        } else {
            Ok(Checked::Stray(Stray::Special))
        }
    }

    fn beneath<'a>(&self, at: &'a Path) -> io::Result<(File, &'a Path)> {
        let name = at.strip_prefix(&self.path);
        let name = name.map_err(|_| io::Error::from(io::ErrorKind::NotFound))?;
        Ok((beneath::top_path(&self.path)?, name))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn check(root: &Path, chain: &[PathBuf], path: &Path) -> io::Result<Checked> {
        let root = Root::new(root)?;
        root.check(chain, path, root.metadata(path)?)
    }

    fn verdict(root: &Path, path: &Path) -> Option<Stray> {
        match check(root, &[root.to_owned(), root.join("a")], path).unwrap() {
            Checked::Inside(..) => None,
            Checked::Stray(stray) => Some(stray),
        }
    }

    #[test]
    fn links_are_followed_only_inside() {
        let temp = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(temp.path()).unwrap().join("root");
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::create_dir(root.join("c")).unwrap();
        fs::write(root.join("a/file"), "x").unwrap();
        fs::write(temp.path().join("secret"), "x").unwrap();
        symlink("../a/file", root.join("c/near")).unwrap();
        symlink("../../secret", root.join("c/out")).unwrap();
        symlink("/etc/passwd", root.join("c/etc")).unwrap();
        symlink("missing", root.join("c/nothing")).unwrap();
        symlink("..", root.join("a/b/up")).unwrap();
        symlink("self", root.join("c/self")).unwrap();
        assert_eq!(verdict(&root, &root.join("a/file")), None);
        assert_eq!(verdict(&root, &root.join("c/near")), None);
        assert_eq!(verdict(&root, &root.join("c/out")), Some(Stray::Outside));
        assert_eq!(verdict(&root, &root.join("c/etc")), Some(Stray::Outside));
        assert_eq!(
            verdict(&root, &root.join("c/nothing")),
            Some(Stray::Dangling)
        );
        assert_eq!(verdict(&root, &root.join("a/b/up")), Some(Stray::Loop));
        assert!(check(&root, &[], &root.join("c/self")).is_err());
    }

    #[test]
    fn a_sibling_whose_name_begins_alike_is_outside() {
        let temp = tempfile::tempdir().unwrap();
        let base = fs::canonicalize(temp.path()).unwrap();
        fs::create_dir(base.join("root")).unwrap();
        fs::create_dir(base.join("root-private")).unwrap();
        symlink("../root-private", base.join("root/x")).unwrap();
        assert_eq!(
            verdict(&base.join("root"), &base.join("root/x")),
            Some(Stray::Outside)
        );
    }

    #[test]
    fn special_files_are_refused() {
        let temp = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(temp.path()).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("s")).unwrap();
        assert_eq!(verdict(&root, &root.join("s")), Some(Stray::Special));
    }
}
