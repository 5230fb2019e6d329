//! Whether the bytes of complete models are right: verified when somebody asks and now and then in the background, and looked
//! at before they are handed on.

use std::io;
use std::path::Path;

use super::super::adopt::adopt;
use super::super::dirs::plain;
use super::super::error::Error;
use super::super::layers::{Layer, ReadOnly};
use super::super::layout::{Key, Layout};
use super::super::lock::Locks;
use super::super::root::Cache;
use super::super::sealed::Sealed;
use super::super::sealed::entry::{self, EntryState, Flaw};
use super::super::sealed::manifest::{Comparison, Manifest, State};
use super::inventory::handle_in;

/// What became of verifying a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// Every byte is right.
    Right,
    /// Others put it here, and nobody knew its checksums; they are known now.
    Recorded,
    /// Nobody knows its checksums, and the directory is not ours to write: every file can be read, and no more is known.
    Unrecorded,
    /// It is not here, or being filled.
    Absent,
    /// It was not right, and has been set aside: the next open fetches it again.
    SetAside(String),
    /// It is not right, and the directory is not ours to write: it stays as it is.
    Wrong(String),
}

/// Why a model cannot be handed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unready {
    /// It is not here.
    Absent,
    /// Somebody is filling it, or looking at it.
    Busy,
    /// It is not as it was.
    Flawed(String),
}

/// Whether the models of a cache are what they were.
#[derive(Debug)]
pub struct Integrity<'a> {
    cache: &'a Cache,
}

