//! Which host uploads a model: the one that creates `<sha1>.lock`, which only one can.
//!
//! The lock is tensorflow_hub's. Ours is rewritten while its holder lives. A lock is stale when neither it nor the model's files
//! have changed for tensorflow_hub's time; it is then replaced on the condition that it is still the same. Seconds are enough
//! if its process was of this host, boot and PID namespace and is gone: another container may share the host's name only.

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

use super::Error;
use super::handle::Shared;
use crate::bucket::{Precondition, PutOutcome};
use crate::handle::{BucketPath, Key};
use crate::hubdir::{LockText, Stillness, new_uid};

/// Most objects that are listed to see whether the holder works.
const LOOKED_AT: u64 = 100_000;

/// What there is to do about a model.
#[derive(Debug)]
pub(super) enum Claim {
    /// Ours to upload.
    Ours(HeldLock),
    /// Somebody else is at it.
    Theirs,
    /// Somebody was at it, as it seems; that is sure after this time.
    Dying(Duration),
}

/// The state of another host's upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HolderActivity {
    /// The lock's version.
    version: String,
    /// Bytes and latest change of what is there.
    bytes: u64,
    latest: Option<SystemTime>,
}

/// A lock of ours.
#[derive(Debug)]
pub(super) struct HeldLock {
    key: String,
    text: Bytes,
    version: String,
}

/// Another host's lock that is looked at again and again, and since when nothing has changed.
pub(super) type HolderWatch = Stillness<HolderActivity>;

/// Tries to become the one who uploads `key`.
pub(super) async fn claim(
    shared: &Shared,
    key: &Key,
    watch: &mut HolderWatch,
) -> Result<Claim, Error> {
    let options = &shared.options;
    let uid = new_uid().map_err(|error| Error::NoUid(error.to_string()))?;
    let mut lock = LockText::new(&options.host, uid);
    if let Some(place) = &options.place {
        lock = lock.marked(place);
    }
    let (at, text) = (shared.layout.lock(key), Bytes::from(lock.to_string()));
    let held = |version| HeldLock {
        key: at.clone(),
        text: text.clone(),
        version,
    };
    if let PutOutcome::Stored(version) = shared
        .writer
        .put(&at, text.clone(), &Precondition::Absent)
        .await?
    {
        return Ok(Claim::Ours(held(version)));
    }
    let Some(there) = shared.writer.read(&at).await? else {
        // Just removed: the next attempt finds the model or no lock.
        return Ok(Claim::Theirs);
    };
    let holder = str::from_utf8(&there.bytes).ok();
    let holder = holder.and_then(LockText::parse);
    let activity = observe(shared, key, there.version, holder.as_ref()).await?;
    let gone = holder.is_some_and(|holder| {
        let is_here = options.place.as_ref();
        let is_here = is_here.is_some_and(|place| holder.is_marked(place));
        holder.host == options.host && is_here && !(options.alive)(holder.pid)
    });
    let enough = if gone { options.quiet } else { options.stale };
    let old = match (there.now, activity.latest) {
        (Some(now), Some(latest)) => now.duration_since(latest).unwrap_or_default(),
        _ => Duration::ZERO,
    };
    let still = watch.record(&activity, Instant::now()).max(old);
    if still < enough {
        return Ok(match gone {
            true => Claim::Dying(enough - still),
            false => Claim::Theirs,
        });
    }
    tracing::info!(lock = at, "taking over a stale lock of the shared cache");
    let condition = Precondition::Version(activity.version.clone());
    match shared.writer.put(&at, text.clone(), &condition).await? {
        PutOutcome::Stored(version) => Ok(Claim::Ours(held(version))),
        PutOutcome::Conflict => Ok(Claim::Theirs),
    }
}

/// What moves while somebody works: the lock, the model's files, tensorflow_hub's staging directory.
async fn observe(
    shared: &Shared,
    key: &Key,
    version: String,
    holder: Option<&LockText>,
) -> Result<HolderActivity, Error> {
    let mut activity = HolderActivity {
        version,
        ..HolderActivity::none()
    };
    if let Some(lock) = shared.writer.info(&shared.layout.lock(key)).await? {
        activity.latest = Some(lock.mtime);
    }
    let staging = holder.map(|holder| shared.layout.staging(key, holder));
    for dir in [Some(shared.layout.dir(key)), staging]
        .into_iter()
        .flatten()
    {
        let Ok(dir) = BucketPath::parse(&dir) else {
            continue;
        };
        for file in shared.writer.list(&dir, LOOKED_AT).await? {
            activity.bytes = activity.bytes.saturating_add(file.size);
            activity.latest = activity.latest.max(Some(file.mtime));
        }
    }
    Ok(activity)
}

impl HolderActivity {
    fn none() -> HolderActivity {
        HolderActivity {
            version: String::new(),
            bytes: 0,
            latest: None,
        }
    }
}

/// What tells a lock of ours from any other.
#[derive(Debug)]
pub(super) struct LockProof {
    key: String,
    text: Bytes,
}

impl LockProof {
    /// An error if another host has the lock now.
    pub async fn check(&self, shared: &Shared) -> Result<(), Error> {
        match shared.writer.read(&self.key).await? {
            Some(there) if there.bytes == self.text => Ok(()),
            _ => Err(taken(&self.key)),
        }
    }
}

impl HeldLock {
    /// Tells this lock from others while another task keeps it.
    pub fn proof(&self) -> LockProof {
        LockProof {
            key: self.key.clone(),
            text: self.text.clone(),
        }
    }

    /// Writes the lock anew from time to time; ends when it is ours no more, or that cannot be said.
    pub async fn keep(&mut self, shared: &Shared) -> Error {
        loop {
            tokio::time::sleep(shared.options.stale / 5).await;
            let condition = Precondition::Version(self.version.clone());
            match shared
                .writer
                .put(&self.key, self.text.clone(), &condition)
                .await
            {
                Ok(PutOutcome::Stored(version)) => self.version = version,
                Ok(PutOutcome::Conflict) => return taken(&self.key),
                Err(error) => return error.into(),
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
    Error::Overtaken {
        object: key.to_owned(),
    }
}
