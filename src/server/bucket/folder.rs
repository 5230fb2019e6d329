//! A directory as a bucket that may be written: each file below it is an object of that name.
//!
//! What arrives is written aside first and gets its name when all of it is there and its condition holds, one at a time:
//! of two writers under one condition one succeeds.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::listing::{self, Page, Query};
use super::objects::{self, Object, Unit};
use crate::server::Error;
use crate::server::survey::Stamp;

/// Where what is on its way lies, below the directory.
const ASIDE: &str = ".tfhub-fs-uploads";

/// Longest name of a file.
const MAX_FILE_NAME: usize = 255;

/// When an object may be written or deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Condition {
    /// Of this generation; 0: there is none.
    pub generation: Option<u64>,
    /// With this entity tag.
    pub tag: Option<String>,
}

impl Condition {
    fn holds(&self, there: Option<&Stamp>) -> bool {
        let generation = there.map_or(0, Stamp::generation);
        let tag = |tag: &String| there.is_some_and(|there| there.etag() == *tag);
        self.generation.is_none_or(|wanted| wanted == generation)
            && self.tag.as_ref().is_none_or(tag)
    }
}

/// What has come of a change.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    /// It is done; the object is now this.
    Done(Stamp),
    /// The condition does not hold.
    Refused,
    /// There is nothing to change.
    Absent,
    /// No file can be called so here.
    Unnameable,
}

/// The directory.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    gate: Mutex<()>,
    count: AtomicU64,
}

impl Folder {
    /// Uses `dir`, which is made if it is not there; what an earlier run left on its way is deleted.
    ///
    /// # Errors
    /// [`Error::Dir`]
    pub fn open(dir: &Path) -> Result<Folder, Error> {
        let refused = |source| Error::Dir {
            dir: dir.to_owned(),
            source,
        };
        fs::create_dir_all(dir).map_err(refused)?;
        let root = fs::canonicalize(dir).map_err(refused)?;
        let aside = root.join(ASIDE);
        match fs::remove_dir_all(&aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(refused(error)),
            _ => fs::create_dir(&aside).map_err(refused)?,
        }
        Ok(Folder {
            root,
            gate: Mutex::new(()),
            count: AtomicU64::new(0),
        })
    }

