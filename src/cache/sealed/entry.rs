//! What is at a model's name in the cache.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::os;
use crate::savedmodel;

use super::super::error::{Context, Error, if_there};
use super::super::layout::{Key, Layout};
use super::super::trash;
use super::manifest::{Change, Comparison, Line, Manifest, State};
use super::model::Sealed;

/// Why an entry is not whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::cache) enum Flaw {
    #[error("{0:?} is missing or has another size than when the model was complete")]
    Lost(String),
    #[error("{0:?} has other bytes than when the model was complete")]
    Other(String),
    #[error("{0:?} does not belong to it, and cannot be removed because it goes on changing")]
    Strange(PathBuf),
    #[error(transparent)]
    Incomplete(#[from] savedmodel::Flaw),
}

/// What is at a model's name.
#[derive(Debug)]
pub(in crate::cache) enum EntryState {
    Missing,
    /// Not whole: empty, or what a cleaner left.
    Half(Flaw),
    /// Somebody has been at it; what is known of it tells whether its bytes are right.
    Touched(Box<Touched>),
    Whole(Sealed),
}

/// An entry that has every file in its size, and times or names that it had not.
#[derive(Debug)]
pub(in crate::cache) struct Touched {
    sealed: Sealed,
    manifest: Manifest,
    change: Change,
}

/// Looks at a model's entry. A link to a directory counts as one, as it does for tensorflow_hub, unless another user made
/// it: the mount of root, which everybody may read, would show what that user may not.
///
/// # Errors
///
/// It is no directory, or cannot be read.
pub(in crate::cache) fn state(layout: &Layout, key: &Key) -> Result<EntryState, Error> {
    state_with(layout, key, || Manifest::current(layout, key))
}

