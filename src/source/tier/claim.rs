//! Who uploads a model: whoever makes `<sha1>.lock`, which no two can.
//!
//! The lock is tensorflow_hub's. One of ours is written anew while its holder lives; whose lock and files have not moved for
//! tensorflow_hub's time is taken for dead, and its lock is replaced on the condition that it is still the same. Some seconds
//! are enough where its process was of this host, this boot and these process numbers, and is gone: another container may
//! share a host's name, and not its numbers.

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

use super::Shared;
use super::layout::Lock;
use crate::handle::{BucketPath, Key};
use crate::source::Error;
use crate::source::bucket::{Only, Put};

/// Objects that are looked at to see whether somebody works.
const LOOKED_AT: u64 = 100_000;

/// What there is to do about a model.
#[derive(Debug)]
pub(super) enum Claim {
    /// Ours to upload.
    Ours(Held),
    /// Somebody else is at it.
    Theirs,
    /// Somebody was at it, as it seems; that is sure after this time.
    Dying(Duration),
}

/// What was seen of somebody else's work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sight {
    /// The lock's version.
    version: String,
    /// Bytes and latest change of what is there.
    bytes: u64,
    latest: Option<SystemTime>,
}

/// A lock of ours.
#[derive(Debug)]
pub(super) struct Held {
    key: String,
    text: Bytes,
    version: String,
}

/// A lock that is looked at again and again, and since when it is the same.
#[derive(Debug, Default)]
pub(super) struct Watch {
    seen: Option<(Sight, Instant)>,
}

impl Watch {
    /// For how long nothing has moved.
    fn still(&mut self, sight: &Sight) -> Duration {
        match &self.seen {
            Some((seen, since)) if seen == sight => since.elapsed(),
            _ => {
                self.seen = Some((sight.clone(), Instant::now()));
                Duration::ZERO
            }
        }
    }
}

/// Tries to become the one who uploads `key`.
pub(super) async fn claim(shared: &Shared, key: &Key, watch: &mut Watch) -> Result<Claim, Error> {
    let options = &shared.options;
    let lock = Lock::new(&options.host, options.place.as_deref());
    let (at, text) = (shared.layout.lock(key), Bytes::from(lock.text()));
    let held = |version| Held {
        key: at.clone(),
        text: text.clone(),
        version,
    };
    if let Put::Done(version) = shared.writer.put(&at, text.clone(), &Only::New).await? {
        return Ok(Claim::Ours(held(version)));
    }
    let Some(there) = shared.writer.read(&at).await? else {
        // Just gone: the next try finds the model, or nobody.
        return Ok(Claim::Theirs);
    };
    let holder = Lock::parse(&there.bytes);
    let sight = look(shared, key, there.version, holder.as_ref()).await?;
    let gone = holder.is_some_and(|holder| {
        let place = options.place.as_deref();
        holder.host == options.host && holder.is_of(place) && !(options.alive)(holder.pid)
    });
    let enough = if gone { options.quiet } else { options.stale };
    let old = match (there.now, sight.latest) {
        (Some(now), Some(latest)) => now.duration_since(latest).unwrap_or_default(),
        _ => Duration::ZERO,
    };
    let still = watch.still(&sight).max(old);
    if still < enough {
        return Ok(match gone {
            true => Claim::Dying(enough - still),
            false => Claim::Theirs,
        });
    }
    tracing::info!(
        lock = at,
        "whoever held this lock of the shared cache has stopped; its work is completed"
    );
    let only = Only::Instead(sight.version.clone());
    match shared.writer.put(&at, text.clone(), &only).await? {
        Put::Done(version) => Ok(Claim::Ours(held(version))),
        Put::Refused => Ok(Claim::Theirs),
    }
}

/// What moves while somebody works: the lock, the model's files, tensorflow_hub's staging directory.
async fn look(
    shared: &Shared,
    key: &Key,
    version: String,
    holder: Option<&Lock>,
) -> Result<Sight, Error> {
    let mut sight = Sight {
        version,
        ..Sight::none()
    };
    if let Some(lock) = shared.writer.known(&shared.layout.lock(key)).await? {
        sight.latest = Some(lock.mtime);
    }
    let staging = holder.map(|holder| shared.layout.staging(key, holder));
    for dir in [Some(shared.layout.dir(key)), staging]
        .into_iter()
        .flatten()
    {
        let Ok(dir) = BucketPath::parse(&dir) else {
            continue;
        };
        for file in shared.writer.below(&dir, LOOKED_AT).await? {
            sight.bytes = sight.bytes.saturating_add(file.size);
            sight.latest = sight.latest.max(Some(file.mtime));
        }
    }
    Ok(sight)
}

impl Sight {
    fn none() -> Sight {
        Sight {
            version: String::new(),
            bytes: 0,
            latest: None,
        }
    }
}

/// What tells a lock of ours from any other.
#[derive(Debug)]
pub(super) struct Ours {
    key: String,
    text: Bytes,
}

impl Ours {
    /// An error if the lock is somebody else's now.
    pub async fn check(&self, shared: &Shared) -> Result<(), Error> {
        match shared.writer.read(&self.key).await? {
            Some(there) if there.bytes == self.text => Ok(()),
            _ => Err(taken(&self.key)),
        }
    }
}

impl Held {
    /// The same, for whoever works while this is kept.
    pub fn ours(&self) -> Ours {
        Ours {
            key: self.key.clone(),
            text: self.text.clone(),
        }
    }

    /// Writes the lock anew from time to time; ends when it is ours no more, or that cannot be said.
    pub async fn keep(&mut self, shared: &Shared) -> Error {
        loop {
            tokio::time::sleep(shared.options.stale / 5).await;
            let only = Only::Instead(self.version.clone());
            match shared.writer.put(&self.key, self.text.clone(), &only).await {
                Ok(Put::Done(version)) => self.version = version,
                Ok(Put::Refused) => return taken(&self.key),
                Err(error) => return error,
            }
        }
    }

    /// Lets go, if it is still ours.
    pub async fn release(self, shared: &Shared) {
        let there = shared.writer.read(&self.key).await;
        let ours = match &there {
            Ok(Some(there)) if there.bytes == self.text => &there.version,
            _ => return,
        };
        if let Err(error) = shared.writer.remove(&self.key, ours).await {
            tracing::debug!(lock = self.key, %error, "a lock of the shared cache stays; it is taken for dead in time");
        }
    }
}

fn taken(key: &str) -> Error {
    Error::Failed {
        model: key.to_owned(),
        why: String::from("somebody else has taken over the upload"),
        advice: String::from("nothing needs to be done"),
    }
}
