//! Settings of the shared cache.

use std::time::Duration;

use crate::handle::BucketPath;
use crate::hubdir::{QUIET, STALE};

/// How the shared cache is used.
#[derive(Debug, Clone)]
pub struct SharedCacheOptions {
    /// `gs://` or `s3://`, bucket and prefix.
    pub at: BucketPath,
    /// The name of this host, for tensorflow_hub.
    pub host: String,
    /// The boot and the PID namespace, within which a process id names one process. Without it, no holder counts as dead
    /// because there is no process of its id here.
    pub place: Option<String>,
    /// Whether a process of this place is alive.
    pub alive: fn(u32) -> bool,
    /// How long a look-up may take before it counts as a miss.
    pub timeout: Duration,
    /// A lock is taken over when it and the model's files have not changed for this long: tensorflow_hub's own time.
    pub stale: Duration,
    /// The same for a lock whose process was of this place and is gone.
    pub quiet: Duration,
    /// How often another uploader's lock is polled.
    pub poll: Duration,
}

impl SharedCacheOptions {
    /// The shared cache at `at`, with tensorflow_hub's times.
    pub fn new(at: BucketPath, host: String, alive: fn(u32) -> bool) -> SharedCacheOptions {
        SharedCacheOptions {
            at,
            host,
            place: None,
            alive,
            timeout: Duration::from_secs(5),
            stale: STALE,
            quiet: QUIET,
            poll: Duration::from_secs(15),
        }
    }
}
