//! The one filler of a model, and how a filling becomes a sealed model.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;

use crate::os;

use super::base::Base;
use super::descriptor::Descriptor;
use super::entry::{self, Look};
use super::error::{Context, Error, Failure};
use super::filling::{Contents, Filling};
use super::layout::{DIR_MODE, replace};
use super::lock::Held;
use super::record::Record;
use super::sealed::Sealed;

/// Up to so many files are synced one by one, which leaves other programs' unwritten data alone; above it one syncfs(2)
/// of the whole file system is cheaper than as many journal commits.
const SYNC_EACH: usize = 32;

/// The right, and the duty, to fill one model. Dropped without [`Lead::seal`], it fails the filling, removes the staging
/// directory and lets the locks go.
#[derive(Debug)]
pub struct Lead {
    // Dropped in this order: readers are told before their files vanish.
    filling: Abandon,
    held: Held,
    url: String,
    host: String,
}

#[derive(Debug)]
struct Abandon(Arc<Filling>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.fail(Arc::new(Error::Abandoned)); // changes nothing if it is sealed, or failed for a better reason
    }
}

impl Lead {
    pub(super) fn new(held: Held, url: &str, host: &str) -> Result<Lead, Error> {
        let Some(staging) = held.staging() else {
            return Err(Error::Abandoned);
        };
        DirBuilder::new()
            .mode(DIR_MODE)
            .create(staging)
            .context("create", staging)?;
        let filling = Abandon(Arc::new(Filling::new(staging)?));
        Ok(Lead {
            filling,
            held,
            url: url.to_owned(),
            host: host.to_owned(),
        })
    }

    /// What is being filled.
    pub fn filling(&self) -> Arc<Filling> {
        self.filling.0.clone()
    }

    /// Makes the filling durable and gives it its name in the cache. To be called once its bytes are verified.
    ///
    /// Takes as long as the disk needs; readers of the filling go on meanwhile, and after it. If somebody else sealed the
    /// same model first (tensorflow_hub, which took the lock for idle), theirs stays and ours is dropped.
    ///
    /// # Errors
    ///
    /// `Failed` with the reason, which every reader of the filling is told too; nothing is left in the cache then.
    pub fn seal(mut self) -> Result<Sealed, Error> {
        match self.publish() {
            Ok(sealed) => {
                self.filling.0.set_sealed();
                Ok(sealed)
            }
            Err(Error::Failed(why)) => Err(Error::Failed(why)),
            Err(error) => {
                let why: Failure = Arc::new(error);
                self.filling.0.fail(why.clone());
                Err(Error::Failed(why))
            }
        }
    }

    fn publish(&mut self) -> Result<Sealed, Error> {
        let (layout, key) = (self.held.layout(), self.held.key());
        let contents = self.filling.0.contents()?;
        make_durable(self.filling.0.base(), &contents)?;
        // Looked at before the descriptor too, or theirs would be described as ours.
        if let Look::Whole(theirs) = entry::look(layout, key)? {
            return Ok(self.lost(theirs));
        }
        let descriptor = Descriptor::new(&self.url, self.host.clone()).to_string();
        replace(
            &layout.temp(key, "descriptor"),
            &layout.descriptor(key),
            descriptor.as_bytes(),
        )?;
        let model = layout.model(key);
        if let Some(theirs) = self.rename()? {
            return Ok(self.lost(theirs));
        }
        os::fs::sync_dir(layout.root()).context("sync", layout.root())?;
        let files = contents.files.into_iter().collect();
        let record = Record {
            handle: self.url.clone(),
            descriptor,
            files,
        };
        // Without a record the model is judged by what it looks like, which nearly always does.
        if let Err(error) = record.write(layout, key) {
            tracing::warn!(model = self.url, %error, "cannot record what was sealed");
        }
        let sealed = Sealed::load(model.clone()).context("list", &model)?;
        self.held.staging_is_gone();
        Ok(sealed)
    }

    fn lost(&self, theirs: Sealed) -> Sealed {
        tracing::info!(model = self.url, "somebody else completed this model first");
        theirs
    }

    /// Gives the staging directory the model's name. `Some` is what somebody else put there first.
    ///
    /// rename(2) of a directory replaces nothing but an empty directory.
    fn rename(&self) -> Result<Option<Sealed>, Error> {
        let (layout, key) = (self.held.layout(), self.held.key());
        let (from, to) = (self.filling.0.base().named(), layout.model(key));
        let Err(mut error) = fs::rename(from, &to) else {
            return Ok(None);
        };
        // What is in the way may be removed, or come back, meanwhile; twice is enough to tell that from a fault.
        for _ in 0..2 {
            match entry::look(layout, key)? {
                Look::Whole(theirs) => return Ok(Some(theirs)),
                Look::Half(_) => entry::clear(layout, key)?,
                Look::Missing => {}
            }
            match fs::rename(from, &to) {
                Ok(()) => return Ok(None),
                Err(again) => error = again,
            }
        }
        Err(Error::io("rename", to, error))
    }
}

/// Gives directories their times and gets everything onto the disk. (Files got theirs when they ended.)
fn make_durable(base: &Base, contents: &Contents) -> Result<(), Error> {
    for (name, _) in &contents.dirs {
        base.make_dir(name).context("create", base.shown(name))?;
    }
    for (name, mtime) in &contents.dirs {
        let set = File::open(base.path(name)).and_then(|dir| dir.set_modified(*mtime));
        if let Err(error) = set {
            tracing::debug!(dir = name, %error, "cannot set the time of a directory");
        }
    }
    if contents.files.len() > SYNC_EACH {
        return base.sync_all().context("sync", base.named());
    }
    let sync = |name: &str| -> io::Result<()> { File::open(base.path(name))?.sync_all() };
    let names = contents.files.keys().map(String::as_str);
    for name in names.chain(contents.dirs.iter().map(|(name, _)| name.as_str())) {
        sync(name).context("sync", base.shown(name))?;
    }
    Ok(())
}
