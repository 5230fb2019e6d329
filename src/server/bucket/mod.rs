//! The bucket in which the uncompressed form of the models lies: what Cloud
//! Storage's JSON and XML surfaces answer to those who read.
//!
//! | asked | answer |
//! |---|---|
//! | `/storage/v1/b/<bucket>`, `/storage/v1/b` | the bucket |
//! | `/storage/v1/b/<bucket>/o` | a page of objects and prefixes |
//! | `/storage/v1/b/<bucket>/o/<object>` | what is known of it; with `alt=media` its bytes |
//! | `/download/storage/v1/b/<bucket>/o/<object>` | its bytes |
//! | `/<bucket>` | a page as XML, with `list-type=2` and without |
//! | `/<bucket>/<object>` | its bytes |
//!
//! `/storage/v1` may be left out. These paths come before handles, so no publisher
//! may be called like the bucket. Anybody may read; nobody may write (403). An object is a file of the
//! served directory as it is now: its generation is made of the file's state
//! and changes with it, and a generation that is no more is not found.

mod answer;
mod checksums;
mod fault;
mod json;
mod listing;
mod objects;
mod route;
mod send;
mod xml;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lru::LruCache;
use parking_lot::Mutex;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::confine::Root;
use super::index::{Listing, ModelIndex};
use super::survey::{Stamp, Survey, survey};
use super::{Error, blocking};
use checksums::Checksums;
use listing::{Page, Query};
use objects::Unit;

pub use fault::Surface;
pub use objects::Object;
pub use route::Route;

/// What the bucket is called unless told otherwise.
pub const DEFAULT_BUCKET: &str = "tfhub-models";

/// Following pages are cut from one survey for so long: a listing of many pages
/// neither walks the model for each nor loses its place.
const SURVEY_KEPT: Duration = Duration::from_secs(60);

/// Listings of many pages that are under way at once.
const SURVEYS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(7);

/// What needs no escape in a path.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Text as one component of a path; a slash is escaped as well.
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// The bucket of one server.
pub struct Bucket {
    name: String,
    index: Arc<ModelIndex>,
    /// What its files are opened in.
    root: Arc<Root>,
    sums: Checksums,
    surveys: Arc<Surveys>,
}

/// The URL of the directory `handle` in `bucket`.
pub fn folder(bucket: &str, handle: &str) -> String {
    format!("gs://{bucket}/{handle}")
}

type Surveys = Mutex<LruCache<PathBuf, (Instant, Arc<Survey>)>>;

impl Bucket {
    /// The models of `index` as a bucket called `name`.
    ///
    /// # Errors
    /// [`Error::BucketName`] if no bucket can be called so, [`Error::Shadowed`] if a model that is there could not be
    /// reached under its handle any more.
    pub fn new(name: &str, index: Arc<ModelIndex>) -> Result<Bucket, Error> {
        check_name(name)?;
        let taken = |model: &&str| Route::of(&format!("/{model}/1"), name).is_some();
        let listing = index.known();
        if let Some(model) = listing.models.keys().map(String::as_str).find(taken) {
            return Err(Error::Shadowed {
                model: model.to_owned(),
                bucket: name.to_owned(),
            });
        }
        Ok(Bucket {
            name: name.to_owned(),
            sums: Checksums::new(Arc::clone(index.root())),
            root: Arc::clone(index.root()),
            index,
            surveys: Arc::new(Mutex::new(LruCache::new(SURVEYS))),
        })
    }

