//! One filler per model: a kernel lock among ourselves, then tensorflow_hub's lock file.
//!
//! The order is always: flock(2) on `locks/<sha1>`, its text written into that file, the same text linked to
//! `<sha1>.lock`, the staging directory made. Whoever gets the flock and finds a text knows that its writer is dead, and
//! removes what that text names. Release goes the other way; a lock file is only removed while it holds our text.

use std::fs;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::hubdir::LockText;
use crate::os;
use crate::os::disk::FsType;
use crate::os::lock::Locked;

use super::super::dirs::plain;
use super::super::error::{Context, Error, if_there};
use super::super::layout::{FILE_MODE, Key, Layout, create_new, new_uid};
use super::super::trash;
use super::foreign::{Sight, tree_size};

/// Who fills a model at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// For people: a host and a process.
    pub who: String,
    /// Bytes in its staging directory: what grows is alive.
    pub grown: u64,
    /// When it last showed that it lives although nothing grows, as while it syncs.
    pub beat: Option<SystemTime>,
}

impl Holder {
    pub(in crate::cache) fn of(sight: &Sight) -> Holder {
        let who = match &sight.parsed {
            Some(lock) => format!("process {} on {}", lock.pid, lock.host),
            None => format!("an unknown process (its lock says {:?})", sight.text),
        };
        Holder {
            who,
            grown: sight.bytes,
            beat: None,
        }
    }

    /// The one among ourselves that has the kernel lock.
    pub(in crate::cache) fn of_kernel_lock(layout: &Layout, key: &Key) -> Holder {
        let path = layout.kernel_lock(key);
        let text = plain::read_text(&path).unwrap_or_default();
        let meta = fs::symlink_metadata(&path);
        let beat = meta.and_then(|meta| meta.modified()).ok();
        match LockText::parse(&text) {
            Some(lock) => Holder {
                who: format!("process {} on {}", lock.pid, lock.host),
                grown: tree_size(&layout.staging(key, &lock.uid)),
                beat,
            },
            // It has the flock and has not written its text yet, or is just letting go.
            None => Holder {
                who: "another tfhub-fs".to_owned(),
                grown: 0,
                beat,
            },
        }
    }
}

/// The kernel lock of a model: nobody else among ourselves fills it.
#[derive(Debug)]
pub(in crate::cache) struct Claim {
    layout: Arc<Layout>,
    key: Key,
    kernel: Locked,
}

impl Claim {
    /// Takes the kernel lock, without waiting, and clears away what a dead holder of it left. `None` if somebody has it.
    pub(in crate::cache) fn take(layout: &Arc<Layout>, key: &Key) -> Result<Option<Claim>, Error> {
        let path = layout.kernel_lock(key);
        let Some(kernel) = Locked::open(&path, FILE_MODE).context("lock", &path)? else {
            return Ok(None);
        };
        let claim = Claim {
            layout: layout.clone(),
            key: *key,
            kernel,
        };
        claim.bury_dead(&path)?;
        Ok(Some(claim))
    }

    fn bury_dead(&self, path: &Path) -> Result<(), Error> {
        let text = plain::read_text(path).unwrap_or_default();
        let Some(dead) = LockText::parse(&text) else {
            return Ok(());
        };
        let here = os::host::hostname();
        let disk = os::disk::fs_type(path).context("examine", path)?;
        if !has_died(&dead.host, &here, disk) {
            return Ok(()); // its other lock stays, and is judged as one of tensorflow_hub's
        }
        tracing::warn!(model = %self.key, holder = text, "clearing away an unfinished download whose process is gone");
        remove_lock(&self.layout.lock(&self.key), &text)?;
        trash::discard(
            &self.layout,
            &self.key,
            &self.layout.staging(&self.key, &dead.uid),
        )?;
        // Earlier versions left a journal.
        for what in ["lock", "descriptor", "manifest", "pin", "journal"] {
            let temp = self.layout.temp(&self.key, what);
            if_there(fs::remove_file(&temp)).context("remove", &temp)?;
        }
        self.write("")
    }

