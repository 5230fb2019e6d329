//! What the bucket holds: each file of a model under its path below the served
//! directory, and each ready-made archive.
//!
//! ```text
//! google/spice/2/saved_model.pb      a file of the directory google/spice/2
//! google/ready/1.tar.gz              an archive
//! ```

use std::io;
use std::path::{Path, PathBuf};

use crate::server::Error;
use crate::server::confine::{self, Checked, Root};
use crate::server::index::{Form, Found, Listing, Suffix};
use crate::server::survey::Stamp;

/// The longest name that Cloud Storage gives an object.
const MAX_NAME: usize = 1024;

/// One file as an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its name in the bucket.
    pub name: String,
    /// Where it is, links resolved.
    pub path: PathBuf,
    /// Its state, of which its generation is made.
    pub stamp: Stamp,
}

/// A part of the bucket that a scan knows of: the names in different units do
/// not interleave, because a version lies in no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unit<'a> {
    /// An object.
    Archive(String, &'a Path),
    /// All objects whose names begin so, which lie below a directory.
    Tree(String, &'a Path),
}

impl Unit<'_> {
    /// The name of the object, or what all names in it begin with.
    pub fn name(&self) -> &str {
        match self {
            Unit::Archive(name, _) | Unit::Tree(name, _) => name,
        }
    }
}

/// All that a scan found, in the order of names.
pub fn units(listing: &Listing) -> Vec<Unit<'_>> {
    let mut units = Vec::new();
    for (model, versions) in &listing.models {
        units.extend(versions.iter().map(|(number, form)| match form {
            Form::Tree(dir) => Unit::Tree(format!("{model}/{number}/"), dir),
            Form::Ready(path, suffix) => {
                Unit::Archive(format!("{model}/{number}{}", suffix.text()), path)
            }
        }));
    }
    units.sort_by(|a, b| a.name().cmp(b.name()));
    units
}

/// True for what Cloud Storage allows as a name and every client can say: valid
/// UTF-8 was checked before, control characters could not be written in XML.
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME && !name.contains(char::is_control)
}

/// The object of this name. Waits for the disk.
///
/// # Errors
/// What cannot be read.
pub fn find(root: &Root, listing: &Listing, name: &str) -> Result<Option<Object>, Error> {
    if !is_name(name) {
        return Ok(None);
    }
    let path = match place(root, listing, name)? {
        Some(path) => path,
        None => return Ok(None),
    };
    let stamp = match root.metadata(&path) {
        Ok(meta) => Stamp::of(&meta),
        Err(e) if means_nothing(&e) => return Ok(None),
        Err(e) => return Err(Error::read(&path, e)),
    };
    let name = name.to_owned();
    Ok(Some(Object { name, path, stamp }))
}

fn place(root: &Root, listing: &Listing, name: &str) -> Result<Option<PathBuf>, Error> {
    for suffix in Suffix::ALL {
        if let Some(stem) = name.strip_suffix(suffix.text())
            && let Found::Version { form, .. } = listing.find(stem)
            && let Form::Ready(path, of) = form
            && *of == suffix
        {
            return Ok(Some(path.clone()));
        }
    }
    for (at, _) in name.match_indices('/') {
        if let Found::Version { form, .. } = listing.find(&name[..at])
            && let Form::Tree(dir) = form
        {
            return descend(root, dir, &name[at + 1..]);
        }
    }
    Ok(None)
}

/// Follows `rest` below `dir`, each step looked at as a survey looks at it.
fn descend(root: &Root, dir: &Path, rest: &str) -> Result<Option<PathBuf>, Error> {
    let mut chain = vec![dir.to_owned()];
    let mut steps = rest.split('/').peekable();
    while let Some(step) = steps.next() {
        if step.is_empty() || confine::hidden(step.as_ref()) {
            return Ok(None);
        }
        let Some(above) = chain.last() else {
            return Ok(None);
        };
        let at = above.join(step);
        let checked = root.metadata(&at);
        match checked.and_then(|meta| root.check(&chain, &at, meta)) {
            Ok(Checked::Inside(place, meta)) if meta.is_dir() && steps.peek().is_some() => {
                chain.push(place);
            }
            Ok(Checked::Inside(place, meta)) if meta.is_file() && steps.peek().is_none() => {
                return Ok(Some(place));
            }
            Ok(_) => return Ok(None),
            Err(e) if means_nothing(&e) => return Ok(None),
            Err(e) => return Err(Error::read(&at, e)),
        }
    }
    Ok(None)
}

fn means_nothing(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | InvalidFilename)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::server::ModelIndex;
    use crate::server::testing::Tree;

    #[test]
    fn names_lead_to_the_files_of_models_and_nowhere_else() {
        let tree = Tree::new(&[
            ("g/m/1/saved_model.pb", "s"),
            ("g/m/1/a/b.txt", "b"),
            ("g/m/1/.hidden", "h"),
            ("g/m/2.tar.gz", "z"),
            ("g/notes.txt", "n"),
        ]);
        symlink("/etc", tree.path().join("g/m/1/etc")).unwrap();
        symlink("..", tree.path().join("g/m/1/a/up")).unwrap();
        symlink("a/b.txt", tree.path().join("g/m/1/near")).unwrap();
        let listing = ModelIndex::open(tree.path()).unwrap().known();
        let find = |name: &str| find(&tree.root(), &listing, name).unwrap();
        for (name, at) in [
            ("g/m/1/saved_model.pb", "g/m/1/saved_model.pb"),
            ("g/m/1/a/b.txt", "g/m/1/a/b.txt"),
            ("g/m/1/near", "g/m/1/a/b.txt"),
            ("g/m/2.tar.gz", "g/m/2.tar.gz"),
        ] {
            assert_eq!(find(name).unwrap().path, tree.path().join(at), "{name}");
        }
        for nothing in [
            "",
            "g/m/1",
            "g/m/1/",
            "g/m/1/a",
            "g/m/1/a/",
            "g/m/1//saved_model.pb",
            "g/m/1/./saved_model.pb",
            "g/m/1/../1/saved_model.pb",
            "g/m/1/.hidden",
            "g/m/1/etc/passwd",
            "g/m/1/a/up/saved_model.pb",
            "g/m/1/saved_model.pb/x",
            "g/m/1/a\0b",
            "g/m/2.tgz",
            "g/m/2/x",
            "g/notes.txt",
            "/g/m/1/saved_model.pb",
        ] {
            assert_eq!(find(nothing), None, "{nothing:?}");
        }
        assert_eq!(find(&format!("g/m/1/{}", "x".repeat(300))), None);
        assert_eq!(find(&"x/".repeat(600)), None);
    }
}
