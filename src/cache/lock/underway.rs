//! Which models are being unpacked into a cache directory at this moment, by whichever process.

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;
use std::time::SystemTime;

use crate::hubdir;
use crate::os;

use super::super::layout::{Key, Layout};
use super::super::trash;
use super::Claim;
use super::foreign::{Sight, tree_size};

/// Each of them, and the bytes that are there. `host` is the name of this host: a lock tells whether its holder lives on it.
pub(in crate::cache) fn in_dir(layout: &Layout, host: &str) -> HashMap<Key, u64> {
    let entries = fs::read_dir(layout.root()).into_iter().flatten().flatten();
    let staged = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let (key, uid) = hubdir::parse_staging_name(&name)?;
        is_held(layout, &key, uid, host).then(|| (key, tree_size(&entry.path())))
    });
    staged.collect()
}

/// Takes away staging directories that no lock names any more (their record was cleared, or another took the lock over)
/// and that nothing has been written to for as long as tensorflow_hub waits for a holder.
pub(in crate::cache) fn bury_orphans(layout: &Arc<Layout>, host: &str) {
    let Some(limit) = SystemTime::now().checked_sub(hubdir::STALE) else {
        return;
    };
    let entries = fs::read_dir(layout.root()).into_iter().flatten().flatten();
    for entry in entries {
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let Some((key, uid)) = hubdir::parse_staging_name(&name) else {
            continue;
        };
        let sight = Sight::of(layout, &key, host);
        let is_named = |sight: Option<Sight>| {
            let lock = sight.and_then(|sight| sight.parsed);
            lock.is_some_and(|lock| lock.uid == uid)
        };
        let is_recent = || {
            let at = entry.metadata().and_then(|meta| meta.modified());
            let writes = |entry: &os::dir::Entry| u64::from(entry.mtime > limit);
            at.map_or(true, |at| at > limit) || os::dir::sum(&entry.path(), writes) > 0
        };
        if sight.map_or(true, is_named) || is_recent() {
            continue;
        }
        // Nobody among ourselves fills it; one who is dead has been cleared away.
        let buried = Claim::take(layout, &key).and_then(|claim| match claim {
            Some(_claim) => trash::discard(layout, &key, &entry.path()),
            None => Ok(()),
        });
        match buried {
            Ok(()) => tracing::warn!(name, "clearing away an unfinished download without a lock"),
            Err(error) => tracing::warn!(%error, "cannot clear away an unfinished download"),
        }
    }
}

/// Whether the staging directory is that of a lock whose holder is not known to be gone.
fn is_held(layout: &Layout, key: &Key, uid: &str, host: &str) -> bool {
    let sight = Sight::of(layout, key, host).ok().flatten();
    sight.is_some_and(|sight| !sight.dead && sight.parsed.is_some_and(|lock| lock.uid == uid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_staging_directory_counts_while_its_lock_is_held() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().to_path_buf());
        layout.prepare().unwrap();
        let (key, uid) = (Key::of("https://h/a/1"), "1".repeat(32));
        let staging = layout.staging(&key, &uid);
        fs::create_dir(&staging).unwrap();
        fs::write(staging.join("saved_model.pb"), "12345").unwrap();
        assert!(
            in_dir(&layout, "here").is_empty(),
            "whoever made it is gone"
        );
        fs::write(layout.lock(&key), format!("elsewhere.1.{uid}")).unwrap();
        assert_eq!(in_dir(&layout, "here"), HashMap::from([(key, 5)]));
        let ended = std::process::Command::new("true").spawn();
        let mut ended = ended.unwrap();
        ended.wait().unwrap();
        fs::write(layout.lock(&key), format!("here.{}.{uid}", ended.id())).unwrap();
        assert!(in_dir(&layout, "here").is_empty(), "its process is gone");
    }
}