    fn write(&self, text: &str) -> Result<(), Error> {
        let write = |file: &fs::File| {
            file.set_len(0)?;
            file.write_all_at(text.as_bytes(), 0)
        };
        write(self.kernel.file()).context("write", self.layout.kernel_lock(&self.key))
    }

    /// Takes tensorflow_hub's lock as well. `Err` gives the claim back: somebody else has it.
    pub(in crate::cache) fn lock(self, host: &str) -> Result<Result<Held, Claim>, Error> {
        let uid = new_uid()?;
        let text = LockText::new(host, uid.clone()).to_string();
        self.write(&text)?;
        let path = self.layout.lock(&self.key);
        if !self.link(&path, &text)? {
            self.write("")?;
            return Ok(Err(self));
        }
        Ok(Ok(Held {
            staging: Some(self.layout.staging(&self.key, &uid)),
            text,
            claim: self,
        }))
    }

    /// Makes `path` with `text` in it, if it is not there: never seen empty, and never by two.
    fn link(&self, path: &Path, text: &str) -> Result<bool, Error> {
        let temp = self.layout.temp(&self.key, "lock");
        let prepare = || {
            if_there(fs::remove_file(&temp))?;
            create_new(&temp)?.write_all_at(text.as_bytes(), 0)
        };
        prepare().context("write", &temp)?;
        let linked = match fs::hard_link(&temp, path) {
            Err(error) if has_no_links(&error) => {
                create_new(path).and_then(|file| file.write_all_at(text.as_bytes(), 0))
            }
            other => other,
        };
        let _ = fs::remove_file(&temp); // the next holder of the claim would remove it
        match linked {
            Ok(()) => Ok(true),
            // Over NFS a repeated request may find its own success.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Ok(if_there(plain::read_text(path)).is_ok_and(|now| now.as_deref() == Some(text)))
            }
            Err(error) => Err(Error::io("create", path, error)),
        }
    }
}

impl Drop for Claim {
    /// Only a holder of the lock removes its file, so that nobody holds a lock on a file without a name; see `Locked::open`.
    fn drop(&mut self) {
        let path = self.layout.kernel_lock(&self.key);
        let ours = self
            .kernel
            .file()
            .metadata()
            .map(|meta| (meta.dev(), meta.ino()));
        let named = fs::symlink_metadata(&path).map(|meta| (meta.dev(), meta.ino()));
        if let (Ok(ours), Ok(named)) = (ours, named)
            && ours == named
        {
            let _ = fs::remove_file(&path); // left behind, it is an unlocked file that the next holder takes
        }
    }
}

/// Both locks of a model, and the name of its staging directory. Dropping it removes that directory and lets go.
#[derive(Debug)]
pub(in crate::cache) struct Held {
    claim: Claim,
    text: String,
    staging: Option<PathBuf>,
}

impl Held {
    pub(in crate::cache) fn layout(&self) -> &Layout {
        &self.claim.layout
    }

    pub(in crate::cache) fn key(&self) -> &Key {
        &self.claim.key
    }

    /// The file whose time shows those who wait for the lock that its holder lives.
    ///
    /// # Errors
    ///
    /// There are no descriptors left.
    pub(in crate::cache) fn pulse(&self) -> io::Result<fs::File> {
        self.claim.kernel.file().try_clone()
    }

    /// Where the model is staged, as long as it is.
    pub(in crate::cache) fn staging(&self) -> Option<&Path> {
        self.staging.as_deref()
    }

    /// Leaves the staging directory alone from now on: it has another name.
    pub(in crate::cache) fn forget_staging(&mut self) {
        self.staging = None;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(staging) = &self.staging
            && let Err(error) = trash::discard(self.layout(), self.key(), staging)
        {
            tracing::warn!(%error, "cannot remove a staging directory");
        }
        if let Err(error) = remove_lock(&self.layout().lock(self.key()), &self.text) {
            tracing::warn!(%error, "cannot remove a lock");
        }
    }
}

/// Whether a holder of the kernel lock is dead when we have it. Over NFS that lock may mean something on each host alone.
fn has_died(host: &str, here: &str, disk: FsType) -> bool {
    host == here || disk != FsType::Nfs
}

