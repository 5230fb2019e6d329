//! Taking directories away: by one rename out of sight, then file by file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::os;

use super::error::{Context, Error, if_there};
use super::layout::{Key, Layout, new_uid};

/// Takes `path` away, if it is there. A crash in between leaves it in the trash, never half where it was.
///
/// # Errors
///
/// It could not be moved. That it could not be deleted afterwards is only logged: the next open tries again.
pub(super) fn discard(layout: &Layout, key: &Key, path: &Path) -> Result<(), Error> {
    discard_named(layout, &key.to_string(), path)
}

/// The same, of anything: `name` is for people who look into the trash.
pub(super) fn discard_named(layout: &Layout, name: &str, path: &Path) -> Result<(), Error> {
    if let Some(grave) = bury(layout, name, path)? {
        delete(layout, grave);
    }
    Ok(())
}

/// Moves `path` into the trash, if it is there, and says where it lies then: to be deleted later.
///
/// # Errors
///
/// It could not be moved.
pub(super) fn bury(layout: &Layout, name: &str, path: &Path) -> Result<Option<PathBuf>, Error> {
    let grave = layout.trash().join(format!("{name}.{}", new_uid()?));
    let moved = if_there(fs::rename(path, &grave)).context("remove", path)?;
    Ok(moved.map(|()| grave))
}

/// Deletes what others left in the trash.
pub(super) fn purge(layout: &Layout) {
    for entry in fs::read_dir(layout.trash()).into_iter().flatten().flatten() {
        delete(layout, entry.path());
    }
}

/// A link is removed, never followed. Somebody else may be deleting the same at the same time.
pub(super) fn delete(layout: &Layout, path: PathBuf) {
    let mut left = vec![path];
    while let Some(path) = left.pop() {
        match delete_one(layout, &path, &mut left) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %os::fs::shown(&path).display(), %error, "cannot delete from the cache's trash");
            }
            _ => {}
        }
    }
}

/// Deletes what lies right in the trash. Directories in it come to lie there too, and are `left`: however deep they are
/// nested, no name on the way is anybody's but ours, and nothing is as deep as they are.
fn delete_one(layout: &Layout, path: &Path, left: &mut Vec<PathBuf>) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.is_dir() {
        return fs::remove_file(path);
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let gone = match entry.file_type()?.is_dir() {
            false => fs::remove_file(entry.path()),
            true => {
                let uid = new_uid().map_err(io::Error::other)?;
                let beside = layout.trash().join(uid);
                fs::rename(entry.path(), &beside).map(|()| left.push(beside))
            }
        };
        if_there(gone)?;
    }
    fs::remove_dir(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn discarding_spares_what_a_link_points_to() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("cache"));
        layout.prepare().unwrap();
        let kept = dir.path().join("kept");
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join("file"), "x").unwrap();
        let key = Key::of("x");
        std::os::unix::fs::symlink(&kept, layout.model(&key)).unwrap();
        discard(&layout, &key, &layout.model(&key)).unwrap();
        discard(&layout, &key, &layout.model(&key)).unwrap();
        assert!(kept.join("file").exists() && !layout.model(&key).exists());
        assert_eq!(fs::read_dir(layout.trash()).unwrap().count(), 0);
    }

    #[test]
    fn directories_may_be_deeper_than_any_stack() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("cache"));
        layout.prepare().unwrap();
        let key = Key::of("x");
        // Each turn puts what there is below a thousand directories more.
        for _ in 0..10 {
            let top = dir.path().join("top");
            fs::create_dir_all(top.join("a/".repeat(1000))).unwrap();
            fs::write(top.join("a/file"), "x").unwrap();
            let below = top.join("a/".repeat(1000)).join("a");
            if layout.model(&key).exists() {
                fs::rename(layout.model(&key), below).unwrap();
            }
            fs::rename(top, layout.model(&key)).unwrap();
        }
        discard(&layout, &key, &layout.model(&key)).unwrap();
        assert_eq!(fs::read_dir(layout.trash()).unwrap().count(), 0);
    }
}
