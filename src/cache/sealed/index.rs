//! The names in a model: a tree of directories, looked up by path.

use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

/// What stat(2) has to say of a name in a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attr {
    /// A directory.
    Dir {
        /// Of the directory itself.
        mtime: SystemTime,
    },
    /// A plain file.
    File {
        /// In bytes; always exact.
        size: u64,
        /// As the archive has it.
        mtime: SystemTime,
    },
}

/// One line of a directory listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// The last component.
    pub name: String,
    /// What it is.
    pub attr: Attr,
}

/// What a name stands for.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cache) enum Entry<'a, F> {
    Dir(SystemTime),
    File(&'a F),
}

/// Directories by their path ("" is the model itself), each with its children. `F` is what is known of a file.
#[derive(Debug)]
pub(in crate::cache) struct Index<F> {
    dirs: HashMap<Box<str>, Dir<F>>,
}

#[derive(Debug)]
struct Dir<F> {
    mtime: SystemTime,
    children: BTreeMap<Box<str>, Node<F>>,
}

#[derive(Debug)]
enum Node<F> {
    Dir,
    File(F),
}

/// The name that is a file where a directory is wanted, or the other way round.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cache) struct Conflict(pub(in crate::cache) String);

impl<F> Index<F> {
    pub(in crate::cache) fn new(mtime: SystemTime) -> Index<F> {
        Index {
            dirs: HashMap::from([(Box::from(""), Dir::new(mtime))]),
        }
    }

    pub(in crate::cache) fn get(&self, path: &str) -> Option<Entry<'_, F>> {
        if let Some(dir) = self.dirs.get(path) {
            return Some(Entry::Dir(dir.mtime));
        }
        let (parent, name) = split(path);
        match self.dirs.get(parent)?.children.get(name)? {
            Node::Dir => None,
            Node::File(file) => Some(Entry::File(file)),
        }
    }

    /// Whether `path` can never be added, because a file is in its way.
    pub(in crate::cache) fn is_under_file(&self, path: &str) -> bool {
        parents(path).any(|parent| matches!(self.get(parent), Some(Entry::File(_))))
    }

    /// Names and what they stand for, in byte order; `None` if `dir` is no directory.
    pub(in crate::cache) fn children(
        &self,
        dir: &str,
    ) -> Option<impl Iterator<Item = (&str, Entry<'_, F>)>> {
        let listed = self.dirs.get(dir)?;
        Some(listed.children.iter().map(move |(name, node)| {
            let entry = match node {
                Node::File(file) => Entry::File(file),
                // Every directory node has its row in `dirs`: they are added together.
                Node::Dir => Entry::Dir(
                    self.dirs
                        .get(join(dir, name).as_str())
                        .map_or(listed.mtime, |d| d.mtime),
                ),
            };
            (&**name, entry)
        }))
    }

    /// Which directories have to be made, outermost first, so that `path` can be a directory (`itself` included).
    pub(in crate::cache) fn missing(
        &self,
        path: &str,
        itself: bool,
    ) -> Result<Vec<String>, Conflict> {
        let mut missing = Vec::new();
        let own = itself.then_some(path).filter(|path| !path.is_empty());
        for dir in parents(path).chain(own) {
            match self.get(dir) {
                Some(Entry::Dir(_)) => {}
                Some(Entry::File(_)) => return Err(Conflict(dir.to_owned())),
                None => missing.push(dir.to_owned()),
            }
        }
        Ok(missing)
    }

    /// Adds a directory, whose parents are there, or sets the time of one that is there already.
    pub(in crate::cache) fn add_dir(&mut self, path: &str, mtime: SystemTime) {
        if let Some(dir) = self.dirs.get_mut(path) {
            dir.mtime = mtime;
            return;
        }
        self.dirs.insert(path.into(), Dir::new(mtime));
        self.put(path, Node::Dir);
    }

    /// Adds a file, whose parents are there and whose name is no directory's.
    pub(in crate::cache) fn add_file(&mut self, path: &str, file: F) {
        self.put(path, Node::File(file));
    }

    /// Takes a file away; `None` if there is none.
    pub(in crate::cache) fn remove_file(&mut self, path: &str) -> Option<F> {
        let (parent, name) = split(path);
        let children = &mut self.dirs.get_mut(parent)?.children;
        match children.get(name)? {
            Node::Dir => None,
            Node::File(_) => match children.remove(name)? {
                Node::File(file) => Some(file),
                Node::Dir => None,
            },
        }
    }

    /// Every file with its path, in no order.
    pub(in crate::cache) fn files(&self) -> impl Iterator<Item = (String, &F)> {
        self.dirs.iter().flat_map(|(dir, listed)| {
            listed
                .children
                .iter()
                .filter_map(move |(name, node)| match node {
                    Node::File(file) => Some((join(dir, name), file)),
                    Node::Dir => None,
                })
        })
    }

    /// Every directory with its time, in no order.
    pub(in crate::cache) fn dirs(&self) -> impl Iterator<Item = (&str, SystemTime)> {
        self.dirs.iter().map(|(path, dir)| (&**path, dir.mtime))
    }

    fn put(&mut self, path: &str, node: Node<F>) {
        let (parent, name) = split(path);
        if let Some(dir) = self.dirs.get_mut(parent) {
            dir.children.insert(name.into(), node);
        }
    }
}

