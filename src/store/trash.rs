//! Taking directories away: by one rename out of sight, then file by file.

use std::fs;
use std::io;
use std::path::Path;

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
    let grave = layout.trash().join(format!("{name}.{}", new_uid()?));
    if if_there(fs::rename(path, &grave))
        .context("remove", path)?
        .is_some()
    {
        delete(&grave);
    }
    Ok(())
}

/// Deletes what others left in the trash.
pub(super) fn purge(layout: &Layout) {
    for entry in fs::read_dir(layout.trash()).into_iter().flatten().flatten() {
        delete(&entry.path());
    }
}

/// A link is removed, never followed. Somebody else may be deleting the same at the same time.
fn delete(path: &Path) {
    let result = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %os::fs::shown(path).display(), %error, "cannot delete from the cache's trash");
        }
        _ => {}
    }
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
}