/// Examines a model's entry as [`state`] does. `manifest` is called only if there is anything to compare it with.
pub(in crate::cache) fn state_with(
    layout: &Layout,
    key: &Key,
    manifest: impl FnOnce() -> Option<Manifest>,
) -> Result<EntryState, Error> {
    let path = layout.model(key);
    let not_a_directory = || Error::NotADirectory { path: path.clone() };
    let entry = match Sealed::load(path.clone()) {
        Ok(entry) => entry,
        // A dangling link is there and is not.
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_link(&path) => {
            return Err(not_a_directory());
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(EntryState::Missing),
        Err(error) if !path.is_dir() || is_anothers_link(&path) => {
            tracing::debug!(entry = %path.display(), %error, "there is no model");
            return Err(not_a_directory());
        }
        Err(error) => return Err(Error::io("list", &path, error)),
    };
    Ok(match manifest() {
        Some(manifest) => compared(entry, manifest),
        None => match savedmodel::flaw(&entry) {
            Some(flaw) => EntryState::Half(flaw.into()),
            None => EntryState::Whole(entry),
        },
    })
}

fn compared(sealed: Sealed, manifest: Manifest) -> EntryState {
    let change = manifest.change(&sealed);
    match change {
        Change {
            lost: Some(name), ..
        } => EntryState::Half(Flaw::Lost(name)),
        change if change == Change::default() => EntryState::Whole(sealed),
        change => EntryState::Touched(Box::new(Touched {
            sealed,
            manifest,
            change,
        })),
    }
}

impl Touched {
    /// The entry, in which every name has its size.
    pub(in crate::cache) fn unmended(self) -> Sealed {
        self.sealed
    }

    /// A name that the model did not have.
    pub(in crate::cache) fn added(&self) -> Option<&Path> {
        self.change.added.first().map(PathBuf::as_path)
    }

    /// Whether reading it can show that it is right: a file whose checksum nobody knows cannot be told from another.
    pub(in crate::cache) fn is_told_by_reading(&self) -> bool {
        self.unknown().is_none()
    }

    /// A file that was touched, and whose checksum nobody knows.
    fn unknown(&self) -> Option<&String> {
        let known = |name: &String| self.manifest.crc32c(name);
        let mut touched = self.change.touched.iter();
        touched.find(|name| known(name).is_none())
    }

    /// Takes away what was added to a model of ours, and reads the files whose time has changed. To be called with the model's lock held; takes
    /// as long as reading them does.
    ///
    /// # Errors
    ///
    /// The disk failed. Bytes that are not the model's are a [`Flaw`].
    pub(in crate::cache) fn mend(
        mut self,
        layout: &Layout,
        key: &Key,
    ) -> Result<Result<Sealed, Flaw>, Error> {
        let model = layout.model(key);
        if let Some(name) = self.unknown() {
            return Ok(Err(Flaw::Other(name.clone())));
        }
        match self.read_touched() {
            Ok(Comparison::Differs(name)) | Err((name, _)) => return Ok(Err(Flaw::Other(name))),
            Ok(_) => {}
        }
        // What others put here is theirs to add to, and so is a directory that somebody has linked here.
        let is_ours = self.manifest.state == State::Sealed && !is_link(&model);
        if is_ours && let Some(strange) = self.remove_added(layout, key)? {
            return Ok(Err(Flaw::Strange(strange)));
        }
        let now = Sealed::load(model.clone()).context("list", &model)?;
        if let Some(flaw) = savedmodel::variables_flaw(&now).filter(|_| !is_ours) {
            return Ok(Err(flaw.into()));
        }
        match is_ours {
            true => self.manifest.retime(&self.change.touched, &now),
            false => self.manifest.retake(&now),
        }
        self.manifest.amend(layout, key)?;
        Ok(match compared(now, self.manifest) {
            EntryState::Whole(sealed) => Ok(sealed),
            EntryState::Half(flaw) => Err(flaw),
            _ => Err(Flaw::Other(model.display().to_string())), // it goes on changing
        })
    }

    /// Whether every file has the bytes that it had, as far as that is known. Takes as long as reading those that were touched.
    pub(in crate::cache) fn verify_touched(&mut self) -> bool {
        matches!(
            self.read_touched(),
            Ok(Comparison::Equal | Comparison::Learned)
        )
    }

    fn read_touched(&mut self) -> Result<Comparison, (String, io::Error)> {
        let touched = &self.change.touched;
        let which = |name: &str, _: &Line| touched.iter().any(|touched| touched == name);
        self.manifest.read_through(&self.sealed, which, |_| {})
    }

    /// What tells this state from another: what was touched, and when.
    pub(in crate::cache) fn stamp(&self) -> Vec<(String, SystemTime)> {
        let at = |name: &String| Some((name.clone(), self.sealed.stat(name)?.mtime));
        self.change.touched.iter().filter_map(at).collect()
    }

    /// Takes away what the model did not have. A name that cannot be reached without following a link is left, and returned.
    fn remove_added(&self, layout: &Layout, key: &Key) -> Result<Option<PathBuf>, Error> {
        let model = layout.model(key);
        let dir = os::beneath::top_path(&model).context("open", &model)?;
        for name in &self.change.added {
            // Whoever put it there may put a link in the place of its directory, now.
            let spot = match if_there(os::beneath::spot(&dir, name)) {
                Ok(Some(spot)) => spot,
                Ok(None) => continue, // it went with its directory
                Err(_) => return Ok(Some(name.clone())),
            };
            tracing::warn!(entry = %model.display(), ?name, "removing what does not belong to the model");
            trash::discard(layout, key, &spot.path())?;
        }
        Ok(None)
    }
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink())
}

/// Whether `path` is a link of a user who is neither this one nor root.
fn is_anothers_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink() && !os::own::trusts(meta.uid()))
}

/// Removes an entry that is not whole. To be called with the model's lock held.
pub(in crate::cache) fn clear(layout: &Layout, key: &Key) -> Result<(), Error> {
    let path = layout.model(key);
    match fs::remove_dir(&path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // Not empty, or a link.
        Err(_) => trash::discard(layout, key, &path),
    }
}

/// Removes an entry that is not whole, and its descriptor: nothing comes in its place at once.
pub(in crate::cache) fn set_aside(layout: &Layout, key: &Key) -> Result<(), Error> {
    clear(layout, key)?;
    let descriptor = layout.descriptor(key);
    if_there(fs::remove_file(&descriptor)).context("remove", &descriptor)?;
    Ok(())
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
        assert!(matches!(state(&layout, &key), Ok(EntryState::Whole(_))));
        os::testing::needs_root();
        lchown(layout.model(&key), Some(65534), None).unwrap();
        assert!(state(&layout, &key).is_err());
    }
}
