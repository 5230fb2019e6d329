//! The shared cache: a prefix of a bucket in tensorflow_hub's own layout, between this host's cache and the hubs.
//!
//! ```text
//! <prefix>/<sha1>/<files>                     the model
//! <prefix>/<sha1>.descriptor.txt              whose it is; written last
//! <prefix>/<sha1>.lock                        who writes it
//! <prefix>/.tfhub-fs/v1/manifests/<sha1>      what belongs to it; ours
//! ```
//!
//! A model is there if its descriptor says so and nothing of it is missing. Whatever is wrong with the bucket, or with what
//! lies in it, is a warning and a miss: then the hub is asked, as if there were no bucket.

mod claim;
mod layout;
mod manifest;
mod publish;
#[cfg(test)]
mod tests;
mod whole;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lru::LruCache;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

pub use publish::{Outcome, UnderWay, Upload};

use super::bucket::Writer;
use super::{Buckets, Error, Folder};
use crate::handle::{BucketPath, Handle, Key, Kind};
use layout::Layout;

/// Of how many models it is remembered what came of them.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// How long a bucket that failed is left alone, and a model whose copy in it failed.
const ALONE: Duration = Duration::from_secs(30);
const SPOILED: Duration = Duration::from_secs(600);

/// Uploads at once.
const UPLOADS: usize = 2;

/// How the shared cache is used.
#[derive(Debug, Clone)]
pub struct Options {
    /// `gs://` or `s3://`, bucket and prefix.
    pub at: BucketPath,
    /// The name of this host, for tensorflow_hub.
    pub host: String,
    /// Whether a process of this host is alive.
    pub alive: fn(u32) -> bool,
    /// A bucket that does not answer within this time is passed over.
    pub patience: Duration,
    /// Whose lock and files have not moved for this long is taken for dead; tensorflow_hub's own time.
    pub stale: Duration,
    /// How often a lock of another is looked at.
    pub look: Duration,
}

impl Options {
    /// The shared cache at `at`, with tensorflow_hub's times.
    pub fn new(at: BucketPath, host: String, alive: fn(u32) -> bool) -> Options {
        Options {
            at,
            host,
            alive,
            patience: Duration::from_secs(5),
            stale: Duration::from_secs(600),
            look: Duration::from_secs(15),
        }
    }
}

/// The shared cache. Clones share what was learnt of it.
#[derive(Debug, Clone)]
pub struct Tier {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: Options,
    buckets: Buckets,
    writer: Writer,
    layout: Layout,
    /// Not to be asked before.
    alone: Mutex<Option<Instant>>,
    models: Mutex<LruCache<Key, Fate>>,
    turns: Semaphore,
    /// Uploads that wait for their turn or have it.
    under_way: AtomicUsize,
    ended: Notify,
}

/// What came of a model's copy in the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is read from there.
    Given,
    /// It is of no use; said at this time.
    Useless(Instant),
}

impl Tier {
    /// The shared cache in one of `buckets`.
    pub fn new(buckets: Buckets, options: Options) -> Tier {
        let shared = Shared {
            writer: buckets.writer(&options.at),
            layout: Layout::new(&options.at),
            buckets,
            options,
            alone: Mutex::new(None),
            models: Mutex::new(LruCache::new(REMEMBERED)),
            turns: Semaphore::new(UPLOADS),
            under_way: AtomicUsize::new(0),
            ended: Notify::new(),
        };
        Tier {
            shared: Arc::new(shared),
        }
    }

    /// Where it is, for people.
    pub fn shown(&self) -> String {
        self.shared.options.at.to_string()
    }

    /// Whether a model of this handle can be there: what lies in buckets is read where it is.
    pub fn is_for(handle: &Handle) -> bool {
        handle.bucket().is_none() || handle.kind() == Kind::Archive
    }

