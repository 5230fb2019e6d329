//! The handle list of a mount, and its changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::read::{Error, load};
use crate::handle::{HandleList, Names};
use crate::os;
use crate::os::fs::Stamp;
use crate::os::mountinfo::{FSTYPE, Table};
use crate::vfs::Tree;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Reads a handle list again when its file changes.
pub struct HandleListWatcher {
    path: PathBuf,
    names: Names,
    /// Of what was looked at last, whether or not it could be used.
    stamp: Option<Stamp>,
    content: watch::Sender<Arc<HandleList>>,
}

impl HandleListWatcher {
    /// Reads the list `typed`, for a mount at `mountpoint`.
    ///
    /// # Errors
    ///
    /// It cannot be read, has a bad line, or lies inside a tfhub-fs mount.
    pub fn open(
        typed: &Path,
        names: &Names,
        mountpoint: &Path,
    ) -> Result<HandleListWatcher, Error> {
        let path = outside(typed, mountpoint)?;
        let (stamp, content) = load(&path, names)?;
        Ok(HandleListWatcher {
            path,
            names: names.clone(),
            stamp: Some(stamp),
            content: watch::Sender::new(Arc::new(content)),
        })
    }

    /// The list, now and whenever it changes.
    pub fn content(&self) -> watch::Receiver<Arc<HandleList>> {
        self.content.subscribe()
    }

    /// Puts every new list into `tree`. Never ends.
    pub async fn watch(mut self, tree: Tree) {
        let mut every = tokio::time::interval(LOOK);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            // The disk may be slow, or gone with its network.
            let tree = tree.clone();
            let looked = tokio::task::spawn_blocking(move || {
                let changed = self.look();
                if let Some(changed) = &changed {
                    tree.set_catalog(changed);
                }
                (self, changed)
            });
            let Ok((watcher, changed)) = looked.await else {
                return tracing::error!("the catalog is no longer read");
            };
            self = watcher;
            if let Some(changed) = changed {
                let handles = changed.lines().len();
                tracing::info!(catalog = %self.path.display(), handles, "the catalog has changed");
                self.content.send_replace(changed);
            }
        }
    }

    /// The new list, if there is one. A failure is logged once.
    fn look(&mut self) -> Option<Arc<HandleList>> {
        let stamp = std::fs::metadata(&self.path).ok().map(|m| Stamp::of(&m));
        if stamp == self.stamp {
            return None;
        }
        self.stamp = stamp;
        match load(&self.path, &self.names) {
            Ok((stamp, content)) => {
                self.stamp = Some(stamp);
                (content != **self.content.borrow()).then(|| Arc::new(content))
            }
            Err(error) => {
                tracing::warn!(%error, "the catalog stays as it was");
                None
            }
        }
    }
}

/// Where the list is, absolute. One inside a tfhub-fs mount, this one included, is refused: the daemon would wait for itself.
fn outside(typed: &Path, mountpoint: &Path) -> Result<PathBuf, Error> {
    let table = Table::read().map_err(Error::Mountinfo)?;
    let path = os::path::resolve(typed, &table).map_err(Error::Mountinfo)?;
    if table.inside(&path, FSTYPE) || path.starts_with(mountpoint) {
        return Err(Error::Unusable(format!(
            "the catalog {} is inside a tfhub-fs mount; keep it outside",
            path.display()
        )));
    }
    // As it was typed: a link that is turned to another file is a change too.
    std::path::absolute(typed).map_err(Error::Mountinfo)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixture {
        dir: tempfile::TempDir,
        names: Names,
    }

    impl Fixture {
        fn new() -> Fixture {
            Fixture {
                dir: tempfile::tempdir().unwrap(),
                names: Names::new("https://tfhub.dev", Default::default()).unwrap(),
            }
        }

        fn path(&self) -> PathBuf {
            self.dir.path().join("catalog")
        }

        fn write(&self, text: &str) {
            std::fs::write(self.path(), text).unwrap();
        }

        fn open(&self) -> Result<HandleListWatcher, String> {
            match HandleListWatcher::open(&self.path(), &self.names, Path::new("/nowhere")) {
                Ok(watcher) => Ok(watcher),
                Err(error) if error.is_usage() => Err(error.to_string()),
                Err(other) => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn bad_lines_are_told_with_file_and_number() {
        let fixture = Fixture::new();
        fixture.write("https://tfhub.dev/google/x/1\n\ngoogle/y/1\nhttps://tfhub.dev/z/1 keep\n");
        let why = fixture.open().err().unwrap();
        let at = fixture.path().display().to_string();
        assert!(why.contains(&format!("{at}:3: ")), "{why}");
        assert!(why.contains(&format!("{at}:4: `keep`")), "{why}");
        fixture.write(&"x\n".repeat(50));
        let why = fixture.open().err().unwrap();
        assert!(why.ends_with("and 40 more bad lines"), "{why}");
        std::fs::write(fixture.path(), b"# one\n\xff\n").unwrap();
        let why = fixture.open().err().unwrap();
        assert!(why.ends_with("catalog:2: not UTF-8"), "{why}");
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let fixture = Fixture::new();
        let why = fixture.open().err().unwrap();
        assert!(why.contains("No such file"), "{why}");
        std::fs::create_dir(fixture.path()).unwrap();
        let why = fixture.open().err().unwrap();
        assert!(why.contains("not a plain file"), "{why}");
        let inside = HandleListWatcher::open(&fixture.path(), &fixture.names, fixture.dir.path());
        assert!(matches!(inside, Err(Error::Unusable(why)) if why.contains("inside")));
    }

    #[test]
    fn a_change_is_seen_once_and_a_bad_one_changes_nothing() {
        let fixture = Fixture::new();
        fixture.write("https://tfhub.dev/google/x/1\n");
        let mut watcher = fixture.open().ok().unwrap();
        assert!(watcher.look().is_none());
        let next = fixture.dir.path().join("next");
        std::fs::write(&next, "https://tfhub.dev/google/y/1\n").unwrap();
        std::fs::rename(&next, fixture.path()).unwrap();
        let changed = watcher.look().unwrap();
        assert_eq!(changed.lines()[0].path(), "google/y/1");
        watcher.content.send_replace(changed);
        assert!(watcher.look().is_none());
        fixture.write("nonsense\n");
        assert!(watcher.look().is_none());
        std::fs::remove_file(fixture.path()).unwrap();
        assert!(watcher.look().is_none());
        fixture.write("# the same again\nhttps://tfhub.dev/google/y/1\n");
        assert!(watcher.look().is_none(), "nothing new in it");
        fixture.write("https://tfhub.dev/google/z/1\n");
        assert!(watcher.look().is_some());
    }
}
