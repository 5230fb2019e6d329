//! What is known of a model that is, or was, complete here: names, sizes, times, checksums, and where it came from.
//!
//! A manifest is written before the model gets its name, and stays when the model is evicted: then it answers for the names.
//! While the model is here, it tells what has been damaged. Its time is when the model was last used, by whichever process.
//! It speaks of one fill: if somebody else filled the same model later, its descriptor is another, and the manifest says
//! nothing about these bytes any more.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::super::dirs::plain;
use super::super::error::{Context, Error, if_there};
use super::super::layout::{Key, Layout, replace};
use super::file_tree::{FileTree, Stat};
use super::index::Index;
use super::model::Sealed;
use crate::checksum::Crc32c;
use crate::handle::is_plain_path;
use crate::hubdir::is_handle_of;

/// A name may have 4 KiB; a hundred thousand of them are more than any model has, and rarely longer than 100 bytes.
const MAX_MANIFEST: u64 = 64 << 20;

/// Every directory above a file has a name, and in a text of one kilobyte may stand a path with hundreds of them.
const MAX_NAMES: usize = 64 << 20;

/// One fill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Whose model it is; empty if nobody knows.
    pub handle: String,
    /// How it came here.
    pub state: State,
    /// Where its bytes came from, without secrets, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// The text of the descriptor that was written with it.
    descriptor: String,
    /// Every file by its path.
    files: BTreeMap<String, Line>,
    /// Every directory by its path, with its time, the model itself ("") included.
    dirs: BTreeMap<String, i64>,
}

/// How a model came into the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// We fetched and verified it.
    Sealed,
    /// Others put it there, and it looked whole when it was found.
    Adopted,
}

/// One file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::cache) struct Line {
    /// In bytes.
    pub size: u64,
    /// In nanoseconds since 1970.
    pub mtime: i64,
    /// Of all its bytes; unknown of an adopted file that nobody has read whole yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crc32c: Option<u32>,
}

/// One file, as a manifest lists it.
#[derive(Clone, Copy, Debug)]
pub struct ListedFile<'a> {
    /// The path in the model.
    pub path: &'a str,
    /// In bytes.
    pub size: u64,
    /// When it was written.
    pub mtime: SystemTime,
    /// Of all its bytes, if that is known.
    pub crc32c: Option<u32>,
}

/// What reading files and comparing them with their checksums has shown.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cache) enum Comparison {
    /// Every checksum is as it was.
    Equal,
    /// Of some files it was not known, and is now.
    Learned,
    /// This file has other bytes.
    Differs(String),
}

/// What of a model is not as its manifest says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::cache) struct Change {
    /// A name that is missing, or has another size.
    pub lost: Option<String>,
    /// Names that are new.
    pub added: Vec<PathBuf>,
    /// Files whose time is another: their bytes may be right.
    pub touched: Vec<String>,
}

impl Manifest {
    /// The manifest of what is in `sealed` now. Checksums are added by whoever knows them.
    pub(in crate::cache) fn of(
        handle: &str,
        state: State,
        descriptor: &str,
        sealed: &Sealed,
    ) -> Manifest {
        let line = |(path, stat): (String, &Stat)| {
            let (size, mtime) = (stat.size, nanos(stat.mtime));
            let crc32c = None;
            (
                path,
                Line {
                    size,
                    mtime,
                    crc32c,
                },
            )
        };
        let dirs = sealed.dirs();
        Manifest {
            handle: handle.to_owned(),
            state,
            origin: None,
            descriptor: descriptor.to_owned(),
            files: sealed.files().map(line).collect(),
            dirs: dirs
                .map(|(path, mtime)| (path.to_owned(), nanos(mtime)))
                .collect(),
        }
    }

    /// Reads the files of `sealed` whose checksums are not known, and adds those.
    ///
    /// # Errors
    ///
    /// Those of open(2) and read(2).
    pub fn with_checksums(mut self, sealed: &Sealed) -> std::io::Result<Manifest> {
        let unknown = |_: &str, line: &Line| line.crc32c.is_none();
        match self.read_through(sealed, unknown, |_| {}) {
            Err((_, error)) => Err(error),
            Ok(_) => Ok(self),
        }
    }

