//! How a directory of complete files becomes a sealed model.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use crate::os;

use super::super::dirs::base::Base;
use super::super::error::{Context, Error};
use super::super::layout::{Key, Layout, replace};
use super::entry::{self, EntryState};
use super::manifest::{Manifest, State};
use super::model::Sealed;
use crate::hubdir::Descriptor;

/// Up to so many files are synced one by one, which leaves other programs' unwritten data alone; above it one syncfs(2)
/// of the whole file system is cheaper than as many journal commits.
pub(in crate::cache) const SYNC_EACH: usize = 32;

/// What a complete filling consists of.
#[derive(Debug)]
pub(in crate::cache) struct Contents {
    /// Path, size in bytes, and checksum, if that is known.
    pub files: HashMap<String, (u64, Option<u32>)>,
    /// Path and time, the model itself ("") included.
    pub dirs: Vec<(String, SystemTime)>,
}

/// The entry of the cache that a model is to become. Its lock is held.
#[derive(Clone, Copy, Debug)]
pub(in crate::cache) struct Entry<'a> {
    pub layout: &'a Layout,
    pub key: &'a Key,
    pub url: &'a str,
    pub host: &'a str,
    /// Where its bytes came from, without secrets.
    pub origin: Option<&'a str>,
    /// What it must be, if that was said.
    pub expected: Option<&'a Manifest>,
}

impl Entry<'_> {
    /// Gives a durable directory its name in the cache. `false`: somebody else sealed the same model first
    /// (tensorflow_hub, which took the lock for idle); theirs stays, and ours is where it was.
    ///
    /// # Errors
    ///
    /// The disk failed; the directory is where it was, unless only what comes after the rename failed.
    pub(in crate::cache) fn publish(
        &self,
        base: &Base,
        contents: Contents,
    ) -> Result<(Sealed, bool), Error> {
        let Entry {
            layout,
            key,
            url,
            host,
            ..
        } = *self;
        // Looked at before the descriptor too, or theirs would be described as ours.
        if let EntryState::Whole(theirs) = entry::state(layout, key)? {
            return Ok(self.lost(theirs));
        }
        let descriptor = Descriptor::new(url, host.to_owned()).to_string();
        let (manifest, staged) = self.manifest(base, &contents, &descriptor)?;
        replace(
            &layout.temp(key, "descriptor"),
            &layout.descriptor(key),
            descriptor.as_bytes(),
        )?;
        let model = layout.model(key);
        // Before the model: without it, this is what is known of one that has left.
        manifest.write(layout, key)?;
        if let Some(theirs) = self.rename(base.named())? {
            Manifest::of(url, State::Adopted, &descriptor, &theirs).write(layout, key)?;
            return Ok(self.lost(theirs));
        }
        os::fs::sync_dir(layout.root()).context("sync", layout.root())?;
        Ok((staged.moved_to(model), true))
    }

    /// What is in the staging directory, which must be what was filled.
    fn manifest(
        &self,
        base: &Base,
        contents: &Contents,
        descriptor: &str,
    ) -> Result<(Manifest, Sealed), Error> {
        let dir = base.named();
        let there = Sealed::load(dir.to_owned()).context("list", dir)?;
        let mut manifest = Manifest::of(self.url, State::Sealed, descriptor, &there);
        manifest.origin = self.origin.map(str::to_owned);
        let manifest = manifest.filled(&contents.files)?;
        match self
            .expected
            .and_then(|wanted| wanted.difference(&manifest))
        {
            Some(name) => Err(Error::Unlike { name }),
            None => Ok((manifest, there)),
        }
    }

    fn lost(&self, theirs: Sealed) -> (Sealed, bool) {
        tracing::info!(model = self.url, "somebody else completed this model first");
        (theirs, false)
    }

    /// Gives the directory the model's name. `Some` is what somebody else put there first.
    ///
    /// rename(2) of a directory replaces nothing but an empty directory.
    fn rename(&self, from: &Path) -> Result<Option<Sealed>, Error> {
        let (layout, key) = (self.layout, self.key);
        let to = layout.model(key);
        let Err(mut error) = fs::rename(from, &to) else {
            return Ok(None);
        };
        // What is in the way may be removed, or come back, meanwhile; twice is enough to tell that from a fault.
        for _ in 0..2 {
            match entry::state(layout, key)? {
                EntryState::Whole(theirs) => return Ok(Some(theirs)),
                EntryState::Half(_) | EntryState::Touched(_) => entry::clear(layout, key)?,
                EntryState::Missing => {}
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
pub(in crate::cache) fn make_durable(base: &Base, contents: &Contents) -> Result<(), Error> {
    let open = |name: &str| os::beneath::open_any(base.dir(), Path::new(name));
    for (name, _) in &contents.dirs {
        base.make_dir(name).context("create", base.shown(name))?;
    }
    for (name, mtime) in &contents.dirs {
        let set = open(name).and_then(|dir| dir.set_modified(*mtime));
        if let Err(error) = set {
            tracing::debug!(dir = name, %error, "cannot set the time of a directory");
        }
    }
    if contents.files.len() > SYNC_EACH {
        return base.sync_all().context("sync", base.named());
    }
    let sync = |name: &str| open(name)?.sync_all();
    let names = contents.files.keys().map(String::as_str);
    for name in names.chain(contents.dirs.iter().map(|(name, _)| name.as_str())) {
        sync(name).context("sync", base.shown(name))?;
    }
    Ok(())
}
