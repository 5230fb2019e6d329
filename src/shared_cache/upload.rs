//! Uploads a model: data and assets, the manifest, saved_model.pb, the descriptor. A host that dies in between leaves
//! nothing that passes for a model, and what it has sent is not sent again.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use super::Error;
use super::claim::{HeldLock, LockProof};
use super::find::FoundCopy;
use super::handle::Shared;
use super::manifest::{ListedFile, Manifest};
use super::publish::UploadOutcome;
use super::verified::VerifiedRead;
use crate::bucket::{Evidence, LocalBytes, ObjectInfo, Precondition, PutOutcome};
use crate::checksum::Crc32c;
use crate::handle::{BucketPath, Handle, Key};
use crate::hubdir::Descriptor;

/// Objects that may lie where a model is to go.
const MAX_OBJECTS: u64 = 200_000;

/// Read at once to compute a checksum.
const SUMMED: u64 = 4 << 20;

/// One file of a model on this host.
#[derive(Debug, Clone)]
pub struct UploadFile {
    /// The path in the model.
    pub name: String,
    /// In bytes.
    pub size: u64,
    /// Checksum, if it is known.
    pub crc32c: Option<u32>,
    /// Reads it.
    pub from: Arc<dyn LocalBytes>,
}

/// Sends what is missing, as long as the lock is ours.
pub(super) async fn run(
    shared: &Shared,
    handle: &Handle,
    files: impl Future<Output = Option<Vec<UploadFile>>>,
    mut lock: HeldLock,
) -> Result<UploadOutcome, Error> {
    let upload = Upload {
        shared,
        handle,
        key: handle.key(),
        proof: lock.proof(),
    };
    let sent = tokio::select! {
        sent = upload.run(files) => sent,
        error = lock.keep(shared) => Err(error),
    };
    lock.release(shared).await;
    match &sent {
        Ok(UploadOutcome::Evicted) => {}
        Ok(_) => shared.health.record_uploaded(&handle.key()),
        Err(error) => shared.back_off_if_late(error),
    }
    sent
}

/// One model on its way.
struct Upload<'a> {
    shared: &'a Shared,
    handle: &'a Handle,
    key: Key,
    proof: LockProof,
}

/// What lies where the model is to go.
struct Destination {
    objects: HashMap<String, ObjectInfo>,
    evidence: Evidence,
}