impl<F> Dir<F> {
    fn new(mtime: SystemTime) -> Dir<F> {
        Dir {
            mtime,
            children: BTreeMap::new(),
        }
    }
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn join(dir: &str, name: &str) -> String {
    if dir.is_empty() {
        name.to_owned()
    } else {
        format!("{dir}/{name}")
    }
}

/// The directories that must be there for `path`, outermost first, without the model itself.
fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/')
        .map(|(at, _)| path.get(..at).unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: SystemTime = SystemTime::UNIX_EPOCH;

    fn sample() -> Index<u32> {
        let mut index = Index::new(T);
        index.add_dir("variables", T);
        index.add_dir("variables/deep", T);
        index.add_file("variables/deep/x", 3);
        index.add_file("saved_model.pb", 1);
        index.add_file("variables/a", 2);
        index
    }

    #[test]
    fn names_are_found_by_path() {
        let index = sample();
        assert_eq!(index.get(""), Some(Entry::Dir(T)));
        assert_eq!(index.get("variables/deep"), Some(Entry::Dir(T)));
        assert_eq!(index.get("variables/deep/x"), Some(Entry::File(&3)));
        for name in [
            "x",
            "variables/x",
            "saved_model.pb/x",
            "variables/",
            "/",
            "deep",
        ] {
            assert_eq!(index.get(name), None, "{name}");
        }
        assert!(
            index.is_under_file("saved_model.pb/x/y") && !index.is_under_file("saved_model.pb")
        );
    }

    #[test]
    fn listings_are_sorted_and_shallow() {
        let index = sample();
        let names = |dir| {
            index
                .children(dir)
                .map(|all| all.map(|(name, _)| name.to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(names("").unwrap(), ["saved_model.pb", "variables"]);
        assert_eq!(names("variables").unwrap(), ["a", "deep"]);
        assert_eq!(names("saved_model.pb"), None);
        assert_eq!(index.files().count(), 3);
        assert_eq!(index.dirs().count(), 3);
    }

    #[test]
    fn missing_parents_are_told_outermost_first() {
        let index = sample();
        assert_eq!(
            index.missing("variables/new/er/file", false).unwrap(),
            ["variables/new", "variables/new/er"]
        );
        assert_eq!(index.missing("assets", true).unwrap(), ["assets"]);
        assert_eq!(index.missing("", true).unwrap(), [""; 0]);
        assert_eq!(
            index.missing("saved_model.pb/x", false),
            Err(Conflict("saved_model.pb".into()))
        );
        assert_eq!(
            index.missing("variables/a", true),
            Err(Conflict("variables/a".into()))
        );
    }

    #[test]
    fn files_can_be_taken_away_and_directories_not() {
        let mut index = sample();
        assert_eq!(index.remove_file("variables"), None);
        assert_eq!(index.remove_file("variables/a"), Some(2));
        assert_eq!(index.get("variables/a"), None);
        index.add_dir("variables", T + std::time::Duration::from_secs(1));
        assert_eq!(
            index.get("variables/deep/x"),
            Some(Entry::File(&3)),
            "a second entry of a directory keeps its children"
        );
    }
}
