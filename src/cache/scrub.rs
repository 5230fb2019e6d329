//! Reading models through, slowly, to find flipped bits.

use std::io;

use super::check::Verified;
use super::crc;
use super::entry::{self, Look};
use super::error::Error;
use super::layout::Key;
use super::locks::Locks;
use super::manifest::Manifest;
use super::root::Cache;

impl Cache {
    /// Reads every byte of a model at the pace of `pace`, which is told of each piece. Nobody is held up: the model may leave
    /// meanwhile. What seems wrong is verified at once; checksums that nobody knew are known afterwards.
    ///
    /// # Errors
    ///
    /// The disk failed, or cannot be written.
    pub fn scrub(&self, key: &Key, mut pace: impl FnMut(usize)) -> Result<(), Error> {
        let Some(locks) = &self.locks else {
            return Ok(());
        };
        let Some(manifest) = Manifest::current(&locks.layout, key) else {
            return Ok(());
        };
        let Look::Whole(sealed) = entry::look(&locks.layout, key)? else {
            return Ok(()); // the next open mends it, or has just evicted it
        };
        let mut learned = Vec::new();
        for (name, line) in &manifest.files {
            let found = crc::piecewise(|| sealed.open(name), &mut pace);
            match (found, line.crc32c) {
                (Err(error), _) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                (Ok(found), Some(known)) if found == known => {}
                (Ok(found), None) => learned.push((name.clone(), found)),
                (_, _) => return self.verify_now(key, &manifest.handle),
            }
        }
        match learned.is_empty() {
            true => Ok(()),
            false => learn(locks, key, manifest, learned),
        }
    }

    fn verify_now(&self, key: &Key, handle: &str) -> Result<(), Error> {
        if let Verified::SetAside(why) = self.verify(key)? {
            tracing::warn!(
                model = handle,
                why,
                "the cached copy was damaged, and is set aside"
            );
        }
        Ok(())
    }
}

/// Notes checksums, unless anything has happened to the model since its `manifest` was read.
fn learn(
    locks: &Locks,
    key: &Key,
    mut manifest: Manifest,
    learned: Vec<(String, u32)>,
) -> Result<(), Error> {
    let layout = &locks.layout;
    let Ok(_held) = locks.take(key)? else {
        return Ok(());
    };
    let is_same = Manifest::current(layout, key).as_ref() == Some(&manifest);
    if !is_same || !matches!(entry::look(layout, key)?, Look::Whole(_)) {
        return Ok(());
    }
    for (name, found) in learned {
        if let Some(line) = manifest.files.get_mut(&name) {
            line.crc32c = Some(found);
        }
    }
    manifest.amend(layout, key)
}
