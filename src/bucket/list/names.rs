//! From keys to names: what of a listing can be shown as files and directories.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use lru::LruCache;
use parking_lot::Mutex;

use super::page::{Listed, prefix_of};
use crate::bucket::ObjectInfo;
use crate::handle::{BucketPath, is_plain_path};

/// Longest key that Google and Amazon allow, in bytes.
const MAX_KEY: usize = 1024;

/// Directories whose odd names were logged: once is enough, whatever the number of their pages.
#[derive(Debug)]
pub(crate) struct OddNames(Mutex<LruCache<String, ()>>);

/// Of how many directories that is remembered.
const TOLD: NonZeroUsize = NonZeroUsize::MIN.saturating_add(63);

impl Default for OddNames {
    fn default() -> OddNames {
        OddNames(Mutex::new(LruCache::new(TOLD)))
    }
}

impl OddNames {
    /// True if the directory is new.
    fn insert(&self, dir: &BucketPath) -> bool {
        self.0.lock().put(dir.to_string(), ()).is_none()
    }
}

/// The names below one directory, from as many pages as there are.
#[derive(Debug)]
pub(crate) struct NameTree<'a> {
    dir: &'a BucketPath,
    /// With a slash at the end, unless it is empty.
    prefix: String,
    /// A name is a path of any depth.
    deep: bool,
    dirs: BTreeSet<String>,
    files: BTreeMap<String, ObjectInfo>,
    odd: usize,
    first_odd: Option<String>,
}

impl<'a> NameTree<'a> {
    /// What lies directly below.
    pub fn flat(dir: &'a BucketPath) -> NameTree<'a> {
        NameTree::new(dir, false)
    }

    /// Everything below.
    pub fn deep(dir: &'a BucketPath) -> NameTree<'a> {
        NameTree::new(dir, true)
    }

    fn new(dir: &'a BucketPath, deep: bool) -> NameTree<'a> {
        NameTree {
            dir,
            prefix: prefix_of(dir),
            deep,
            dirs: BTreeSet::new(),
            files: BTreeMap::new(),
            odd: 0,
            first_odd: None,
        }
    }

    /// Takes a page in.
    pub fn add(&mut self, listed: Listed) {
        for found in &listed.prefixes {
            self.add_dir(found);
        }
        for info in listed.entries {
            if info.key.ends_with('/') || info.key == self.prefix {
                // A placeholder that a tool has made for a directory.
                self.add_dir(&info.key);
            } else if let Some(name) = self.vetted(&info.key) {
                self.files.insert(name, info);
            }
        }
    }

    fn add_dir(&mut self, key: &str) {
        let key = key.strip_suffix('/').unwrap_or(key);
        if format!("{key}/") == self.prefix || key.is_empty() && self.prefix.is_empty() {
            return;
        }
        if let Some(name) = self.vetted(key) {
            self.dirs.insert(name);
        }
    }

    /// The name below the directory, if it can be a path.
    fn vetted(&mut self, key: &str) -> Option<String> {
        let fits = |name: &&str| is_path(name) && (self.deep || !name.contains('/'));
        let name = key
            .strip_prefix(&self.prefix)
            .filter(fits)
            .filter(|_| key.len() <= MAX_KEY);
        if name.is_none() {
            self.odd += 1;
            self.first_odd.get_or_insert_with(|| key.to_owned());
        }
        name.map(str::to_owned)
    }

    /// All directories and files, sorted. Of an object and a directory of one name the directory is shown.
    pub fn finish(mut self, logged: &OddNames) -> (Vec<String>, Vec<(String, ObjectInfo)>) {
        let dir = self.dir;
        let mut parents: BTreeSet<String> = self.dirs.clone();
        for name in self.files.keys().chain(&self.dirs) {
            let mut name = name.as_str();
            while let Some((parent, _)) = name.rsplit_once('/') {
                parents.insert(parent.to_owned());
                name = parent;
            }
        }
        let hidden: Vec<&String> = parents
            .iter()
            .filter(|dir| self.files.contains_key(*dir))
            .collect();
        let odd = !hidden.is_empty() || self.first_odd.is_some();
        let tell = odd && logged.insert(dir);
        if let Some(first) = hidden.first().filter(|_| tell) {
            tracing::warn!(
                %dir, count = hidden.len(), first = %first.escape_debug(),
                "objects with the name of a directory are not shown"
            );
        }
        if let Some(first) = self.first_odd.as_ref().filter(|_| tell) {
            tracing::warn!(
                %dir, count = self.odd, first = %first.escape_debug(),
                "objects whose keys are no paths are not shown"
            );
        }
        self.files.retain(|name, _| !parents.contains(name));
        let dirs = self.dirs.into_iter().collect();
        (dirs, self.files.into_iter().collect())
    }
}

/// Whether the name of an object can be a file's path.
fn is_path(name: &str) -> bool {
    // A key that is no text was read as if it had U+FFFD there, and nothing could be asked for by that name.
    let wrong = |c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER;
    is_plain_path(name) && !name.contains(wrong)
}