    /// A new file, to be written before it gets its name.
    pub fn aside(&self) -> io::Result<(PathBuf, File)> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let path = self.root.join(ASIDE).join(number.to_string());
        let options = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path);
        options.map(|file| (path, file))
    }

    /// The object called `name`. Waits for the disk.
    pub fn find(&self, name: &str) -> Result<Option<Object>, Error> {
        let Some(path) = self.path(name) else {
            return Ok(None);
        };
        let stamp = self.stamp(&path).map_err(|e| Error::read(&path, e))?;
        Ok(stamp.map(|stamp| Object {
            name: name.to_owned(),
            path,
            stamp,
        }))
    }

    /// A page of what is there. Waits for the disk.
    pub fn page(&self, query: &Query) -> Page<Object> {
        let above = query.prefix.rsplit_once('/').map_or("", |(above, _)| above);
        let below = match above {
            "" => Some(self.root.clone()),
            above => self.path(above),
        };
        let unit = Unit::Tree(String::new(), &self.root);
        listing::page(&[unit], query, |_| {
            let mut found = Vec::new();
            if let Some(below) = &below {
                self.collect(below, above, &mut found);
            }
            found.sort_by(|(a, _): &(String, Object), (b, _)| a.cmp(b));
            found
        })
    }

    /// Gives a file that was written aside its name.
    pub fn put(&self, name: &str, aside: &Path, condition: &Condition) -> io::Result<Change> {
        let Some(path) = self.path(name) else {
            return Ok(Change::Unnameable);
        };
        let _gate = self.gate.lock();
        if !condition.holds(self.stamp(&path)?.as_ref()) {
            return Ok(Change::Refused);
        }
        let above = path.parent().unwrap_or(&self.root);
        if !self.is_plain(above)? {
            return Ok(Change::Unnameable);
        }
        let moved = fs::create_dir_all(above).and_then(|()| fs::rename(aside, &path));
        match moved {
            Ok(()) => {}
            // There is a file where a directory would have to be, or the other way round.
            Err(error) if is_in_the_way(&error) => return Ok(Change::Unnameable),
            Err(error) => return Err(error),
        }
        Ok(match self.stamp(&path)? {
            Some(stamp) => Change::Done(stamp),
            None => Change::Absent,
        })
    }

    /// Deletes an object, and the directories that it leaves empty.
    pub fn remove(&self, name: &str, condition: &Condition) -> io::Result<Change> {
        let Some(path) = self.path(name) else {
            return Ok(Change::Absent);
        };
        let _gate = self.gate.lock();
        let Some(stamp) = self.stamp(&path)? else {
            return Ok(Change::Absent);
        };
        if !condition.holds(Some(&stamp)) {
            return Ok(Change::Refused);
        }
        fs::remove_file(&path)?;
        let mut above = path.parent();
        while let Some(dir) = above.filter(|dir| *dir != self.root) {
            if fs::remove_dir(dir).is_err() {
                break;
            }
            above = dir.parent();
        }
        Ok(Change::Done(stamp))
    }

    /// Where the object of this name is or would be.
    fn path(&self, name: &str) -> Option<PathBuf> {
        let fits = |part: &str| !matches!(part, "" | "." | "..") && part.len() <= MAX_FILE_NAME;
        let good = objects::is_name(name) && name.split('/').all(fits);
        let taken = name.split('/').next() == Some(ASIDE);
        (good && !taken).then(|| self.root.join(name))
    }

    /// Whether what is there on the way to `dir` are directories, and no links.
    fn is_plain(&self, dir: &Path) -> io::Result<bool> {
        let within = |at: &&Path| at.starts_with(&self.root) && **at != self.root;
        for at in dir.ancestors().take_while(within) {
            match fs::symlink_metadata(at) {
                Ok(meta) if !meta.is_dir() => return Ok(false),
                Err(error) if is_in_the_way(&error) => return Ok(false),
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(true)
    }

    /// The state of a plain file that no link leads to.
    fn stamp(&self, path: &Path) -> io::Result<Option<Stamp>> {
        let mut here = self.root.clone();
        let Ok(below) = path.strip_prefix(&self.root) else {
            return Ok(None);
        };
        let mut last = None;
        for part in below {
            here.push(part);
            let meta = match fs::symlink_metadata(&here) {
                Ok(meta) if !meta.is_symlink() => meta,
                Ok(_) => return Ok(None),
                Err(error) if is_in_the_way(&error) || error.kind() == io::ErrorKind::NotFound => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
            last = Some(meta);
        }
        Ok(last
            .filter(fs::Metadata::is_file)
            .map(|meta| Stamp::of(&meta)))
    }

    /// Every object below `dir`, whose name is `above`. What goes meanwhile is left out.
    fn collect(&self, dir: &Path, above: &str, found: &mut Vec<(String, Object)>) {
        let Ok(entries) = fs::read_dir(dir) else {
            return;
        };
        for entry in entries.flatten() {
            let (Ok(file), Ok(meta)) = (entry.file_name().into_string(), entry.metadata()) else {
                continue;
            };
            let name = match above {
                "" => file,
                above => format!("{above}/{file}"),
            };
            if self.path(&name).is_none() {
                continue;
            }
            if meta.is_dir() {
                self.collect(&entry.path(), &name, found);
            } else if meta.is_file() {
                let object = Object {
                    name: name.clone(),
                    path: entry.path(),
                    stamp: Stamp::of(&meta),
                };
                found.push((name, object));
            }
        }
    }
}

fn is_in_the_way(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::AlreadyExists
            | io::ErrorKind::DirectoryNotEmpty
    )
}