    /// Reads the files of `sealed` that `which` picks, compares them with their checksums, and notes those that were not
    /// known. A file is opened anew for each piece, so that a model counts as unused meanwhile; `pace` is called with the
    /// length of each piece.
    ///
    /// # Errors
    ///
    /// The first file that cannot be read.
    pub(in crate::cache) fn read_through(
        &mut self,
        sealed: &Sealed,
        which: impl Fn(&str, &Line) -> bool,
        mut pace: impl FnMut(usize),
    ) -> Result<Comparison, (String, io::Error)> {
        let mut comparison = Comparison::Equal;
        for (name, line) in &mut self.files {
            if !which(name, line) {
                continue;
            }
            let read = |piece: &mut [u8], at| sealed.open(name)?.read_at(piece, at);
            let found = Crc32c::of_reads(read, &mut pace);
            let found = found.map_err(|error| (name.clone(), error))?.value();
            match line.crc32c.replace(found) {
                None => comparison = Comparison::Learned,
                Some(known) if known == found => {}
                Some(_) => return Ok(Comparison::Differs(name.clone())),
            }
        }
        Ok(comparison)
    }

    /// The manifest with the checksums of what was filled, which must be what is there.
    pub(super) fn filled(
        mut self,
        files: &HashMap<String, (u64, Option<u32>)>,
    ) -> Result<Manifest, Error> {
        for (name, (size, crc32c)) in files {
            match self.files.get_mut(name) {
                Some(line) if line.size == *size => line.crc32c = *crc32c,
                found => {
                    return Err(Error::TooShort {
                        name: name.clone(),
                        size: *size,
                        got: found.map_or(0, |line| line.size),
                    });
                }
            }
        }
        match self.files.keys().find(|name| !files.contains_key(*name)) {
            Some(name) => Err(Error::Unlike { name: name.clone() }),
            None => Ok(self),
        }
    }

    /// The checksum of a file, if it is known.
    pub(super) fn crc32c(&self, name: &str) -> Option<u32> {
        self.files.get(name)?.crc32c
    }

    /// Gives these files the times that they have now.
    pub(in crate::cache) fn retime(&mut self, files: &[String], sealed: &Sealed) {
        for name in files {
            if let (Some(line), Some(stat)) = (self.files.get_mut(name), sealed.stat(name)) {
                line.mtime = nanos(stat.mtime);
            }
        }
    }

    /// Takes names, sizes and times from `sealed`; checksums that are known stay.
    pub(in crate::cache) fn retake(&mut self, sealed: &Sealed) {
        let now = Manifest::of(&self.handle, self.state, &self.descriptor, sealed);
        let known = std::mem::replace(&mut self.files, now.files);
        self.dirs = now.dirs;
        for (path, line) in &mut self.files {
            line.crc32c = known.get(path).and_then(|line| line.crc32c);
        }
    }

    pub(in crate::cache) fn write(&self, layout: &Layout, key: &Key) -> Result<(), Error> {
        replace(
            &layout.temp(key, "manifest"),
            &layout.manifest(key),
            &self.to_json(),
        )
    }

    /// Writes more of what is known of a model, which is no use of it.
    pub(in crate::cache) fn amend(&self, layout: &Layout, key: &Key) -> Result<(), Error> {
        let path = layout.manifest(key);
        let used = std::fs::symlink_metadata(&path).and_then(|meta| meta.modified());
        self.write(layout, key)?;
        if let Ok(used) = used {
            let kept = plain::open(&path).and_then(|file| file.set_modified(used));
            kept.context("change the time of", &path)?;
        }
        Ok(())
    }

    /// What [`Manifest::from_json`] reads.
    pub fn to_json(&self) -> Vec<u8> {
        // Fails for maps whose keys are no strings, and ours are.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Every file, sorted by path.
    pub fn files(&self) -> impl Iterator<Item = ListedFile<'_>> {
        self.files.iter().map(|(path, line)| ListedFile {
            path,
            size: line.size,
            mtime: time(line.mtime),
            crc32c: line.crc32c,
        })
    }

    /// Every directory with its time, the model itself ("") included.
    pub fn dirs(&self) -> impl Iterator<Item = (&str, SystemTime)> {
        self.dirs
            .iter()
            .map(|(path, mtime)| (&**path, time(*mtime)))
    }

    /// The first name that is another in `other`, or has another size or checksum there.
    pub(in crate::cache) fn difference(&self, other: &Manifest) -> Option<String> {
        let names = self.files.keys().chain(other.files.keys());
        let same = |name: &&String| match (self.files.get(*name), other.files.get(*name)) {
            (Some(one), Some(two)) => {
                let known = one.crc32c.is_none() || two.crc32c.is_none();
                one.size == two.size && (known || one.crc32c == two.crc32c)
            }
            _ => false,
        };
        names.into_iter().find(|name| !same(name)).cloned()
    }

