//! The handle that everyone holds, and the bucket's bad times.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::health::CopyHealthTable;
use super::layout::BucketLayout;
use super::publish::UploadQueue;
use super::{Error, SharedCacheOptions};
use crate::bucket::{BucketWriter, Buckets};
use crate::handle::{Handle, Kind};

/// How long a bucket that failed is not asked.
const BACK_OFF: Duration = Duration::from_secs(30);

/// The shared cache. Clones share what was learnt of it.
#[derive(Debug, Clone)]
pub struct SharedCache {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub options: SharedCacheOptions,
    pub buckets: Buckets,
    pub writer: BucketWriter,
    pub layout: BucketLayout,
    pub health: CopyHealthTable,
    pub uploads: UploadQueue,
    /// When the bucket may be asked again.
    back_off: Mutex<Option<Instant>>,
}

impl SharedCache {
    /// The shared cache in one of `buckets`.
    pub fn new(buckets: Buckets, options: SharedCacheOptions) -> SharedCache {
        let shared = Shared {
            writer: buckets.writer(&options.at),
            layout: BucketLayout::new(&options.at),
            buckets,
            options,
            health: CopyHealthTable::new(),
            uploads: UploadQueue::new(),
            back_off: Mutex::new(None),
        };
        SharedCache {
            shared: Arc::new(shared),
        }
    }

    /// Where it is, for people.
    pub fn shown(&self) -> String {
        self.shared.options.at.to_string()
    }

    /// Whether a model of this handle can be there: what lies in buckets is read where it is.
    pub fn can_hold(handle: &Handle) -> bool {
        handle.bucket().is_none() || handle.kind() == Kind::Archive
    }
}

impl Shared {
    /// For how long the bucket is not asked from now on, if it is not.
    pub fn backing_off(&self) -> Option<Duration> {
        let until = *self.back_off.lock();
        until?.checked_duration_since(Instant::now())
    }

    /// Reports trouble with the bucket once, and does not ask it for a while.
    pub fn back_off(&self, error: &Error) -> Duration {
        let mut back_off = self.back_off.lock();
        if back_off.is_none_or(|until| until <= Instant::now()) {
            tracing::warn!(
                "the shared cache is not used for {} s: {error}",
                BACK_OFF.as_secs()
            );
        }
        *back_off = Some(Instant::now() + BACK_OFF);
        BACK_OFF
    }

    /// Backs off from an error that has taken time: the next one would take as much.
    pub fn back_off_if_late(&self, error: &Error) {
        if error.is_timeout() {
            self.back_off(error);
        }
    }
}
