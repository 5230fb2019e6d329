//! How a complete model leaves the cache: whole, by one rename, and only while nobody uses it.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use crate::os;

use super::super::error::{Context, Error, if_there};
use super::super::layout::{Key, Layout};
use super::super::lock::Claim;
use super::super::sealed::Sealed;
use super::super::trash;
use super::ledger::Row;

/// Why a model stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stays {
    /// Somebody has a file of it open, or mapped.
    #[error("it is in use")]
    InUse,
    /// It was used since it was chosen, at this time.
    #[error("it was used meanwhile")]
    Used(SystemTime),
    /// It is pinned.
    #[error("it is pinned")]
    Pinned,
    /// Somebody is filling it.
    #[error("it is being filled")]
    Busy,
    /// It is in a directory of another user's, or on a read-only disk.
    #[error("the cache directory is read-only")]
    NotOurs,
}

/// Takes a model out of the cache that was seen as `row`, into the trash, and says where it lies there. What is known of it
/// stays.
///
/// # Errors
///
/// The disk failed; the model is as it was.
pub(super) fn evict(
    layout: &Arc<Layout>,
    row: &Row,
) -> Result<Result<Option<PathBuf>, Stays>, Error> {
    let key = &row.key;
    if fs::symlink_metadata(layout.pin(key)).is_ok() {
        return Ok(Err(Stays::Pinned));
    }
    let used = fs::symlink_metadata(layout.manifest(key)).and_then(|meta| meta.modified());
    if let Some(used) = used.ok().filter(|used| *used > row.used) {
        return Ok(Err(Stays::Used(used)));
    }
    remove(layout, key)
}

/// The same, whenever it was used and whether it is pinned or not.
///
/// # Errors
///
/// The disk failed; the model is as it was.
pub(in crate::cache) fn remove(
    layout: &Arc<Layout>,
    key: &Key,
) -> Result<Result<Option<PathBuf>, Stays>, Error> {
    let Some(_claim) = Claim::take(layout, key)? else {
        return Ok(Err(Stays::Busy));
    };
    if fs::symlink_metadata(layout.lock(key)).is_ok() {
        return Ok(Err(Stays::Busy));
    }
    let model = layout.model(key);
    if find_use(layout, key).context("examine", &model)? {
        return Ok(Err(Stays::InUse));
    }
    let grave = trash::bury(layout, &key.to_string(), &model)?;
    let descriptor = layout.descriptor(key);
    if_there(fs::remove_file(&descriptor)).context("remove", &descriptor)?;
    Ok(Ok(grave))
}

/// Whether anybody has a file of the model open, or mapped. A file system that cannot tell says no: what is open stays
/// readable when its name goes.
pub(super) fn find_use(layout: &Layout, key: &Key) -> io::Result<bool> {
    let Some(model) = if_there(Sealed::load(layout.model(key)))? else {
        return Ok(false);
    };
    for (path, _) in model.files() {
        let Some(file) = if_there(model.open(&path))? else {
            continue;
        };
        if os::lease::probe_use(&file).unwrap_or(false) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::super::super::sealed::manifest::{Manifest, State};
    use super::*;
    use std::time::Duration;

    fn model(dir: &std::path::Path) -> (Arc<Layout>, Row) {
        let layout = Arc::new(Layout::new(dir.to_path_buf()));
        layout.prepare().unwrap();
        let key = Key::of("https://h/a/1");
        fs::create_dir(layout.model(&key)).unwrap();
        fs::write(layout.model(&key).join("saved_model.pb"), "graph").unwrap();
        fs::write(layout.descriptor(&key), "d").unwrap();
        let sealed = Sealed::load(layout.model(&key)).unwrap();
        let manifest = Manifest::of("https://h/a/1", State::Sealed, "d", &sealed);
        manifest.write(&layout, &key).unwrap();
        let row = Row {
            key,
            bytes: 5,
            used: SystemTime::now() + Duration::from_secs(1),
            pinned: false,
            foreign: false,
        };
        (layout, row)
    }

    #[test]
    fn a_model_leaves_whole_and_stays_known() {
        let dir = tempfile::tempdir().unwrap();
        let (layout, row) = model(dir.path());
        let grave = evict(&layout, &row).unwrap().unwrap().unwrap();
        assert!(!layout.model(&row.key).exists() && !layout.descriptor(&row.key).exists());
        assert!(Manifest::current(&layout, &row.key).is_some());
        assert!(grave.starts_with(layout.trash()) && grave.exists());
        assert_eq!(evict(&layout, &row).unwrap(), Ok(None), "again");
    }

    #[test]
    fn what_is_used_pinned_or_being_filled_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (layout, row) = model(dir.path());
        let open = fs::File::open(layout.model(&row.key).join("saved_model.pb")).unwrap();
        if os::lease::probe_use(&open).is_ok() {
            assert_eq!(evict(&layout, &row).unwrap(), Err(Stays::InUse));
        }
        drop(open);
        let earlier = Row {
            used: SystemTime::UNIX_EPOCH,
            ..row.clone()
        };
        assert!(matches!(
            evict(&layout, &earlier).unwrap(),
            Err(Stays::Used(_))
        ));
        fs::write(layout.pin(&row.key), "").unwrap();
        assert_eq!(evict(&layout, &row).unwrap(), Err(Stays::Pinned));
        fs::remove_file(layout.pin(&row.key)).unwrap();
        let claim = Claim::take(&layout, &row.key).unwrap();
        assert_eq!(evict(&layout, &row).unwrap(), Err(Stays::Busy));
        drop(claim);
        fs::write(layout.lock(&row.key), "tensorflow_hub's").unwrap();
        assert_eq!(evict(&layout, &row).unwrap(), Err(Stays::Busy));
        fs::remove_file(layout.lock(&row.key)).unwrap();
        assert!(matches!(evict(&layout, &row).unwrap(), Ok(Some(_))));
    }
}