    /// The models that it holds.
    pub fn index(&self) -> &ModelIndex {
        &self.index
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The URL of the directory `handle`.
    pub fn folder(&self, handle: &str) -> String {
        folder(&self.name, handle)
    }

    /// The object called `name`.
    ///
    /// # Errors
    /// What cannot be read.
    pub async fn find(&self, name: &str) -> Result<Option<Object>, Error> {
        let known = self.index.known();
        match self.find_in(known, name).await? {
            Some(object) => Ok(Some(object)),
            None => self.find_in(self.index.fresh().await?, name).await,
        }
    }

    async fn find_in(&self, listing: Arc<Listing>, name: &str) -> Result<Option<Object>, Error> {
        let (root, wanted) = (Arc::clone(&self.root), name.to_owned());
        blocking(name, move || objects::find(&root, &listing, &wanted)).await
    }

    /// The files of the version `handle`, if they are all there and each can be an object.
    ///
    /// # Errors
    /// What must not be offered; [`Error::Incomplete`]; [`Error::Unnameable`].
    pub async fn whole(&self, handle: &str, dir: &Path) -> Result<Survey, Error> {
        let (root, dir) = (Arc::clone(&self.root), dir.to_owned());
        let above = format!("{handle}/");
        blocking(handle, move || {
            let seen = survey(&root, &dir)?;
            if let Some(missing) = seen.missing() {
                return Err(Error::Incomplete { path: dir, missing });
            }
            let unnameable = |name: &[u8]| object_name(&above, name).is_none();
            match seen.files().into_iter().find(|file| unnameable(&file.name)) {
                Some(file) => Err(Error::Unnameable {
                    path: file.path.clone(),
                }),
                None => Ok(seen),
            }
        })
        .await
    }

    /// A page of what is there now, or of what was there when the page before was made.
    async fn page(&self, query: Query) -> Result<Page<Object>, Error> {
        let listing = match query.after {
            Some(_) => self.index.known(),
            None => self.index.fresh().await?,
        };
        let (root, surveys) = (Arc::clone(&self.root), Arc::clone(&self.surveys));
        blocking("a listing", move || {
            Ok(page_of(&root, &listing, &query, &surveys))
        })
        .await
    }
}

fn page_of(root: &Root, listing: &Listing, query: &Query, surveys: &Surveys) -> Page<Object> {
    let units = objects::units(listing);
    let mut page = listing::page(&units, query, |unit| match unit {
        Unit::Archive(name, path) => root
            .metadata(path)
            .map(|meta| Object {
                name: name.clone(),
                path: path.to_path_buf(),
                stamp: Stamp::of(&meta),
            })
            .map(|object| (name.clone(), object))
            .into_iter()
            .collect(),
        Unit::Tree(above, dir) => match seen(root, dir, query.after.is_some(), surveys) {
            Ok(seen) => files_of(above, &seen),
            Err(error) => {
                // One bad model must not hide the others.
                tracing::warn!("{above} is left out of a listing: {error}");
                Vec::new()
            }
        },
    });
    if query.after.is_some() {
        // A survey that was kept may be a minute old, what is said of an object may not.
        page.objects.retain_mut(|object| {
            let now = root.metadata(&object.path);
            now.is_ok_and(|meta| {
                object.stamp = Stamp::of(&meta);
                true
            })
        });
    }
    page
}

/// What lies below `dir`; a following page takes what the page before saw.
fn seen(root: &Root, dir: &Path, follows: bool, surveys: &Surveys) -> Result<Arc<Survey>, Error> {
    if follows
        && let Some((at, seen)) = surveys.lock().get(dir)
        && at.elapsed() < SURVEY_KEPT
    {
        return Ok(Arc::clone(seen));
    }
    let seen = Arc::new(survey(root, dir)?);
    if seen.members.len() > listing::MAX_RESULTS {
        let mut kept = surveys.lock();
        kept.put(dir.to_owned(), (Instant::now(), Arc::clone(&seen)));
    }
    Ok(seen)
}

fn files_of(above: &str, seen: &Survey) -> Vec<(String, Object)> {
    let object = |file: &super::survey::Member| {
        let Some(name) = object_name(above, &file.name) else {
            tracing::warn!(
                "{} is no object: its name cannot be one",
                file.path.display()
            );
            return None;
        };
        let object = Object {
            name: name.clone(),
            path: file.path.clone(),
            stamp: file.stamp,
        };
        Some((name, object))
    };
    seen.files().into_iter().filter_map(object).collect()
}

fn object_name(above: &str, file: &[u8]) -> Option<String> {
    let name = format!("{above}{}", str::from_utf8(file).ok()?);
    objects::is_name(&name).then_some(name)
}

/// The rules of Cloud Storage, which a client may check.
fn check_name(name: &str) -> Result<(), Error> {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
    let outer = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = name.as_bytes();
    let fits = (3..=63).contains(&bytes.len()) && bytes.iter().copied().all(inner);
    if fits && outer(bytes.first()) && outer(bytes.last()) {
        Ok(())
    } else {
        Err(Error::BucketName {
            name: name.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests;