    /// The manifest of a model, whether the model is here or not. One that is damaged counts as none.
    pub(in crate::cache) fn read(layout: &Layout, key: &Key) -> Option<Manifest> {
        let text = plain::read_up_to(&layout.manifest(key), MAX_MANIFEST).ok()?;
        Manifest::from_json(&text, key)
    }

    /// The manifest of a model in a text that may come from anywhere.
    pub fn from_json(text: &[u8], key: &Key) -> Option<Manifest> {
        let manifest: Manifest = serde_json::from_slice(text).ok()?;
        let paths = manifest.files.keys().chain(manifest.dirs.keys());
        let all: usize = paths
            .clone()
            .map(|path| path.len() * (1 + path.matches('/').count()))
            .sum();
        let is_sound = !manifest.files.is_empty()
            && all <= MAX_NAMES
            && (manifest.handle.is_empty() || is_handle_of(&manifest.handle, key))
            && paths
                .filter(|path| !path.is_empty())
                .all(|path| is_plain_path(path));
        is_sound.then_some(manifest)
    }

    /// The manifest that speaks of the entry as it is now.
    pub(in crate::cache) fn current(layout: &Layout, key: &Key) -> Option<Manifest> {
        let manifest = Manifest::read(layout, key)?;
        // A cleaner may have taken the descriptor; a later filler would have written its own.
        match if_there(plain::read_text(&layout.descriptor(key))).ok()? {
            Some(descriptor) if descriptor != manifest.descriptor => None,
            _ => Some(manifest),
        }
    }

    /// The sum of all files' sizes.
    pub fn bytes(&self) -> u64 {
        let sizes = self.files.values().map(|line| line.size);
        sizes.fold(0, u64::saturating_add)
    }

    /// What of an entry is not as it was.
    pub(in crate::cache) fn change(&self, sealed: &Sealed) -> Change {
        let mut change = Change::default();
        for (path, line) in &self.files {
            match sealed.stat(path) {
                Some(stat) if stat.size == line.size && nanos(stat.mtime) == line.mtime => {}
                Some(stat) if stat.size == line.size => change.touched.push(path.clone()),
                _ => change.lost = Some(path.clone()),
            }
        }
        let here: BTreeSet<&str> = sealed.dirs().map(|(path, _)| path).collect();
        let known: BTreeSet<&str> = self.dirs.keys().map(String::as_str).collect();
        if let Some(path) = known.difference(&here).next() {
            change.lost = Some((*path).to_owned());
        }
        let dirs = here.difference(&known).map(PathBuf::from);
        let files = sealed.files().map(|(path, _)| path);
        let files = files.filter(|path| !self.files.contains_key(path));
        let files = files.map(PathBuf::from);
        // Nobody is shown them, and those of others are theirs.
        let odd = sealed.odd().iter().filter(|_| self.state == State::Sealed);
        change.added = dirs.chain(files).chain(odd.cloned()).collect();
        change
    }

    /// The names, for when the model is not here. `None` if a file would lie in a file, which no model of ours has.
    pub(in crate::cache) fn file_tree(&self) -> Option<FileTree> {
        let mut index = Index::new(self.dirs.get("").map_or(UNIX_EPOCH, |mtime| time(*mtime)));
        for (path, mtime) in self.dirs.iter().filter(|(path, _)| !path.is_empty()) {
            add_dirs(&mut index, path, true)?;
            index.add_dir(path, time(*mtime));
        }
        for (path, line) in &self.files {
            add_dirs(&mut index, path, false)?;
            let stat = Stat {
                size: line.size,
                mtime: time(line.mtime),
            };
            index.add_file(path, stat);
        }
        Some(FileTree::new(index))
    }
}

fn add_dirs(index: &mut Index<Stat>, path: &str, itself: bool) -> Option<()> {
    for dir in index.missing(path, itself).ok()? {
        index.add_dir(&dir, UNIX_EPOCH);
    }
    Some(())
}

/// In nanoseconds since 1970; times more than 292 years away from it are as good as that.
pub(in crate::cache) fn nanos(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanos| -nanos),
    }
}

pub(in crate::cache) fn time(nanos: i64) -> SystemTime {
    let distance = Duration::from_nanos(nanos.unsigned_abs());
    let time = match nanos < 0 {
        true => UNIX_EPOCH.checked_sub(distance),
        false => UNIX_EPOCH.checked_add(distance),
    };
    time.unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests;
