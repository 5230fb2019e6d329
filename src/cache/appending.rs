//! A filling whose files are appended one after another, as an archive has them.
//!
//! Its site changes when the process that is followed has died: another fills it, from the start. If that brings the same
//! bytes, files are *parked* until they come again, and readers wait; otherwise they are replaced, as by a later entry of the
//! archive.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use crate::os;

use super::base::Base;
use super::error::{Context, Error, if_there};
use super::fillfile::FillFile;
use super::filling::{Filling, vet};
use super::index::{Conflict, Entry, Index};
use super::journal::Event;
use super::layout::FILE_MODE;
use super::manifest::nanos;
use super::site::Site;
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
        self.change(|state| state.index.add_dir(path, mtime))?;
        if let Some(site) = self.site() {
            site.tell(&Event::Dir {
                path: path.to_owned(),
                mtime: nanos(mtime),
            });
        }
        Ok(())
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
        let earlier = self.expect(path, size)?;
        site.grow(size).map_err(|full| Error::Full {
            name: path.to_owned(),
            size,
            fits: full.fits,
        })?;
        let base = &site.base;
        if let Some(replaced) = &earlier
            && !replaced.is_parked()
        {
            site.tell(&Event::Gone {
                path: path.to_owned(),
            });
            if_there(os::beneath::remove(base.dir(), Path::new(path)))
                .context("replace", base.shown(path))?;
        }
        let disk = Arc::new(create(base, path).context("create", base.shown(path))?);
        let file = self.put(path, (size, mtime), base, Some(&disk))?;
        site.tell(&Event::File {
            path: path.to_owned(),
            size,
            mtime: nanos(mtime),
        });
        Ok(Writer::new(file, disk, site))
    }

    /// Says that every name has been added: what is not there now does not exist.
    pub fn names_known(&self) {
        // After a failure nobody waits.
        let gone = self.change(|state| {
            state.names_known = true;
            take_files(&mut state.index, FillFile::is_parked)
        });
        for file in gone.into_iter().flatten() {
            file.replace();
        }
        if let Some(site) = self.site() {
            site.tell(&Event::Named);
        }
    }

    /// Makes way for a file of this size. The earlier one of that name is replaced, unless it is parked and comes again.
    pub(super) fn expect(&self, path: &str, size: u64) -> Result<Option<Arc<FillFile>>, Error> {
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
        if let Some(earlier) = &earlier
            && !(earlier.is_parked() && earlier.size() == size)
        {
            self.change(|state| state.index.remove_file(path))?;
            earlier.replace();
        }
        Ok(earlier)
    }

    /// Adds a file that was expected and is on the disk, below `base`; or says that the parked one comes again there.
    pub(super) fn put(
        &self,
        path: &str,
        (size, mtime): (u64, SystemTime),
        base: &Arc<Base>,
        disk: Option<&Arc<File>>,
    ) -> Result<Arc<FillFile>, Error> {
        let parked = match self.state().index.get(path) {
            Some(Entry::File(file)) => Some(file.clone()),
            _ => None,
        };
        if let Some(parked) = parked {
            parked.goes_on(base, disk);
            return Ok(parked);
        }
        let shared = self.shared.clone();
        let file = FillFile::appended(path, size, mtime, shared, (base, disk));
        let file = Arc::new(file);
        self.change(|state| state.index.add_file(path, file.clone()))?;
        Ok(file)
    }

    /// Goes on at another site, whose filler starts from the beginning. `same`: it brings the same bytes.
    pub(super) fn move_to(&self, site: Arc<Site>, same: bool) -> Result<(), Error> {
        self.set_site(site);
        let files = self.change(|state| {
            if same {
                return state.index.files().map(|(_, file)| file.clone()).collect();
            }
            state.names_known = false;
            let files = take_files(&mut state.index, |_| true);
            state.index = Index::new(SystemTime::now());
            files
        })?;
        for file in files {
            match same {
                true => file.park(),
                false => file.replace(),
            }
        }
        Ok(())
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

fn take_files(
    index: &mut Index<Arc<FillFile>>,
    which: impl Fn(&FillFile) -> bool,
) -> Vec<Arc<FillFile>> {
    let files = index.files().filter(|(_, file)| which(file));
    let files: Vec<_> = files.map(|(path, file)| (path, file.clone())).collect();
    let take = |(path, file): (String, Arc<FillFile>)| {
        index.remove_file(&path);
        file
    };
    files.into_iter().map(take).collect()
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
