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

mod checked;
mod claim;
mod fate;
mod layout;
mod manifest;
mod publish;
mod send;
#[cfg(test)]
mod tests;
mod whole;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

pub use publish::{Outcome, UnderWay, Unsent, Upload};

use super::bucket::Writer;
use super::{Buckets, Error, Folder};
use crate::handle::{BucketPath, Handle, Kind};
use fate::Fates;
use layout::Layout;

/// How long a bucket that failed is left alone.
const ALONE: Duration = Duration::from_secs(30);

/// Uploads at once.
const UPLOADS: usize = 2;

/// How the shared cache is used.
#[derive(Debug, Clone)]
pub struct Options {
    /// `gs://` or `s3://`, bucket and prefix.
    pub at: BucketPath,
    /// The name of this host, for tensorflow_hub.
    pub host: String,
    /// What tells the place where this process has its number from others: the boot and the PID namespace. Without it, nobody
    /// is taken for dead because a process of its number is not here.
    pub place: Option<String>,
    /// Whether a process of this place is alive.
    pub alive: fn(u32) -> bool,
    /// A bucket that does not answer within this time is passed over.
    pub patience: Duration,
    /// Whose lock and files have not moved for this long is taken for dead; tensorflow_hub's own time.
    pub stale: Duration,
    /// The same for one whose process is of this place and gone.
    pub quiet: Duration,
    /// How often a lock of another is looked at.
    pub look: Duration,
}

impl Options {
    /// The shared cache at `at`, with tensorflow_hub's times.
    pub fn new(at: BucketPath, host: String, alive: fn(u32) -> bool) -> Options {
        Options {
            at,
            host,
            place: None,
            alive,
            patience: Duration::from_secs(5),
            stale: Duration::from_secs(600),
            quiet: Duration::from_secs(10),
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
    fates: Fates,
    turns: Semaphore,
    /// Uploads that have not ended, and those among them that the end of the process waits for.
    waiting: AtomicUsize,
    under_way: AtomicUsize,
    ended: Notify,
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
            fates: Fates::new(),
            turns: Semaphore::new(UPLOADS),
            waiting: AtomicUsize::new(0),
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
        let (key, fates) = (handle.key(), &self.shared.fates);
        if !Tier::is_for(handle) || self.is_alone().is_some() || fates.is_passed_over(&key) {
            return None;
        }
        match self.look_patiently(handle).await {
            Ok(Look::Whole(folder)) => fates.give(key, &folder).then_some(folder),
            Ok(Look::Absent) => {
                fates.is_gone(&key);
                None
            }
            Ok(Look::Torn(why)) => {
                tracing::warn!(model = %handle, copy = self.shared.layout.dir(&key).to_string(), "the shared cache's copy is not used: {why}");
                fates.is_of_no_use(key);
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
        self.shared.fates.is_given(&handle.key())
    }

    /// What was given turned out to be of no use, its bytes being wrong (`by_bytes`) or not to be had: for a while the hub is
    /// asked instead. False if nothing was given.
    pub fn has_failed(&self, handle: &Handle, by_bytes: bool) -> bool {
        let failed = self.shared.fates.has_failed(handle.key(), by_bytes);
        if failed {
            tracing::warn!(model = %handle, at = self.shown(), "the shared cache's copy failed; the hub is asked from now on");
        }
        failed
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

    /// For how long the bucket is left alone from now on, if it is.
    fn is_alone(&self) -> Option<Duration> {
        let until = *self.shared.alone.lock();
        until?.checked_duration_since(Instant::now())
    }

    /// Tells of trouble with the bucket once, and leaves it alone for a while.
    fn trouble(&self, error: &Error) -> Duration {
        let mut alone = self.shared.alone.lock();
        if alone.is_none_or(|until| until <= Instant::now()) {
            tracing::warn!(
                "the shared cache is left alone for {} s: {error}",
                ALONE.as_secs()
            );
        }
        *alone = Some(Instant::now() + ALONE);
        ALONE
    }

    /// The same, if it is time that the error has taken: the next one would take as much.
    fn is_late(&self, error: &Error) {
        if error.is_timeout() {
            self.trouble(error);
        }
    }

    async fn look_patiently(&self, handle: &Handle) -> Result<Look, Error> {
        let patience = self.shared.options.patience;
        let looked = tokio::time::timeout(patience, self.look(handle)).await;
        looked.unwrap_or_else(|_| {
            Err(Error::Late {
                model: self.shown(),
                why: format!("it has not answered within {} s", patience.as_secs_f32()),
                advice: String::from("look at the bucket, or leave out --shared-cache"),
            })
        })
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
