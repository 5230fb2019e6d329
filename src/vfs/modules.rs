//! `.tfhub_modules`: every known model under the name that it has in tensorflow_hub's cache, as a link to its path.
//!
//! tensorflow_hub names a model's directory after the SHA-1 of the handle as it was typed, and takes what it finds there
//! for its own: with `TFHUB_CACHE_DIR` set to this directory it downloads nothing. A SHA-1 does not turn back into a handle,
//! so only the names of models that are known exist.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use parking_lot::{Mutex, RwLock};

use super::attr::{Entry, Kind, Ttl};
use super::listing::{DirEntry, child};
use super::nodes::join;
use super::{Answer, Error, Shared, Tree};
use crate::handle::{Handle, Key, Listed, Place};
use crate::models::Disk;

/// The directory, as tensorflow_hub's default is called.
pub(super) const NAME: &str = ".tfhub_modules";

/// How people end a handle: bare, with the slash of a directory, and as a browser shows it after tfhub.dev has redirected.
/// The names of all three exist; the first is listed.
const ENDINGS: [&str; 3] = ["", "/", "?tfhub-redirect=true"];

/// How many other spellings are remembered: enough for those who paste, and an end for those who flood.
const SPELLINGS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

type Links = BTreeMap<Key, Link>;

struct Link {
    path: Arc<str>,
    listed: bool,
}

/// Links by name.
pub(super) struct Modules {
    /// Of models that were cached or opened; they stay.
    lasting: RwLock<Links>,
    /// Of models that the catalog names.
    catalog: RwLock<Links>,
    /// Other spellings that were used, each with the name of its model, which may not exist.
    pasted: Mutex<LruCache<Key, Key>>,
}

impl Default for Modules {
    fn default() -> Modules {
        Modules {
            lasting: RwLock::default(),
            catalog: RwLock::default(),
            pasted: Mutex::new(LruCache::new(SPELLINGS)),
        }
    }
}

impl Modules {
    /// A model that exists, and its canonical path.
    pub fn insert(&self, handle: &Handle, path: &str) {
        let url = handle.url();
        if !self.lasting.read().contains_key(&Key::of(&url)) {
            let path = Arc::from(path);
            add(&mut self.lasting.write(), &url, &path);
        }
    }

    /// One more spelling of a model that exists.
    pub fn insert_spelled(&self, url: &str, path: &str) {
        let path = Arc::from(path);
        let link = Link { path, listed: true };
        self.lasting.write().insert(Key::of(url), link);
    }

    /// The models of a catalog, in the place of an earlier one's.
    pub fn set_catalog(&self, lines: &[Listed]) {
        let mut links = Links::new();
        for line in lines {
            let path: Arc<str> = Arc::from(line.path());
            add(&mut links, &line.handle().url(), &path);
            links.insert(line.spelled(), Link { path, listed: true });
        }
        *self.catalog.write() = links;
    }

    /// A spelling of `handle` that was used, whether or not the model exists.
    fn insert_pasted(&self, spelled: &str, handle: &Handle) {
        self.pasted.lock().put(Key::of(spelled), handle.key());
    }

    /// Whether the model with this name was cached or opened.
    pub fn is_lasting(&self, key: &Key) -> bool {
        self.lasting.read().contains_key(key)
    }

    /// Where a name leads, and how long that holds.
    fn find(&self, key: &Key) -> Option<(Arc<str>, Ttl)> {
        self.path(key).or_else(|| {
            let model = *self.pasted.lock().get(key)?;
            self.path(&model)
        })
    }

    fn path(&self, key: &Key) -> Option<(Arc<str>, Ttl)> {
        let path = |links: &RwLock<Links>| Some(links.read().get(key)?.path.clone());
        let lasting = path(&self.lasting).map(|path| (path, Ttl::Forever));
        lasting.or_else(|| path(&self.catalog).map(|path| (path, Ttl::Short)))
    }

    /// The names that are listed, sorted.
    fn names(&self) -> Vec<Key> {
        let listed = |links: &Links| -> Vec<Key> {
            let listed = links.iter().filter(|(_, link)| link.listed);
            listed.map(|(key, _)| *key).collect()
        };
        let mut names = listed(&self.lasting.read());
        names.extend(listed(&self.catalog.read()));
        let pasted = self.pasted.lock();
        let exists = |(_, model): &(&Key, &Key)| self.path(model).is_some();
        names.extend(pasted.iter().filter(exists).map(|(key, _)| *key));
        names.sort();
        names.dedup();
        names
    }
}

