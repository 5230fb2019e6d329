//! What the cache holds, for people: listed, verified, pinned, removed.

use std::collections::HashSet;
use std::fs;
use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;

use crate::os::lock::Locked;

use super::cache::Cache;
use super::crc;
use super::described::described;
use super::entry::{self, Look};
use super::error::{Context, Error, if_there};
use super::evict::{self, Stays};
use super::idle;
use super::known::adopt;
use super::layout::{FILE_MODE, Key, Layout, replace};
use super::ledger;
use super::manifest::{Manifest, State};
use super::parts;
use super::plan;
use super::sealed::Sealed;

/// One model of a cache.
#[derive(Clone, Debug, Serialize)]
pub struct Item {
    /// Whose it is; the name of its directory if nobody knows.
    pub handle: String,
    /// The name of its directory.
    pub key: String,
    /// The sum of all files' sizes.
    pub bytes: u64,
    /// When it was last used, as seconds since 1970.
    #[serde(serialize_with = "seconds")]
    pub used: SystemTime,
    /// Whether its bytes are here.
    pub state: Standing,
    /// Whether it never leaves.
    pub pinned: bool,
    /// Where its bytes came from, if that is known.
    pub origin: Option<String>,
}

/// Whether a model's bytes are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Fetched and verified.
    Sealed,
    /// Put here by others, and whole as far as one can see.
    Adopted,
    /// Streamed, and read in part: so many of its bytes are here.
    Partial,
    /// It has left; its names are known, and it comes back when it is read.
    Evicted,
    /// Not as it was: the next open mends or fetches it.
    Damaged,
}

/// What became of verifying a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// Every byte is right.
    Right,
    /// Others put it here, and nobody knew its checksums; they are known now.
    Recorded,
    /// It is not here, or being filled.
    Absent,
    /// It was not right, and has been set aside: the next open fetches it again.
    SetAside(String),
}

fn items_in(layout: &Layout) -> Vec<Item> {
    let pins = ledger::keys_in(&layout.pins());
    let mut keys = ledger::keys_in(&layout.manifests());
    keys.extend(ledger::keys_in(layout.root()));
    let mut items: Vec<Item> = keys
        .iter()
        .filter_map(|key| item(layout, key, pins.contains(key)))
        .collect();
    let parts = ledger::keys_in(&layout.parts()).into_iter();
    let parts: Vec<Item> = parts
        .filter_map(|key| part(layout, &key, pins.contains(&key)))
        .collect();
    // What comes back in parts is not away any more.
    items.retain(|item| !parts.iter().any(|part| part.key == item.key));
    items.extend(parts);
    items
}

fn seconds<S: serde::Serializer>(time: &SystemTime, out: S) -> Result<S::Ok, S::Error> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    out.serialize_u64(since.map_or(0, |since| since.as_secs()))
}

impl Cache {
    /// Every model that is, or was, here, by handle.
    pub fn items(&self) -> Vec<Item> {
        let mut items: Vec<Item> = Vec::new();
        for layout in self.layouts() {
            // What is here counts before what is in the directory below.
            let here: HashSet<String> = items.iter().map(|item| item.key.clone()).collect();
            let found = items_in(layout).into_iter();
            items.extend(found.filter(|item| !here.contains(&item.key)));
        }
        items.sort_unstable_by(|one, other| one.handle.cmp(&other.handle));
        items
    }

    /// Reads every byte of a model and compares it with what is known. What is not right is set aside.
    ///
    /// # Errors
    ///
    /// The disk failed, or cannot be written.
    pub fn verify(&self, key: &Key) -> Result<Verified, Error> {
        let Some(locks) = &self.locks else {
            return Ok(Verified::Absent);
        };
        let layout = &locks.layout;
        adopt(layout, key, None)?;
        let Ok(_held) = locks.take(key)? else {
            return Ok(Verified::Absent);
        };
        let why = match entry::look(layout, key)? {
            Look::Missing => return Ok(Verified::Absent),
            Look::Half(flaw) => flaw.to_string(),
            Look::Touched(touched) => match touched.mend(layout, key)? {
                Ok(sealed) => return read_all(layout, key, &sealed),
                Err(flaw) => flaw.to_string(),
            },
            Look::Whole(sealed) => return read_all(layout, key, &sealed),
        };
        entry::set_aside(layout, key)?;
        Ok(Verified::SetAside(why))
    }

    /// A model that is here and whole, and what is known of it.
    ///
    /// # Errors
    ///
    /// Its entry is no directory, or cannot be read.
    pub fn whole(&self, key: &Key) -> Result<Option<(Manifest, Sealed)>, Error> {
        let Some(locks) = &self.locks else {
            return Ok(None);
        };
        let layout = &locks.layout;
        if let Err(error) = adopt(layout, key, None) {
            tracing::debug!(entry = %key, %error, "cannot record a model of others");
        }
        let Look::Whole(sealed) = entry::look(layout, key)? else {
            return Ok(None);
        };
        let manifest = Manifest::current(layout, key);
        Ok(manifest.map(|manifest| (manifest, sealed)))
    }

    /// The models that are here, in an order that stays.
    pub fn keys(&self) -> Vec<Key> {
        let root = self.locks.as_ref().map(|locks| locks.layout.root());
        let keys = root.map(ledger::keys_in).unwrap_or_default();
        let mut keys: Vec<Key> = keys.into_iter().collect();
        keys.sort_unstable();
        keys
    }

