//! What is at a model's name in the cache.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::os;

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

/// Looks at a model's entry. A link to a directory counts as one, as it does for tensorflow_hub, unless another user made
/// it: the mount of root, which everybody may read, would show what that user may not.
///
/// # Errors
///
/// It is no directory, or cannot be read.
pub(super) fn look(layout: &Layout, key: &Key) -> Result<Look, Error> {
    let path = layout.model(key);
    let not_a_directory = || Error::NotADirectory { path: path.clone() };
    if is_anothers_link(&path) {
        return Err(not_a_directory());
    }
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

/// Whether `path` is a link of a user who is neither this one nor root.
fn is_anothers_link(path: &Path) -> bool {
    fs::symlink_metadata(path)
        .is_ok_and(|meta| meta.is_symlink() && ![0, os::own::uid()].contains(&meta.uid()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{lchown, symlink};

    #[test]
    fn a_link_counts_unless_another_user_made_it() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("target");
        fs::create_dir(&target).unwrap();
        fs::write(target.join("saved_model.pb"), "x").unwrap();
        let layout = Layout::new(dir.path().join("cache"));
        layout.prepare().unwrap();
        let key = Key::of("x");
        symlink(&target, layout.model(&key)).unwrap();
        assert!(matches!(look(&layout, &key), Ok(Look::Whole(_))));
        if os::own::uid() == 0 {
            lchown(layout.model(&key), Some(65534), None).unwrap();
            assert!(look(&layout, &key).is_err());
        }
    }
}