/// Removes a lock file if it (still) holds `text`.
pub(in crate::cache) fn remove_lock(path: &Path, text: &str) -> Result<(), Error> {
    let now = if_there(plain::read(path)).context("read", path)?;
    if now.as_deref() == Some(text.as_bytes()) {
        if_there(fs::remove_file(path)).context("remove", path)?;
    }
    Ok(())
}

/// FAT, some network and FUSE file systems.
fn has_no_links(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EPERM | libc::EOPNOTSUPP | libc::ENOSYS | libc::EMLINK)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> (tempfile::TempDir, Arc<Layout>, Key) {
        let dir = tempfile::tempdir().unwrap();
        let layout = Arc::new(Layout::new(dir.path().to_path_buf()));
        layout.prepare().unwrap();
        (dir, layout, Key::of("https://h/a/1"))
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_lock_has_tensorflow_hubs_form_and_leaves_no_trace() {
        let (dir, layout, key) = cache();
        let held = Claim::take(&layout, &key)
            .unwrap()
            .unwrap()
            .lock("my.host")
            .unwrap()
            .unwrap();
        let text = fs::read_to_string(layout.lock(&key)).unwrap();
        let parsed = LockText::parse(&text).unwrap();
        assert_eq!(
            (parsed.host.as_str(), parsed.pid),
            ("my.host", std::process::id())
        );
        assert_eq!(
            held.staging(),
            Some(&*dir.path().join(format!("{key}.{}.tmp", parsed.uid)))
        );
        assert!(Claim::take(&layout, &key).unwrap().is_none());
        let holder = Holder::of_kernel_lock(&layout, &key);
        assert_eq!(
            holder.who,
            format!("process {} on my.host", std::process::id())
        );
        drop(held);
        assert_eq!(names(dir.path()), [".tfhub-fs"]);
        for sub in ["locks", "tmp", "trash"] {
            assert_eq!(
                names(&dir.path().join(".tfhub-fs/v1").join(sub)),
                [""; 0],
                "{sub}"
            );
        }
        assert!(Claim::take(&layout, &key).unwrap().is_some());
    }

    #[test]
    fn a_foreign_lock_is_neither_taken_nor_removed() {
        let (_dir, layout, key) = cache();
        fs::write(layout.lock(&key), "x").unwrap();
        let claim = Claim::take(&layout, &key).unwrap().unwrap();
        drop(claim.lock("h").unwrap().unwrap_err());
        assert_eq!(fs::read_to_string(layout.lock(&key)).unwrap(), "x");
    }

    #[test]
    fn a_lock_stolen_from_us_is_not_removed() {
        let (_dir, layout, key) = cache();
        let held = Claim::take(&layout, &key)
            .unwrap()
            .unwrap()
            .lock("h")
            .unwrap()
            .unwrap();
        fs::write(layout.lock(&key), "thief").unwrap();
        drop(held);
        assert_eq!(fs::read_to_string(layout.lock(&key)).unwrap(), "thief");
    }

    #[test]
    fn over_nfs_another_host_may_live() {
        let local = FsType::Other;
        assert!(has_died("a", "a", FsType::Nfs) && has_died("a", "b", local));
        assert!(!has_died("a", "b", FsType::Nfs));
    }

    #[test]
    fn what_a_dead_holder_left_is_cleared_at_once_and_others_are_spared() {
        let (dir, layout, key) = cache();
        let (dead, live) = ("0".repeat(32), "1".repeat(32));
        let text = format!("elsewhere.1.{dead}");
        fs::write(layout.kernel_lock(&key), &text).unwrap();
        fs::write(layout.lock(&key), &text).unwrap();
        fs::create_dir(layout.staging(&key, &dead)).unwrap();
        fs::create_dir(layout.staging(&key, &live)).unwrap();
        fs::write(layout.temp(&key, "manifest"), "x").unwrap();
        drop(Claim::take(&layout, &key).unwrap().unwrap());
        assert_eq!(
            names(dir.path()),
            [".tfhub-fs".to_owned(), format!("{key}.{live}.tmp")]
        );
        assert_eq!(names(&dir.path().join(".tfhub-fs/v1/tmp")), [""; 0]);
    }
}
