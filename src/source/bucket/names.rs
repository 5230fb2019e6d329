//! From keys to names: what of a listing can be shown as files and directories.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::access::Access;
use super::object::Object;
use crate::checksum::Hashes;
use crate::handle::{BucketPath, is_plain_path};
use crate::source::RemoteFile;

/// Longest key that Google and Amazon allow, in bytes.
const MAX_KEY: usize = 1024;

/// An object, as a listing tells of it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) size: u64,
    /// Generation or ETag.
    pub(super) version: String,
    pub(super) mtime: SystemTime,
    pub(super) hashes: Hashes,
}

/// One page of a listing.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) entries: Vec<Entry>,
    /// With a slash at the end.
    pub(super) prefixes: Vec<String>,
    pub(super) next: Option<String>,
}

impl Listed {
    /// How many names it has, whatever they are.
    pub(super) fn len(&self) -> usize {
        self.entries.len() + self.prefixes.len()
    }
}

/// The names below one directory, from as many pages as there are.
#[derive(Debug, Default)]
pub(super) struct Level {
    /// A name is a path of any depth.
    deep: bool,
    dirs: BTreeSet<String>,
    files: BTreeMap<String, RemoteFile>,
    odd: usize,
    first_odd: Option<String>,
}

impl Level {
    /// What lies directly below.
    pub(super) fn flat() -> Level {
        Level::default()
    }

    /// Everything below.
    pub(super) fn deep() -> Level {
        Level {
            deep: true,
            ..Level::default()
        }
    }

    /// Takes a page in.
    pub(super) fn add(&mut self, access: &Arc<Access>, dir: &BucketPath, listed: Listed) {
        let prefix = match dir.key() {
            "" => String::new(),
            key => format!("{key}/"),
        };
        for found in &listed.prefixes {
            self.add_dir(&prefix, found);
        }
        for entry in listed.entries {
            if entry.key.ends_with('/') || entry.key == prefix {
                // A placeholder that a tool has made for a directory.
                self.add_dir(&prefix, &entry.key);
                continue;
            }
            let Some(name) = self.vetted(&prefix, &entry.key) else {
                continue;
            };
            let file = RemoteFile {
                size: entry.size,
                mtime: entry.mtime,
                hashes: entry.hashes,
                version: entry.version.clone(),
                from: Arc::new(Object::new(access.clone(), &entry)),
                name: name.clone(),
            };
            self.files.insert(name, file);
        }
    }

    fn add_dir(&mut self, prefix: &str, key: &str) {
        let key = key.strip_suffix('/').unwrap_or(key);
        if format!("{key}/") == prefix || key.is_empty() && prefix.is_empty() {
            return;
        }
        if let Some(name) = self.vetted(prefix, key) {
            self.dirs.insert(name);
        }
    }

    /// The name below the directory, if it can be a path.
    fn vetted(&mut self, prefix: &str, key: &str) -> Option<String> {
        let fits = |name: &&str| is_path(name) && (self.deep || !name.contains('/'));
        let name = key
            .strip_prefix(prefix)
            .filter(fits)
            .filter(|_| key.len() <= MAX_KEY);
        if name.is_none() {
            self.odd += 1;
            self.first_odd.get_or_insert_with(|| key.to_owned());
        }
        name.map(str::to_owned)
    }

    /// All directories and files, sorted. Of an object and a directory of one name the directory is shown.
    pub(super) fn end(
        mut self,
        access: &Access,
        dir: &BucketPath,
    ) -> (Vec<String>, Vec<RemoteFile>) {
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
        let tell = odd && access.is_first_odd(dir);
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
        (dirs, self.files.into_values().collect())
    }
}

/// A time as listings write it (RFC 3339); the epoch if it is none.
pub(super) fn time(text: Option<&str>) -> SystemTime {
    let told = text.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let nanoseconds = told.map_or(0, |told| told.as_nanosecond().max(0));
    let (seconds, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    let since = Duration::new(
        u64::try_from(seconds).unwrap_or_default(),
        u32::try_from(rest).unwrap_or_default(),
    );
    SystemTime::UNIX_EPOCH + since
}

/// Whether the name of an object can be a file's path.
fn is_path(name: &str) -> bool {
    // A key that is no text was read as if it had U+FFFD there, and nothing could be asked for by that name.
    let wrong = |c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER;
    is_plain_path(name) && !name.contains(wrong)
}
