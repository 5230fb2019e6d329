//! All buckets: folders, directories and names in them.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;

use super::client::BucketClient;
use super::error::ErrorKind;
use super::get::{self, NamedObject, Object};
use super::list::{ListPager, NameTree, OddNames};
use super::put::BucketWriter;
use super::{BucketOptions, Error};
use crate::fetch::Client;
use crate::handle::{BucketPath, Scheme};

/// Buckets whose way of asking is remembered. A name that is no bucket's takes a place, too.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);

/// As many as an archive may have entries.
const MAX_OBJECTS: u64 = 100_000;

/// All buckets. Clones share what was learnt of each.
#[derive(Debug, Clone)]
pub struct Buckets {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    client: Client,
    /// Also asks metadata servers, in plain http; never follows anybody there.
    credentials: Client,
    options: BucketOptions,
    known: Mutex<LruCache<(Scheme, String), Arc<BucketClient>>>,
    odd: OddNames,
}

/// Everything below a folder, sorted.
#[derive(Debug, Clone, Default)]
pub struct ObjectTree {
    /// Directories that may be empty; parents of objects need not be here.
    pub dirs: Vec<String>,
    /// Objects, by their paths below the folder.
    pub files: Vec<NamedObject>,
}

/// One page of a directory.
#[derive(Debug, Clone, Default)]
pub struct DirPage {
    /// Names of directories.
    pub dirs: Vec<String>,
    /// Objects, by the last components of their keys.
    pub files: Vec<NamedObject>,
    /// Where the listing goes on.
    pub next: Option<String>,
}

/// What one name is; both, where an object and a directory have one name.
#[derive(Debug, Clone, Default)]
pub struct NameEntry {
    /// The object.
    pub file: Option<NamedObject>,
    /// Whether objects lie below it.
    pub dir: bool,
}

impl Buckets {
    /// Buckets that are reached through `client`; `credentials` is a client that may also ask metadata servers.
    pub fn new(client: Client, credentials: Client, options: BucketOptions) -> Buckets {
        Buckets {
            shared: Arc::new(Shared {
                client,
                credentials,
                options,
                known: Mutex::new(LruCache::new(REMEMBERED)),
                odd: OddNames::default(),
            }),
        }
    }

    /// Everything below a folder: a model.
    ///
    /// # Errors
    ///
    /// There is nothing, or too much; everything that a request may fail with.
    pub async fn folder(&self, dir: &BucketPath) -> Result<ObjectTree, Error> {
        let client = self.client(dir);
        let mut tree = NameTree::deep(dir);
        let most = self.shared.options.max_objects.unwrap_or(MAX_OBJECTS);
        let mut pager = ListPager::below(dir, most);
        while !pager.is_ended() {
            tree.add(pager.next_page(&client).await?);
        }
        let (dirs, files) = tree.finish(&self.shared.odd);
        if files.is_empty() {
            return Err(absent(dir));
        }
        let files = named(&client, files);
        Ok(ObjectTree { dirs, files })
    }

    /// A page of a directory's names, from `token` on; pages without a name are passed over.
    ///
    /// # Errors
    ///
    /// As [`Buckets::folder`].
    pub async fn page(&self, dir: &BucketPath, token: Option<String>) -> Result<DirPage, Error> {
        let client = self.client(dir);
        let mut pager = ListPager::of_directory(dir, token);
        let is_first = pager.is_new();
        let listed = pager.next_page(&client).await?;
        if is_first && listed.len() == 0 && !dir.key().is_empty() {
            return Err(absent(dir));
        }
        let mut tree = NameTree::flat(dir);
        tree.add(listed);
        let (dirs, files) = tree.finish(&self.shared.odd);
        Ok(DirPage {
            dirs,
            files: named(&client, files),
            next: pager.rest(),
        })
    }

    /// What `path` is: two requests at once. Where objects may be read and not listed, directories are not seen.
    ///
    /// # Errors
    ///
    /// Neither request tells.
    pub async fn look_up(&self, path: &BucketPath) -> Result<NameEntry, Error> {
        let client = self.client(path);
        let below = async {
            let listed = ListPager::first_name(path).next_page(&client).await?;
            Ok::<_, Error>(listed.len() > 0)
        };
        if path.key().is_empty() {
            return match below.await {
                Ok(_) => Ok(NameEntry {
                    file: None,
                    dir: true,
                }),
                Err(error) if error.is_not_found() => Ok(NameEntry::default()),
                Err(error) => Err(error),
            };
        }
        let (info, below) = tokio::join!(get::info(&client, path.key()), below);
        let name = path.split().map_or("", |(_, name)| name);
        let info = info.map(|info| {
            let file = info.map(|info| (name.to_owned(), info));
            named(&client, file.into_iter().collect()).pop()
        });
        match (info, below) {
            (Ok(file), Ok(dir)) => Ok(NameEntry { file, dir }),
            (Err(_), Ok(true)) => Ok(NameEntry {
                file: None,
                dir: true,
            }),
            (Err(error), _) => Err(error),
            (Ok(file), Err(error)) if error.is_not_found() => Ok(NameEntry { file, dir: false }),
            (Ok(file @ Some(_)), Err(error)) if error.is_denied() => {
                Ok(NameEntry { file, dir: false })
            }
            (Ok(_), Err(error)) => Err(error),
        }
    }

    /// Reads and writes objects of the bucket of `path`, by their keys.
    pub(crate) fn writer(&self, path: &BucketPath) -> BucketWriter {
        BucketWriter::new(self.client(path))
    }

    fn client(&self, path: &BucketPath) -> Arc<BucketClient> {
        let key = (path.scheme(), path.bucket().to_owned());
        let shared = &self.shared;
        let mut known = shared.known.lock();
        let client = known.get_or_insert(key, || {
            let Shared {
                client,
                credentials,
                options,
                ..
            } = &**shared;
            Arc::new(BucketClient::new(path, client, credentials, options))
        });
        client.clone()
    }
}

fn named(client: &Arc<BucketClient>, files: Vec<(String, super::ObjectInfo)>) -> Vec<NamedObject> {
    let files = files.into_iter().map(|(name, info)| NamedObject {
        name,
        object: Object::new(client.clone(), info),
    });
    files.collect()
}

fn absent(dir: &BucketPath) -> Error {
    let why = "the bucket has nothing below this name";
    Error::new(ErrorKind::NotFound, &dir.to_string(), why, "check the name")
}
