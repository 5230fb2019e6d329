//! Whether the bytes of complete models are right: verified when somebody asks, looked at before they are handed
//! on. What reads them in the background is in `scrub.rs`.

use std::path::Path;
use std::sync::Arc;

use super::crc;
use super::described::described;
use super::entry::{self, Look};
use super::error::Error;
use super::known::adopt;
use super::layout::{Key, Layout};
use super::locks::Locks;
use super::lower::Lower;
use super::manifest::{Manifest, State};
use super::plain;
use super::root::Cache;
use super::sealed::Sealed;

/// What became of verifying a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// Every byte is right.
    Right,
    /// Others put it here, and nobody knew its checksums; they are known now.
    Recorded,
    /// The same in a directory that is not ours to write: every name can be read, and that is all that one can say.
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

/// What comparing bytes with their checksums has shown.
enum Compared {
    Right,
    /// Of some files nobody knew them.
    Learnt,
    Wrong(String),
}

impl Cache {
    /// Reads every byte of a model and compares it with what is known. What is not right is set aside, unless it is in a
    /// directory that is not ours to write.
    ///
    /// # Errors
    ///
    /// The disk failed, or cannot be written.
    pub fn verify(&self, key: &Key) -> Result<Verified, Error> {
        let ours = self.locks.as_ref().map(|locks| verify_ours(locks, key));
        match (ours.transpose()?, &self.lower) {
            (None | Some(Verified::Absent), Some(lower)) => verify_below(lower, key),
            (ours, _) => Ok(ours.unwrap_or(Verified::Absent)),
        }
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

    /// A model that can be handed on, from wherever it is served: one that somebody has touched is read and mended first, if
    /// that takes nothing but the disk.
    ///
    /// # Errors
    ///
    /// Its entry is no directory, or cannot be read; the disk failed.
    pub fn ready(&self, key: &Key) -> Result<Result<(Manifest, Sealed), Unready>, Error> {
        let ours = match &self.locks {
            Some(locks) => self.ready_here(locks, key)?,
            None => Err(Unready::Absent),
        };
        match (ours, &self.lower) {
            (Err(why), Some(lower)) => Ok(ready_below(lower, key).ok_or(why)),
            (ours, _) => Ok(ours),
        }
    }

    fn ready_here(
        &self,
        locks: &Locks,
        key: &Key,
    ) -> Result<Result<(Manifest, Sealed), Unready>, Error> {
        if let Look::Touched(_) = entry::look(&locks.layout, key)? {
            let Ok(held) = locks.take(key)? else {
                return Ok(Err(Unready::Busy));
            };
            if let Look::Touched(touched) = entry::look(&locks.layout, held.key())?
                && let Err(flaw) = touched.mend(&locks.layout, held.key())?
            {
                return Ok(Err(Unready::Flawed(flaw.to_string())));
            }
        }
        if let Some(whole) = self.whole(key)? {
            return Ok(Ok(whole));
        }
        Ok(Err(match entry::look(&locks.layout, key)? {
            Look::Half(flaw) => Unready::Flawed(flaw.to_string()),
            Look::Missing => Unready::Absent,
            Look::Touched(_) | Look::Whole(_) => Unready::Busy, // it goes on changing
        }))
    }
}

fn verify_ours(locks: &Locks, key: &Key) -> Result<Verified, Error> {
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

/// The lock is held.
fn read_all(layout: &Arc<Layout>, key: &Key, sealed: &Sealed) -> Result<Verified, Error> {
    let Some(mut manifest) = Manifest::current(layout, key) else {
        return Ok(Verified::Absent);
    };
    match compare(sealed, &mut manifest)? {
        Compared::Right => Ok(Verified::Right),
        Compared::Learnt => {
            manifest.amend(layout, key)?;
            Ok(Verified::Recorded)
        }
        Compared::Wrong(why) => {
            entry::set_aside(layout, key)?;
            Ok(Verified::SetAside(why))
        }
    }
}

/// Compares all bytes with their checksums, and notes those that nobody knew.
fn compare(sealed: &Sealed, manifest: &mut Manifest) -> Result<Compared, Error> {
    let mut done = Compared::Right;
    for (name, line) in &mut manifest.files {
        let found = sealed.open(name).and_then(crc::of_file);
        let found = found.map_err(|error| Error::io("read", sealed.dir().join(name), error))?;
        match line.crc32c {
            Some(known) if known == found => {}
            Some(_) => {
                let why = format!("{name:?} has other bytes than when the model was complete");
                return Ok(Compared::Wrong(why));
            }
            None => {
                line.crc32c = Some(found);
                done = Compared::Learnt;
            }
        }
    }
    Ok(done)
}

/// Nothing is written, and times do not matter.
fn verify_below(lower: &Lower, key: &Key) -> Result<Verified, Error> {
    let sealed = match entry::look(&lower.layout, key)? {
        Look::Missing => return Ok(Verified::Absent),
        Look::Half(flaw) => return Ok(Verified::Wrong(flaw.to_string())),
        Look::Touched(touched) => match touched.added().map(Path::to_owned) {
            Some(name) => {
                let why = format!("{name:?} does not belong to the model");
                return Ok(Verified::Wrong(why));
            }
            None => touched.unmended(),
        },
        Look::Whole(sealed) => sealed,
    };
    let mut manifest = manifest_below(lower, key, &sealed);
    Ok(match compare(&sealed, &mut manifest)? {
        Compared::Right => Verified::Right,
        Compared::Learnt => Verified::Unrecorded,
        Compared::Wrong(why) => Verified::Wrong(why),
    })
}

fn ready_below(lower: &Lower, key: &Key) -> Option<(Manifest, Sealed)> {
    let sealed = lower.sealed(key)?;
    Some((manifest_below(lower, key, &sealed), sealed))
}

/// What its owner has recorded of a model, or else what one sees.
fn manifest_below(lower: &Lower, key: &Key, sealed: &Sealed) -> Manifest {
    let layout = &lower.layout;
    Manifest::current(layout, key).unwrap_or_else(|| {
        let handle = described(layout, key).unwrap_or_default();
        let text = plain::read_text(&layout.descriptor(key)).unwrap_or_default();
        Manifest::of(&handle, State::Adopted, &text, sealed)
    })
}
