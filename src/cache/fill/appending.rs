//! A filling whose files are appended one after another, as an archive has them.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use crate::os;

use super::super::dirs::base::Base;
use super::super::error::{Context, Error, if_there};
use super::super::layout::FILE_MODE;
use super::super::sealed::index::{Conflict, Entry};
use super::fillfile::FillFile;
use super::filling::{Filling, vet};
use super::writer::Writer;

impl Filling {
    /// Adds a directory and its missing parents, or sets the time of one that is there. "" is the model itself.
    ///
    /// # Errors
    ///
    /// The name is a file's or no plain relative path; the filling has failed.
    pub fn dir(&self, path: &str, mtime: SystemTime) -> Result<(), Error> {
        if !path.is_empty() {
            vet(path)?;
        }
        let missing = self.state().index.missing(path, true);
        self.add_dirs(path, missing)?;
        self.change(|state| state.index.add_dir(path, mtime))
    }

    /// Starts a file of exactly `size` bytes and adds its missing parents. An earlier file of the same name is replaced.
    ///
    /// # Errors
    ///
    /// As [`Filling::dir`]; the disk is full or failed.
    pub fn file(&self, path: &str, size: u64, mtime: SystemTime) -> Result<Writer, Error> {
        let Some(site) = self.site().filter(|_| self.ranged.is_empty()) else {
            return Err(Error::Abandoned);
        };
        let replaced = self.make_way(path)?;
        site.grow(size).map_err(|full| Error::Full {
            name: path.to_owned(),
            size,
            fits: full.fits,
        })?;
        let base = &site.base;
        if replaced {
            if_there(os::beneath::remove(base.dir(), Path::new(path)))
                .context("replace", base.shown(path))?;
        }
        let disk = Arc::new(create(base, path).context("create", base.shown(path))?);
        let shared = self.shared.clone();
        let file = Arc::new(FillFile::appended(path, size, mtime, shared, (base, &disk)));
        self.change(|state| state.index.add_file(path, file.clone()))?;
        Ok(Writer::new(file, disk, site.clone()))
    }

    /// Records that every name has been added: what is not there now does not exist.
    pub fn names_known(&self) {
        // After a failure nobody waits.
        let _ = self.change(|state| state.names_known = true);
    }

    /// Makes way for a file of this name: adds its parents, and replaces an earlier one. Whether there was one.
    fn make_way(&self, path: &str) -> Result<bool, Error> {
        vet(path)?;
        let (missing, earlier) = {
            let state = self.state();
            let earlier = match state.index.get(path) {
                Some(Entry::Dir(_)) => {
                    return Err(Error::DirAndFile {
                        name: path.to_owned(),
                        what: path.to_owned(),
                    });
                }
                Some(Entry::File(file)) => Some(file.clone()),
                None => None,
            };
            (state.index.missing(path, false), earlier)
        };
        self.add_dirs(path, missing)?;
        if let Some(earlier) = &earlier {
            self.change(|state| state.index.remove_file(path))?;
            earlier.replace();
        }
        Ok(earlier.is_some())
    }

    /// Adds directories to the names. On the disk they are made when a file needs them, and the rest at sealing: an
    /// archive that is nothing but directories costs the disk nothing before it is refused.
    fn add_dirs(&self, path: &str, missing: Result<Vec<String>, Conflict>) -> Result<(), Error> {
        let missing = missing.map_err(|Conflict(what)| Error::DirAndFile {
            name: path.to_owned(),
            what,
        })?;
        for dir in missing {
            self.change(|state| state.index.add_dir(&dir, SystemTime::now()))?;
        }
        Ok(())
    }
}

/// Creates a file, and the directories above it that are not on the disk yet.
fn create(base: &Base, path: &str) -> io::Result<File> {
    let make = || os::beneath::create(base.dir(), Path::new(path), FILE_MODE);
    match make() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some((parent, _)) = path.rsplit_once('/') {
                base.make_dir(parent)?;
            }
            make()
        }
        created => created,
    }
}