impl<'a> Integrity<'a> {
    /// The integrity of `cache`.
    pub fn of(cache: &'a Cache) -> Integrity<'a> {
        Integrity { cache }
    }

    /// Reads every byte of a model and compares it with what is known. What is not right is set aside, unless it is in a
    /// directory that is not ours to write.
    ///
    /// # Errors
    ///
    /// The disk failed, or cannot be written.
    pub fn verify(&self, key: &Key) -> Result<Verified, Error> {
        for layer in self.cache.layers() {
            let verified = match layer {
                Layer::Own(locks) => {
                    adopt(locks.layout(), key, None)?;
                    verify_ours(locks, key, |_| {})?
                }
                Layer::ReadOnly(dir) => verify_below(dir.layout(), key)?,
                Layer::Kagglehub(_) => Verified::Absent,
            };
            if verified != Verified::Absent {
                return Ok(verified);
            }
        }
        Ok(Verified::Absent)
    }

    /// Verifies a model of ours that nobody has touched, at the pace of `pace`, which is called with the length of each piece.
    /// Nobody is held up: the model may leave meanwhile.
    ///
    /// # Errors
    ///
    /// The disk failed, or cannot be written.
    pub fn scrub(&self, key: &Key, pace: impl FnMut(usize)) -> Result<Verified, Error> {
        match self.cache.own() {
            Some(locks) if matches!(entry::state(locks.layout(), key)?, EntryState::Whole(_)) => {
                verify_ours(locks, key, pace)
            }
            _ => Ok(Verified::Absent), // the next open mends it, or has just evicted it
        }
    }

    /// A model that is here and whole, and what is known of it.
    ///
    /// # Errors
    ///
    /// Its entry is no directory, or cannot be read.
    pub fn whole(&self, key: &Key) -> Result<Option<(Manifest, Sealed)>, Error> {
        let Some(locks) = self.cache.own() else {
            return Ok(None);
        };
        let layout = locks.layout();
        if let Err(error) = adopt(layout, key, None) {
            tracing::debug!(entry = %key, %error, "cannot record a model of others");
        }
        let EntryState::Whole(sealed) = entry::state(layout, key)? else {
            return Ok(None);
        };
        let manifest = Manifest::current(layout, key);
        Ok(manifest.map(|manifest| (manifest, sealed)))
    }

    /// A model that can be handed on, from wherever it is served: one that somebody has touched is read and mended first, if
    /// that takes nothing but the disk.
    ///
    /// # Errors
    ///
    /// Its entry is no directory, or cannot be read; the disk failed.
    pub fn ready(&self, key: &Key) -> Result<Result<(Manifest, Sealed), Unready>, Error> {
        let ours = match self.cache.own() {
            Some(locks) => self.ready_here(locks, key)?,
            None => Err(Unready::Absent),
        };
        Ok(ours.or_else(|why| {
            let mut below = self.cache.layers().iter().filter_map(|layer| match layer {
                Layer::ReadOnly(dir) => ready_below(dir, key),
                _ => None,
            });
            below.next().ok_or(why)
        }))
    }

    fn ready_here(
        &self,
        locks: &Locks,
        key: &Key,
    ) -> Result<Result<(Manifest, Sealed), Unready>, Error> {
        if let EntryState::Touched(_) = entry::state(locks.layout(), key)? {
            let Ok(held) = locks.take(key)? else {
                return Ok(Err(Unready::Busy));
            };
            if let EntryState::Touched(touched) = entry::state(locks.layout(), held.key())?
                && let Err(flaw) = touched.mend(locks.layout(), held.key())?
            {
                return Ok(Err(Unready::Flawed(flaw.to_string())));
            }
        }
        if let Some(whole) = self.whole(key)? {
            return Ok(Ok(whole));
        }
        Ok(Err(match entry::state(locks.layout(), key)? {
            EntryState::Half(flaw) => Unready::Flawed(flaw.to_string()),
            EntryState::Missing => Unready::Absent,
            EntryState::Touched(_) | EntryState::Whole(_) => Unready::Busy, // it goes on changing
        }))
    }
}

/// Reads the model without its lock, and takes that to write down what was found.
fn verify_ours(locks: &Locks, key: &Key, pace: impl FnMut(usize)) -> Result<Verified, Error> {
    let layout = locks.layout();
    let seen = Manifest::current(layout, key);
    let sealed = match entry::state(layout, key)? {
        EntryState::Missing => return Ok(Verified::Absent),
        EntryState::Whole(sealed) => Some(sealed),
        EntryState::Half(_) | EntryState::Touched(_) => None,
    };
    let mut manifest = seen.clone();
    let comparison = match (&mut manifest, &sealed) {
        (Some(manifest), Some(sealed)) => manifest.read_through(sealed, |_, _| true, pace),
        _ => Ok(Comparison::Differs(String::new())),
    };
    match (comparison, manifest) {
        (Ok(Comparison::Equal), _) => Ok(Verified::Right),
        (Err((_, error)), _) if error.kind() == io::ErrorKind::NotFound => judge(locks, key),
        (Ok(Comparison::Learned), Some(manifest)) => {
            let Ok(_held) = locks.take(key)? else {
                return Ok(Verified::Absent);
            };
            let is_whole = matches!(entry::state(layout, key)?, EntryState::Whole(_));
            if !is_whole || Manifest::current(layout, key) != seen {
                return Ok(Verified::Absent); // something has happened to the model meanwhile
            }
            manifest.amend(layout, key)?;
            Ok(Verified::Recorded)
        }
        (Ok(_), _) => judge(locks, key),
        (Err((name, error)), _) => Err(Error::io("read", layout.model(key).join(name), error)),
    }
}

/// Mends a model that seemed wrong, or sets it aside, with its lock.
fn judge(locks: &Locks, key: &Key) -> Result<Verified, Error> {
    let layout = locks.layout();
    let Ok(held) = locks.take(key)? else {
        return Ok(Verified::Absent);
    };
    let sealed = match entry::state(layout, held.key())? {
        EntryState::Missing => return Ok(Verified::Absent),
        EntryState::Half(flaw) => Err(flaw),
        EntryState::Touched(touched) => touched.mend(layout, key)?,
        EntryState::Whole(sealed) => Ok(sealed),
    };
    let why = match sealed {
        Err(flaw) => flaw,
        Ok(sealed) => {
            let Some(mut manifest) = Manifest::current(layout, key) else {
                return Ok(Verified::Absent);
            };
            match compare(&sealed, &mut manifest)? {
                Comparison::Equal => return Ok(Verified::Right),
                Comparison::Learned => {
                    manifest.amend(layout, key)?;
                    return Ok(Verified::Recorded);
                }
                Comparison::Differs(name) => Flaw::Other(name),
            }
        }
    };
    let model = handle_in(layout, key).unwrap_or_default();
    tracing::warn!(model, entry = %key, %why, "the cached copy is damaged, and is set aside");
    entry::set_aside(layout, key)?;
    Ok(Verified::SetAside(why.to_string()))
}

fn compare(sealed: &Sealed, manifest: &mut Manifest) -> Result<Comparison, Error> {
    let comparison = manifest.read_through(sealed, |_, _| true, |_| {});
    comparison.map_err(|(name, error)| Error::io("read", sealed.dir().join(name), error))
}

/// Nothing is written, and times do not matter.
fn verify_below(layout: &Layout, key: &Key) -> Result<Verified, Error> {
    let sealed = match entry::state(layout, key)? {
        EntryState::Missing => return Ok(Verified::Absent),
        EntryState::Half(flaw) => return Ok(Verified::Wrong(flaw.to_string())),
        EntryState::Touched(touched) => match touched.added().map(Path::to_owned) {
            Some(name) => {
                let why = format!("{name:?} does not belong to the model");
                return Ok(Verified::Wrong(why));
            }
            None => touched.unmended(),
        },
        EntryState::Whole(sealed) => sealed,
    };
    let mut manifest = manifest_below(layout, key, &sealed);
    Ok(match compare(&sealed, &mut manifest)? {
        Comparison::Equal => Verified::Right,
        Comparison::Learned => Verified::Unrecorded,
        Comparison::Differs(name) => Verified::Wrong(Flaw::Other(name).to_string()),
    })
}

fn ready_below(dir: &ReadOnly, key: &Key) -> Option<(Manifest, Sealed)> {
    let sealed = dir.sealed(key)?;
    Some((manifest_below(dir.layout(), key, &sealed), sealed))
}

/// What its owner has recorded of a model, or else what one sees.
fn manifest_below(layout: &Layout, key: &Key, sealed: &Sealed) -> Manifest {
    Manifest::current(layout, key).unwrap_or_else(|| {
        let handle = handle_in(layout, key).unwrap_or_default();
        let text = plain::read_text(&layout.descriptor(key)).unwrap_or_default();
        Manifest::of(&handle, State::Adopted, &text, sealed)
    })
}
