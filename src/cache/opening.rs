//! How a cache directory is opened, and what is made of one that cannot be used.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use crate::config::CacheSize;
use crate::os;
use crate::os::lock::Locked;

use super::error::{Context, Error};
use super::layers::{Layer, ReadOnly};
use super::layout::{FILE_MODE, Key, Layout};
use super::lock::Claim;
use super::lock::Locks;
use super::lock::underway;
use super::root::Cache;
use super::space::budget::{Budget, DiskBudget, Limits};
use super::space::room::Room;
use super::spec::Options;
use super::trash;

impl Cache {
    /// Opens a cache directory as [`Cache::with`] does, with nothing but the defaults.
    ///
    /// # Errors
    ///
    /// It cannot be made or written, or a later tfhub-fs has left its state there.
    #[cfg(test)]
    pub fn open(root: &Path) -> Result<Cache, Error> {
        match place(root)? {
            (layout, None) => at(layout, &Options::default()),
            (_, Some(why)) => Err(Error::NoCache { why }),
        }
    }

    /// Opens a cache directory, creating it where missing, and removes what dead tfhub-fs processes left in it.
    ///
    /// One that is not ours to write is served as it is, and what is missing there is kept in the private directory; so it is
    /// with one that cannot be used at all. Without either, models stream through memory.
    ///
    /// # Errors
    ///
    /// A later tfhub-fs has left its state there, or something that is not ours is in the place of our own directories.
    pub fn with(options: &Options) -> Result<Cache, Error> {
        let mut cache = chosen(options)?;
        let kagglehub = options.kagglehub.clone().map(Layer::Kagglehub);
        cache.add(kagglehub);
        Ok(cache)
    }
}

fn chosen(options: &Options) -> Result<Cache, Error> {
    let Some(dir) = &options.dir else {
        let why = "there is no cache directory";
        return Ok(in_memory(options, why.to_owned()));
    };
    match place(dir) {
        Ok((layout, None)) => at(layout, options),
        Ok((layout, Some(why))) => above(Some(layout), &why, options),
        Err(
            error @ (Error::Denied { .. }
            | Error::ReadOnly { .. }
            | Error::NoSpace { .. }
            | Error::Anothers { .. }
            | Error::Io { .. }),
        ) => above(None, &error.to_string(), options),
        Err(error) => Err(error),
    }
}

/// The private directory, above one that can only be read. One warning says so.
fn above(lower: Option<Layout>, why: &str, options: &Options) -> Result<Cache, Error> {
    let is_other = |dir: &&Path| Some(*dir) != options.dir.as_deref();
    let private = options.private.as_deref().filter(is_other);
    let mut cache = match private.map(|dir| (dir, place(dir))) {
        Some((dir, Ok((layout, None)))) => {
            tracing::warn!(
                private = %dir.display(),
                "{why}; what is missing there is kept in a directory of our own"
            );
            at(layout, options)?
        }
        private => {
            if let Some((_, Err(error))) = private {
                tracing::debug!(%error, "there is no private directory either");
            }
            tracing::warn!("{why}; what is missing can be streamed through memory only");
            in_memory(options, why.to_owned())
        }
    };
    let lower = lower.map(|layout| Layer::ReadOnly(Box::new(ReadOnly::new(layout))));
    cache.add(lower);
    Ok(cache)
}

fn in_memory(options: &Options, why: String) -> Cache {
    let memory = Room::new(Budget::Memory(options.memory));
    Cache::new(Vec::new(), Err(why), memory)
}

fn at(layout: Layout, options: &Options) -> Result<Cache, Error> {
    let host = os::host::hostname();
    let layout = Arc::new(layout);
    let is_zero = |size: &CacheSize| size.bytes(u64::MAX) == 0;
    let keeps = !options.limit.as_ref().is_some_and(is_zero);
    let limits = Limits {
        cap: options.limit,
        min_free: options.min_free,
        evict_foreign: options.evict_foreign,
    };
    let budget = Box::new(DiskBudget::new(layout.clone(), limits));
    reclaim(&layout);
    budget.idle.survey();
    let disk = match keeps {
        true => Ok(Room::new(Budget::Disk(budget))),
        false => Err("its size is limited to 0".to_owned()),
    };
    let memory = Room::new(Budget::Memory(options.memory));
    let own = Layer::Own(Arc::new(Locks::new(layout, host)));
    Ok(Cache::new(vec![own], disk, memory))
}

/// A cache directory, which is made where missing; with the reason, if it can be read and is not to be written.
type Place = (Layout, Option<String>);

fn place(dir: &Path) -> Result<Place, Error> {
    place_with(dir, |path| Locked::open(path, FILE_MODE).map(drop))
}

fn place_with(dir: &Path, lock: impl Fn(&Path) -> io::Result<()>) -> Result<Place, Error> {
    let root = os::path::absolute(dir).context("find", dir)?;
    let read_only = |why: String| Ok((Layout::as_it_is(root.clone()), Some(why)));
    // Before anything is written there: whoever owns it could turn what we write to another place.
    if let Some(owner) = other_owner(&root) {
        return read_only(format!(
            "the cache {} belongs to another user ({owner}), who decides what is in it",
            dir.display()
        ));
    }
    let layout = Layout::new(root.clone());
    match layout.prepare() {
        Ok(()) => match lock(&layout.house()) {
            Err(error) if has_no_locks(&error) => read_only(format!(
                "the file system of the cache {} has no locks for processes to agree by (flock: {error})",
                dir.display()
            )),
            // Its directories are there already, and that is all.
            Err(error) if is_for_reading(&error) => {
                read_only(Error::io("write", dir, error).to_string())
            }
            // Held by another process, which is a lock that works; any other error comes again with the first model.
            _ => Ok((layout, None)),
        },
        Err(error @ (Error::Denied { .. } | Error::ReadOnly { .. } | Error::Anothers { .. }))
            if std::fs::read_dir(&root).is_ok() =>
        {
            read_only(error.to_string())
        }
        Err(error) => Err(error),
    }
}

fn is_for_reading(error: &io::Error) -> bool {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem)
}

/// NFS without its lock daemon, and file systems that never had any.
fn has_no_locks(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENOLCK | libc::EOPNOTSUPP | libc::ENOSYS)
    )
}

/// Who owns a directory, or the link to it, if that is neither this user nor root.
fn other_owner(dir: &Path) -> Option<u32> {
    let owner = |meta: io::Result<std::fs::Metadata>| meta.ok().map(|meta| meta.uid());
    [
        owner(std::fs::metadata(dir)),
        owner(std::fs::symlink_metadata(dir)),
    ]
    .into_iter()
    .flatten()
    .find(|owner| !os::own::trusts(*owner))
}

/// Removes staging directories and locks of dead tfhub-fs processes, and what is in the trash. What a living process
/// or tensorflow_hub holds is not touched; models are not looked at.
pub(super) fn reclaim(layout: &Arc<Layout>) {
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
    underway::bury_orphans(layout, &os::host::hostname());
    trash::purge(layout);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_locks_a_directory_is_served_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        for errno in [libc::ENOLCK, libc::EOPNOTSUPP, libc::ENOSYS] {
            let lock = |_: &Path| Err(io::Error::from_raw_os_error(errno));
            let Ok((_, Some(why))) = place_with(dir.path(), lock) else {
                panic!("{errno}");
            };
            assert!(why.contains("flock"), "{why}");
        }
        let held = Locked::open(&Layout::new(dir.path().to_owned()).house(), FILE_MODE);
        assert!(matches!(place(dir.path()), Ok((_, None))), "{held:?}");
    }
}