    /// The right to look after this directory, which one process has at a time.
    pub fn takes_turn(&self) -> Option<Locked> {
        let layout = &self.locks.as_ref()?.layout;
        Locked::open(&layout.house(), FILE_MODE).ok()?
    }

    /// Pins a model, here or not, or lets it go.
    ///
    /// # Errors
    ///
    /// The cache cannot be written.
    pub fn pin(&self, url: &str, pinned: bool) -> Result<(), Error> {
        let Some(locks) = &self.locks else {
            return Err(Error::NoCache {
                why: self.unkept.clone().unwrap_or_default(),
            });
        };
        let (layout, key) = (&locks.layout, Key::of(url));
        let path = layout.pin(&key);
        let done = match pinned {
            true => replace(&layout.temp(&key, "pin"), &path, url.as_bytes()),
            false => if_there(fs::remove_file(&path))
                .map(drop)
                .context("remove", &path),
        };
        self.look_again();
        done
    }

    /// Takes a model out of the cache. `forget` takes what is known of it, and its pin, too.
    ///
    /// # Errors
    ///
    /// The disk failed, or cannot be written.
    pub fn remove(&self, key: &Key, forget: bool) -> Result<Result<(), Stays>, Error> {
        let Some(locks) = &self.locks else {
            return Ok(Ok(()));
        };
        let layout = &locks.layout;
        let pin = layout.pin(key);
        if !forget && fs::symlink_metadata(&pin).is_ok() {
            return Ok(Err(Stays::Pinned));
        }
        if let Err(stays) = evict::remove(layout, key)? {
            return Ok(Err(stays));
        }
        if !idle::discard(layout, &key.to_string()) {
            return Ok(Err(Stays::InUse));
        }
        if forget {
            for path in [layout.manifest(key), pin] {
                if_there(fs::remove_file(&path)).context("remove", &path)?;
            }
        }
        self.look_again();
        Ok(Ok(()))
    }
}

/// What is here of a model, or an object, that is streamed.
fn part(layout: &Layout, key: &Key, pinned: bool) -> Option<Item> {
    let dir = layout.parts().join(key.to_string());
    let used = fs::symlink_metadata(parts::claim_of(&dir)).and_then(|meta| meta.modified());
    Some(Item {
        handle: plan::id_in(&dir)?,
        key: key.to_string(),
        bytes: idle::allocated(&dir),
        used: used.unwrap_or(SystemTime::UNIX_EPOCH),
        state: Standing::Partial,
        pinned,
        origin: None,
    })
}

fn item(layout: &Layout, key: &Key, pinned: bool) -> Option<Item> {
    let here = fs::symlink_metadata(layout.model(key)).is_ok();
    let manifest = match here {
        true => Manifest::current(layout, key),
        false => Manifest::read(layout, key),
    };
    let used = fs::symlink_metadata(layout.manifest(key)).and_then(|meta| meta.modified());
    let used = used.or_else(|_| ledger::written(layout, key));
    let (handle, bytes, state, origin) = match &manifest {
        Some(manifest) => {
            let state = match (here, manifest.state) {
                (false, _) => Standing::Evicted,
                (true, State::Sealed) => Standing::Sealed,
                (true, State::Adopted) => Standing::Adopted,
            };
            let (handle, origin) = (manifest.handle.clone(), manifest.origin.clone());
            (handle, manifest.bytes(), state, origin)
        }
        // A damaged manifest of a model that is not here says nothing.
        None if !here => return None,
        None => (
            described(layout, key).unwrap_or_default(),
            Sealed::load(layout.model(key)).ok()?.bytes(),
            Standing::Adopted,
            None,
        ),
    };
    let state = match here.then(|| entry::look_at(layout, key, || manifest.clone())) {
        None | Some(Ok(Look::Whole(_))) => state,
        _ => Standing::Damaged,
    };
    let handle = match handle.is_empty() {
        true => key.to_string(),
        false => handle,
    };
    Some(Item {
        handle,
        key: key.to_string(),
        bytes,
        used: used.unwrap_or(SystemTime::UNIX_EPOCH),
        state,
        pinned,
        origin,
    })
}

/// Compares all bytes with their checksums. The lock is held.
fn read_all(layout: &Arc<Layout>, key: &Key, sealed: &Sealed) -> Result<Verified, Error> {
    let Some(mut manifest) = Manifest::current(layout, key) else {
        return Ok(Verified::Absent);
    };
    let mut recorded = false;
    for (name, line) in &mut manifest.files {
        let found = sealed.open(name).and_then(crc::of_file);
        match (found, line.crc32c) {
            (Ok(found), Some(known)) if found == known => {}
            (Ok(found), None) => {
                line.crc32c = Some(found);
                recorded = true;
            }
            (Ok(_), Some(_)) => {
                entry::set_aside(layout, key)?;
                let why = format!("{name:?} has other bytes than when the model was complete");
                return Ok(Verified::SetAside(why));
            }
            (Err(error), _) => {
                return Err(Error::io("read", layout.model(key).join(name), error));
            }
        }
    }
    if recorded {
        manifest.amend(layout, key)?;
        return Ok(Verified::Recorded);
    }
    Ok(Verified::Right)
}
