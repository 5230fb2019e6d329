//! What is at a model's name in the cache.

use std::fs;
use std::io;

use super::complete::{Flaw, flaw};
use super::error::{Context, Error, if_there};
use super::layout::{Key, Layout};
use super::sealed::Sealed;
use super::trash;

/// The answer.
#[derive(Debug)]
pub(super) enum Look {
    Missing,
    /// Not whole: empty, or what a cleaner left.
    Half(Flaw),
    Whole(Sealed),
}

/// Looks at a model's entry. A link to a directory counts as one, as it does for tensorflow_hub.
///
/// # Errors
///
/// It is no directory, or cannot be read.
pub(super) fn look(layout: &Layout, key: &Key) -> Result<Look, Error> {
    let path = layout.model(key);
    let not_a_directory = || Error::NotADirectory { path: path.clone() };
    match if_there(fs::metadata(&path)).context("examine", &path)? {
        Some(meta) if meta.is_dir() => {}
        Some(_) => return Err(not_a_directory()),
        // A dangling link is there and is not.
        None if fs::symlink_metadata(&path).is_ok() => return Err(not_a_directory()),
        None => return Ok(Look::Missing),
    }
    let Some(entry) = if_there(Sealed::load(path.clone())).context("list", &path)? else {
        return Ok(Look::Missing); // taken out of the cache at this moment
    };
    Ok(match flaw(layout, key, &entry) {
        Some(flaw) => Look::Half(flaw),
        None => Look::Whole(entry),
    })
}

/// Removes an entry that is not whole. To be called with the model's lock held.
pub(super) fn clear(layout: &Layout, key: &Key) -> Result<(), Error> {
    let path = layout.model(key);
    match fs::remove_dir(&path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // Not empty, or a link.
        Err(_) => trash::discard(layout, key, &path),
    }
}