impl Upload<'_> {
    async fn run(
        &self,
        files: impl Future<Output = Option<Vec<UploadFile>>>,
    ) -> Result<UploadOutcome, Error> {
        let Some(files) = files.await else {
            return Ok(UploadOutcome::Evicted);
        };
        match self.withdraw_descriptor().await? {
            true => Ok(UploadOutcome::Present),
            false => self.send_all(&files).await.map(UploadOutcome::Sent),
        }
    }

    /// Removes the descriptor of a copy that is to be repaired, so that no host uses it meanwhile. True if there is nothing to
    /// repair: another host has finished before the lock was ours.
    async fn withdraw_descriptor(&self) -> Result<bool, Error> {
        let shared = self.shared;
        let at = shared.layout.descriptor(&self.key);
        let Some(descriptor) = shared.writer.read(&at).await? else {
            return Ok(false);
        };
        if let FoundCopy::Complete(copy) = shared.look_up(self.handle).await?
            && !shared.health.is_wrong(&self.key, &copy)
        {
            return Ok(true);
        }
        let removed = shared.writer.remove(&at, &descriptor.version).await?;
        if !removed && shared.writer.read(&at).await?.is_some() {
            return Err(Error::Overtaken { object: at });
        }
        Ok(false)
    }

    /// Gives the bytes that were sent.
    async fn send_all(&self, files: &[UploadFile]) -> Result<u64, Error> {
        let (shared, key) = (self.shared, &self.key);
        let there = self.destination().await?;
        let mut last: Vec<_> = files.iter().filter(|file| rank(file).is_some()).collect();
        last.sort_by_key(|file| rank(file));
        let mut sent = 0;
        let mut manifest = Manifest {
            handle: self.handle.url(),
            files: Vec::new(),
        };
        for file in files {
            let sum = match rank(file) {
                None => self.ensure(file, &there, &mut sent).await?,
                // Their checksums are in the manifest, which comes first.
                Some(_) => checksum(file).await?,
            };
            manifest.files.push(ListedFile {
                name: file.name.clone(),
                size: file.size,
                crc32c: sum,
            });
        }
        self.proof.check(shared).await?;
        if let Some(text) = manifest.text() {
            self.write(&shared.layout.manifest(key), text).await?;
        }
        for file in last {
            self.ensure(file, &there, &mut sent).await?;
        }
        self.proof.check(shared).await?;
        let descriptor = Descriptor::new(&self.handle.url(), shared.options.host.clone());
        let text = descriptor.to_string().into();
        self.write(&shared.layout.descriptor(key), text).await?;
        Ok(sent)
    }

    async fn destination(&self) -> Result<Destination, Error> {
        let (shared, key) = (self.shared, &self.key);
        let listed = match BucketPath::parse(&shared.layout.dir(key)) {
            Ok(dir) => shared.writer.list(&dir, MAX_OBJECTS).await?,
            Err(_) => Vec::new(),
        };
        let objects = listed.into_iter().map(|info| (info.key.clone(), info));
        Ok(Destination {
            objects: objects.collect(),
            evidence: match shared.health.was_wrong(key) {
                true => Evidence::Bytes,
                false => Evidence::Checksum,
            },
        })
    }

    /// Sends a file, unless it is there; gives its checksum.
    async fn ensure(
        &self,
        file: &UploadFile,
        there: &Destination,
        sent: &mut u64,
    ) -> Result<u32, Error> {
        let sum = checksum(file).await?;
        let writer = &self.shared.writer;
        let at = self.shared.layout.file(&self.key, &file.name);
        let what = (file.size, sum);
        let condition = match there.objects.get(&at) {
            None => Precondition::Absent,
            Some(info) if writer.holds(info, what, there.evidence).await? => return Ok(sum),
            Some(info) => Precondition::Version(info.version.clone()),
        };
        let local = VerifiedRead::new(file, sum);
        match writer.send(&at, &local, what, &condition).await {
            Ok(PutOutcome::Stored(_)) => {
                *sent += file.size;
                Ok(sum)
            }
            Ok(PutOutcome::Conflict) => Err(Error::Overtaken { object: at }),
            Err(error) => Err(match local.flaw() {
                Some(why) => damaged(file, why),
                None => error.into(),
            }),
        }
    }

    /// Writes a small text, whatever was there before.
    async fn write(&self, key: &str, text: Bytes) -> Result<(), Error> {
        let writer = &self.shared.writer;
        let absent = Precondition::Absent;
        if let PutOutcome::Stored(_) = writer.put(key, text.clone(), &absent).await? {
            return Ok(());
        }
        let there = writer.read(key).await?;
        let condition = there.map_or(absent, |there| Precondition::Version(there.version));
        match writer.put(key, text, &condition).await? {
            PutOutcome::Stored(_) => Ok(()),
            PutOutcome::Conflict => Err(Error::Overtaken {
                object: key.to_owned(),
            }),
        }
    }
}

/// What makes a directory a model comes when everything else is there, and in this order.
fn rank(file: &UploadFile) -> Option<u8> {
    match file.name.as_str() {
        "tfhub_module.pb" => Some(0),
        "saved_model.pb" | "saved_model.pbtxt" => Some(1),
        _ => None,
    }
}

async fn checksum(file: &UploadFile) -> Result<u32, Error> {
    if let Some(sum) = file.crc32c {
        return Ok(sum);
    }
    let (mut at, mut sum) = (0, Crc32c::default());
    while at < file.size {
        let end = file.size.min(at + SUMMED);
        let read = file.from.read(at..end).await;
        let bytes = read.map_err(|why| damaged(file, why.to_string()))?;
        sum.update(&bytes);
        at = end;
    }
    Ok(sum.value())
}

fn damaged(file: &UploadFile, why: String) -> Error {
    Error::Damaged {
        file: file.name.clone(),
        why,
    }
}