    /// The model's files in the bucket, if all of it is there. Trouble is told here, and is `None`.
    pub async fn find(&self, handle: &Handle) -> Option<Folder> {
        let key = handle.key();
        if !Tier::is_for(handle) || self.is_alone() || self.is_useless(&key) {
            return None;
        }
        let looked = tokio::time::timeout(self.shared.options.patience, self.look(handle)).await;
        let found = match looked {
            Ok(found) => found,
            Err(_) => Err(Error::Late {
                model: self.shown(),
                why: format!(
                    "it has not answered within {} s",
                    self.shared.options.patience.as_secs_f32()
                ),
                advice: String::from("look at the bucket, or leave out --shared-cache"),
            }),
        };
        match found {
            Ok(Look::Whole(folder)) => {
                self.shared.models.lock().put(key, Fate::Given);
                Some(folder)
            }
            Ok(Look::Absent) => None,
            Ok(Look::Torn(why)) => {
                tracing::warn!(model = %handle, copy = self.shared.layout.dir(&key).to_string(), "the shared cache's copy is not used: {why}");
                self.useless(key);
                None
            }
            Err(error) => {
                self.trouble(&error);
                None
            }
        }
    }

    /// Whether the model is being read from the bucket, or was.
    pub fn has_given(&self, handle: &Handle) -> bool {
        let mut models = self.shared.models.lock();
        models.get(&handle.key()) == Some(&Fate::Given)
    }

    /// What was given turned out to be of no use: for a while the hub is asked instead.
    pub fn has_failed(&self, handle: &Handle) {
        if self.has_given(handle) {
            tracing::warn!(model = %handle, at = self.shown(), "the shared cache's copy failed; the next open asks the hub");
            self.useless(handle.key());
        }
    }

    /// Ends when no upload of this process is under way. Models that another host uploads are not waited for.
    pub async fn settled(&self) {
        loop {
            let ended = self.shared.ended.notified();
            if self.shared.under_way.load(Ordering::SeqCst) == 0 {
                return;
            }
            ended.await;
        }
    }

    fn useless(&self, key: Key) {
        let fate = Fate::Useless(Instant::now());
        self.shared.models.lock().put(key, fate);
    }

    fn is_useless(&self, key: &Key) -> bool {
        let mut models = self.shared.models.lock();
        matches!(models.get(key), Some(Fate::Useless(at)) if at.elapsed() < SPOILED)
    }

    fn is_alone(&self) -> bool {
        let until = *self.shared.alone.lock();
        until.is_some_and(|until| Instant::now() < until)
    }

    /// Tells of trouble with the bucket once, and leaves it alone for a while.
    fn trouble(&self, error: &Error) {
        let mut alone = self.shared.alone.lock();
        if alone.is_none_or(|until| until <= Instant::now()) {
            tracing::warn!(
                "the shared cache is left alone for {} s: {error}",
                ALONE.as_secs()
            );
        }
        *alone = Some(Instant::now() + ALONE);
    }

    async fn look(&self, handle: &Handle) -> Result<Look, Error> {
        let shared = &self.shared;
        let (key, url) = (handle.key(), handle.url());
        let Some(descriptor) = shared.writer.read(&shared.layout.descriptor(&key)).await? else {
            return Ok(Look::Absent);
        };
        if let Err(why) = layout::check_descriptor(&descriptor.bytes, &url) {
            return Ok(Look::Torn(why));
        }
        let (folder, lock) = (
            shared.layout.dir(&key).to_string(),
            shared.layout.lock(&key),
        );
        let manifest = shared.layout.manifest(&key);
        let (folder, manifest) = tokio::join!(
            shared.buckets.folder(&folder),
            shared.writer.read(&manifest)
        );
        let mut folder = match folder {
            Ok(folder) => folder,
            Err(error) if error.is_not_found() => {
                return Ok(Look::Torn(String::from("it has no files")));
            }
            Err(error) => return Err(error),
        };
        let judged = match manifest? {
            Some(text) => whole::by_manifest(&text.bytes, &url, &mut folder),
            // tensorflow_hub writes its descriptor before it moves the files.
            None if shared.writer.read(&lock).await?.is_some() => return Ok(Look::Absent),
            None => whole::by_names(&folder),
        };
        Ok(match judged {
            Ok(()) => Look::Whole(folder),
            Err(why) => Look::Torn(why),
        })
    }
}

/// What a look into the bucket has told.
#[derive(Debug)]
enum Look {
    Whole(Folder),
    Absent,
    /// Why it cannot be used.
    Torn(String),
}
