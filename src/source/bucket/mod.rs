//! `gs://` and `s3://`: what lies in buckets, and how any part of it is read.
//!
//! Objects are read through object_store, which knows credentials and signatures, over `fetch`'s client. Listings are asked
//! for and read here (`google`, `amazon`): they tell of generations and checksums, and an odd key among ten thousand is left out
//! instead of failing them all (`names`).

mod access;
mod amazon;
mod answers;
mod course;
mod google;
mod names;
mod object;
mod store;
#[cfg(test)]
pub(super) mod tests;
mod write;

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;

use super::{Error, Folder, RemoteFile};
use crate::config::AwsKeys;
use crate::fetch::Client;
use crate::handle::{BucketPath, Scheme};

use access::Access;
use course::Course;
use names::Level;

pub use write::Local;
pub(super) use write::{Known, Only, Put, Trust, Writer};

/// Where buckets are, and how they may be asked.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Speaks as Google Cloud Storage does; without it, Google.
    pub gcs_endpoint: Option<String>,
    /// Speaks as S3 does; without it, Amazon.
    pub aws_endpoint: Option<String>,
    /// Where S3's buckets are, if that was said.
    pub aws_region: Option<String>,
    /// Google credentials were named (`GOOGLE_APPLICATION_CREDENTIALS`): they are used from the first request on.
    pub gcs_credentials: Option<String>,
    /// There are other credentials for a bucket that wants some: gcloud's, or those of a machine of Google's.
    pub gcs_default: bool,
    /// These were meant for another endpoint than Google's too: its metadata server was named (`GCE_METADATA_HOST`).
    pub gcs_default_named: bool,
    /// AWS credentials were named in the environment: likewise.
    pub aws_credentials: bool,
    /// Keys of a profile: used where a bucket wants credentials, and none were named in the environment.
    pub aws_keys: Option<AwsKeys>,
    /// This machine is Amazon's, and so has a metadata server that gives credentials.
    pub on_amazon: bool,
    /// The most objects that one model may have, if that was said.
    pub max_objects: Option<u64>,
}

/// The most pages that a listing may have: ten million objects, if they are full.
pub const MAX_PAGES: usize = 10_000;

/// Of how many buckets it is remembered how they are asked. A name that is no bucket's takes a place, too.
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
    options: Options,
    known: Mutex<LruCache<(Scheme, String), Arc<Access>>>,
}

/// One page of a directory.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Names of directories.
    pub dirs: Vec<String>,
    /// Objects, with the last component of their key as the name.
    pub files: Vec<RemoteFile>,
    /// Where the listing goes on.
    pub next: Option<String>,
}

/// What one name is; both, where an object and a directory have one name.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The object.
    pub file: Option<RemoteFile>,
    /// Whether objects lie below it.
    pub dir: bool,
}

impl Buckets {
    /// Buckets that are reached through `client`; `credentials` is a client that may also ask metadata servers.
    pub fn new(client: Client, credentials: Client, options: Options) -> Buckets {
        Buckets {
            shared: Arc::new(Shared {
                client,
                credentials,
                options,
                known: Mutex::new(LruCache::new(REMEMBERED)),
            }),
        }
    }

    /// Everything below a `gs://` or `s3://` folder: a model.
    pub async fn folder(&self, url: &str) -> Result<Folder, Error> {
        let dir = BucketPath::parse(url).map_err(|why| Error::Failed {
            model: url.to_owned(),
            why: why.to_string(),
            advice: String::from("the host that named this folder is wrong"),
        })?;
        let access = self.access(&dir);
        let mut level = Level::deep();
        let most = self.shared.options.max_objects.unwrap_or(MAX_OBJECTS);
        let mut course = Course::below(most);
        while !course.is_ended() {
            level.add(&access, &dir, course.page(&access, &dir).await?);
        }
        let (dirs, files) = level.end(&access, &dir);
        if files.is_empty() {
            return Err(absent(&dir));
        }
        Ok(Folder {
            shown: dir.to_string(),
            remote: Some(dir.to_string()),
            files,
            dirs,
        })
    }

    /// A page of a directory's names, from `token` on; pages without a name are passed over.
    pub async fn page(&self, dir: &BucketPath, token: Option<String>) -> Result<Page, Error> {
        let access = self.access(dir);
        let mut course = Course::of_directory(token);
        let begins = course.is_new();
        let listed = course.page(&access, dir).await?;
        if begins && listed.len() == 0 && !dir.key().is_empty() {
            return Err(absent(dir));
        }
        let mut level = Level::flat();
        level.add(&access, dir, listed);
        let (dirs, files) = level.end(&access, dir);
        Ok(Page {
            dirs,
            files,
            next: course.rest(),
        })
    }

    /// What `path` is: two requests at once. Where objects may be read and not listed, directories are not seen.
    pub async fn look(&self, path: &BucketPath) -> Result<Seen, Error> {
        let access = self.access(path);
        let below = async {
            let listed = Course::glance().page(&access, path).await?;
            Ok::<_, Error>(listed.len() > 0)
        };
        if path.key().is_empty() {
            return match below.await {
                Ok(_) => Ok(Seen {
                    file: None,
                    dir: true,
                }),
                Err(error) if error.is_not_found() => Ok(Seen::default()),
                Err(error) => Err(error),
            };
        }
        match tokio::join!(access.stat(path), below) {
            (Ok(file), Ok(dir)) => Ok(Seen { file, dir }),
            (Err(_), Ok(true)) => Ok(Seen {
                file: None,
                dir: true,
            }),
            (Err(error), _) => Err(error),
            (Ok(file), Err(error)) if error.is_not_found() => Ok(Seen { file, dir: false }),
            (Ok(Some(file)), Err(error)) if error.is_denied() => Ok(Seen {
                file: Some(file),
                dir: false,
            }),
            (Ok(_), Err(error)) => Err(error),
        }
    }

    /// Reads and writes objects of the bucket of `path`, by their keys.
    pub(super) fn writer(&self, path: &BucketPath) -> Writer {
        Writer::new(self.access(path))
    }

    fn access(&self, path: &BucketPath) -> Arc<Access> {
        let key = (path.scheme(), path.bucket().to_owned());
        let mut known = self.shared.known.lock();
        let access = known.get_or_insert(key, || {
            let Shared {
                client,
                credentials,
                options,
                ..
            } = &*self.shared;
            Arc::new(Access::new(path, client, credentials, options))
        });
        access.clone()
    }
}

fn absent(dir: &BucketPath) -> Error {
    Error::Unknown {
        model: dir.to_string(),
        why: String::from("the bucket has nothing below this name"),
        advice: String::from("check the name"),
    }
}

/// A listing that leads back to where it was, or has more pages than any that ends.
pub fn in_circles(dir: &BucketPath) -> Error {
    Error::Failed {
        model: dir.to_string(),
        why: String::from("its listing has no end"),
        advice: String::from("the fault is on the bucket's side"),
    }
}