/// Adds the names of a model, by its canonical URL. A name that is listed already stays so.
fn add(links: &mut Links, url: &str, path: &Arc<str>) {
    for ending in ENDINGS {
        let link = links
            .entry(Key::of(&format!("{url}{ending}")))
            .or_insert_with(|| Link {
                path: path.clone(),
                listed: false,
            });
        link.listed |= ending.is_empty();
    }
}

impl Tree {
    /// Finds a name in `.tfhub_modules`. What is not known to memory may have been cached since, by whoever shares the cache.
    pub(super) fn lookup_module(&self, name: &str) -> Answer<Entry> {
        let Some(key) = Key::parse(name) else {
            return Answer::Now(Err(Error::NoEntry { forever: true }));
        };
        if let Some((path, ttl)) = self.shared.modules.find(&key) {
            return Answer::Now(Ok(self.shared.hold_module(name, &path, ttl)));
        }
        let (shared, name) = (self.shared.clone(), name.to_owned());
        Answer::later(async move {
            let of_disk = shared.clone();
            let look = move || of_disk.learn_cached(&key);
            let found = shared.models.on_disk(Disk::Cache, &name, look).await?;
            let path = found.ok_or_else(Error::absent)?;
            Ok(shared.hold_module(&name, &path, Ttl::Forever))
        })
    }

    pub(super) fn list_modules(&self) -> Vec<DirEntry> {
        let names = self.shared.modules.names().into_iter();
        let links = names.map(|key| child(NAME, key.to_string(), Kind::Link));
        links.collect()
    }
}

impl Shared {
    fn hold_module(&self, name: &str, path: &str, ttl: Ttl) -> Entry {
        self.hold_link(join(NAME, name), format!("../{path}"), ttl)
    }

    /// A name with a pasted query was used: it is listed beside the model, and has the name that tensorflow_hub gives it.
    pub(super) fn pasted(&self, path: &str, refused: usize) {
        if path.contains('?') {
            self.known.insert_pasted(path);
        }
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(at) = name.find(['?', '#']) else {
            return;
        };
        let (bare, pasted) = name.split_at(at);
        // `x/1/?query`: the slash belongs to the spelling.
        let (path, pasted) = match bare {
            "" => (above.to_owned(), format!("/{pasted}")),
            bare => (join(above, bare), pasted.to_owned()),
        };
        let components: Vec<&str> = path.split('/').collect();
        let place = self.names.place_beyond(&components, refused);
        if let Ok(Place::Model { handle, .. } | Place::Versions(handle)) = place {
            let spelled = format!("{}{pasted}", handle.url());
            self.modules.insert_pasted(&spelled, &handle);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle(url: &str) -> Handle {
        Handle::parse(url).unwrap()
    }

    #[test]
    fn a_model_has_its_names_and_only_the_plain_one_is_listed() {
        let modules = Modules::default();
        let url = "https://tfhub.dev/google/x/1";
        modules.insert(&handle(url), "google/x/1");
        for ending in ["", "/", "?tfhub-redirect=true"] {
            let (path, ttl) = modules.find(&Key::of(&format!("{url}{ending}"))).unwrap();
            assert_eq!((&*path, ttl), ("google/x/1", Ttl::Forever));
        }
        assert_eq!(modules.find(&Key::of("https://tfhub.dev/google/x/2")), None);
        assert_eq!(modules.names(), [Key::of(url)]);
        let slash = format!("{url}/");
        modules.insert_spelled(&slash, "google/x/1");
        assert_eq!(modules.names().len(), 2, "what was typed is listed");
    }

    #[test]
    fn another_spelling_exists_when_its_model_does() {
        let modules = Modules::default();
        let x = handle("https://tfhub.dev/google/x/1");
        let spelled = "https://tfhub.dev/google/x/1?a=b";
        modules.insert_pasted(spelled, &x);
        assert_eq!(modules.find(&Key::of(spelled)), None);
        assert!(modules.names().is_empty());
        modules.insert(&x, "google/x/1");
        assert!(modules.find(&Key::of(spelled)).is_some());
        assert_eq!(modules.names().len(), 2);
        for n in 0..2 * SPELLINGS.get() {
            modules.insert_pasted(&format!("{spelled}{n}"), &x);
        }
        assert_eq!(modules.names().len(), 1 + SPELLINGS.get());
        assert!(modules.find(&x.key()).is_some());
    }
}
