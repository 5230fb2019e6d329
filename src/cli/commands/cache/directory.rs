//! The cache directory that the commands about a cache work on: the one that was named, and no other in its place.

use std::io::ErrorKind::NotFound;
use std::path::{Path, PathBuf};

use crate::cache::Cache;
use crate::cli::args::CacheArgs;
use crate::cli::failure::Failure;
use crate::cli::settings;
use crate::config::Origin;
use crate::daemon::assemble::cache_options;

/// What is at the place of the cache.
pub(super) enum Place {
    /// A cache.
    Here(Box<Cache>),
    /// Nothing yet, and nobody has said that there is something.
    NotYet(PathBuf),
}

/// Opens the cache. Nothing is made where there is none.
///
/// # Errors
///
/// The directory does not exist, though it was named; it is none, or cannot be used.
pub(super) fn look(args: &CacheArgs) -> Result<Place, Failure> {
    let settings = settings::cache(args)?;
    let (dir, origin) = (settings.dir.clone(), settings.origin);
    match std::fs::metadata(&dir) {
        Err(error) if error.kind() == NotFound && origin == Origin::Default => {
            return Ok(Place::NotYet(dir));
        }
        Err(error) if error.kind() == NotFound => Err(format!(
            "there is no cache directory {} ({origin})",
            dir.display()
        )),
        Err(error) => Err(cannot("use", &dir, origin, &error)),
        Ok(meta) if !meta.is_dir() => Err(format!(
            "the cache directory {} ({origin}) is not a directory",
            dir.display()
        )),
        Ok(_) => match std::fs::read_dir(&dir) {
            Ok(_) => Ok(()),
            Err(error) => Err(cannot("read", &dir, origin, &error)),
        },
    }
    .map_err(Failure::Failed)?;
    let cache = Cache::with(&cache_options(&settings)).map_err(Failure::failed)?;
    // A full disk, for one, would have another directory taken.
    if [cache.root(), cache.below()].contains(&Some(&*dir)) {
        return Ok(Place::Here(Box::new(cache)));
    }
    Err(Failure::Failed(format!(
        "the cache directory {} ({origin}) cannot be used",
        dir.display()
    )))
}

/// Opens the cache.
///
/// # Errors
///
/// As for [`look`], and also if there is none at the default place.
pub(super) fn open(args: &CacheArgs) -> Result<Cache, Failure> {
    match look(args)? {
        Place::Here(cache) => Ok(*cache),
        Place::NotYet(dir) => Err(Failure::Failed(format!(
            "there is no cache yet: {} does not exist; another directory is named with --cache-dir",
            dir.display()
        ))),
    }
}

/// Opens the cache, and makes its directory where there is none.
///
/// # Errors
///
/// The directory cannot be made, or cannot be used.
pub(super) fn make(args: &CacheArgs) -> Result<Cache, Failure> {
    let settings = settings::cache(args)?;
    let (dir, origin) = (settings.dir, settings.origin);
    match std::fs::create_dir_all(&dir) {
        // What is there and is no directory is told by `open`.
        Err(error) if std::fs::symlink_metadata(&dir).is_err() => {
            Err(Failure::Failed(cannot("create", &dir, origin, &error)))
        }
        _ => open(args),
    }
}

fn cannot(what: &str, dir: &Path, origin: Origin, error: &std::io::Error) -> String {
    format!(
        "cannot {what} the cache directory {} ({origin}): {error}",
        dir.display()
    )
}

/// The directory, or both of them, for people.
pub(super) fn shown(cache: &Cache) -> String {
    let show = |dir: Option<&Path>| dir.map(|dir| dir.display().to_string());
    match (show(cache.root()), show(cache.below())) {
        (Some(root), Some(below)) => format!("{root} and {below} (read-only)"),
        (Some(root), None) => root,
        (None, Some(below)) => format!("{below} (read-only)"),
        (None, None) => String::from("memory, because there is no cache directory"),
    }
}
