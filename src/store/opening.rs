//! How a cache directory is opened, and what is made of one that cannot be used.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use crate::config::CacheSize;
use crate::os;

use super::budget::{Budget, DiskBudget, Limits};
use super::cache::Cache;
use super::error::{Context, Error};
use super::layout::{Key, Layout};
use super::lock::Claim;
use super::locks::Locks;
use super::room::Room;
use super::spec::Options;
use super::trash;

impl Cache {
    /// Opens a cache directory as [`Cache::with`] does, with nothing but the defaults.
    ///
    /// # Errors
    ///
    /// It cannot be made or read, or a later tfhub-fs has left its state there.
    pub fn open(root: &Path) -> Result<Cache, Error> {
        Cache::on_disk(root, &Options::default())
    }

    /// Opens a cache directory, creating it where missing, and removes what dead tfhub-fs processes left in it.
    ///
    /// Without one, or with one that cannot be made, models stream through memory. A directory that can be read and not
    /// written is opened too: what is complete there can be used.
    ///
    /// # Errors
    ///
    /// A later tfhub-fs has left its state there, or something that is not ours is in the place of our own directories.
    pub fn with(options: &Options) -> Result<Cache, Error> {
        let Some(dir) = &options.dir else {
            let why = "there is no cache directory";
            return Ok(Cache::in_memory(options, why.to_owned()));
        };
        match Cache::on_disk(dir, options) {
            Err(
                error @ (Error::Denied { .. }
                | Error::ReadOnly { .. }
                | Error::NoSpace { .. }
                | Error::Io { .. }),
            ) => {
                tracing::warn!(%error, "there is no cache: models can be streamed through memory only");
                Ok(Cache::in_memory(options, error.to_string()))
            }
            other => other,
        }
    }

    fn in_memory(options: &Options, why: String) -> Cache {
        Cache {
            locks: None,
            unkept: Some(why),
            disk: None,
            memory: Room::new(Budget::Memory(options.memory)),
            boot: String::new(),
        }
    }

    fn on_disk(root: &Path, options: &Options) -> Result<Cache, Error> {
        let layout = Layout::new(os::path::absolute(root).context("find", root)?);
        let writable = match layout.prepare() {
            Ok(()) => true,
            Err(error @ (Error::Denied { .. } | Error::ReadOnly { .. }))
                if std::fs::read_dir(layout.root()).is_ok() =>
            {
                tracing::warn!(%error, "only what is complete in the cache can be used");
                false
            }
            Err(error) => return Err(error),
        };
        warn_of_owner(layout.root());
        let host = os::host::hostname().context("read", "the host name")?;
        let layout = Arc::new(layout);
        let is_zero = |size: &CacheSize| size.bytes(u64::MAX) == 0;
        let keeps = !options.limit.as_ref().is_some_and(is_zero);
        let limits = Limits {
            cap: options.limit,
            min_free: options.min_free,
            evict_foreign: options.evict_foreign,
        };
        let budget = Box::new(DiskBudget::new(layout.clone(), limits));
        if writable {
            reclaim(&layout);
            budget.survey();
        }
        Ok(Cache {
            locks: Some(Arc::new(Locks::new(layout, host))),
            unkept: (!keeps).then(|| "its size is limited to 0".to_owned()),
            disk: keeps.then(|| Room::new(Budget::Disk(budget))),
            memory: Room::new(Budget::Memory(options.memory)),
            // Without one, nothing is trusted after a restart but what was synced.
            boot: os::host::boot_id().unwrap_or_default(),
        })
    }
}

/// Removes staging directories and locks of dead tfhub-fs processes, and what is in the trash. What a living process
/// or tensorflow_hub holds is not touched; models are not looked at.
fn reclaim(layout: &Arc<Layout>) {
    let locks = std::fs::read_dir(layout.locks())
        .into_iter()
        .flatten()
        .flatten();
    for key in locks.filter_map(|entry| Key::parse(entry.file_name().to_str()?)) {
        // Taking the claim clears what a dead holder left, dropping it removes the lock's file.
        if let Err(error) = Claim::take(layout, &key) {
            tracing::warn!(%error, "cannot clear away an unfinished download");
        }
    }
    trash::purge(layout);
}

/// Whoever owns the directory decides what root's mount shows to every user.
fn warn_of_owner(root: &Path) {
    let owner = std::fs::metadata(root).map_or(0, |meta| meta.uid());
    if os::own::uid() == 0 && owner != 0 {
        tracing::warn!(
            cache = %root.display(), owner,
            "the cache belongs to another user, who can change what this mount shows; give root a cache of its own"
        );
    }
}
