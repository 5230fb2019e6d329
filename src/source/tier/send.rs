//! How a model is sent: everything else, the manifest, saved_model.pb, the descriptor. Whoever dies in between leaves nothing
//! that anybody takes for a model, and what it has sent is not sent again.

use std::collections::HashMap;

use bytes::Bytes;

use super::checked::Checked;
use super::claim::{Held, Ours};
use super::layout;
use super::manifest::{File, Manifest};
use super::{Look, Outcome, Tier, Unsent, Upload};
use crate::checksum::Crc32c;
use crate::handle::{BucketPath, Handle, Key};
use crate::source::Error;
use crate::source::bucket::{Known, Only, Put, Trust};

/// Objects that may lie where a model is to go.
const MAX_OBJECTS: u64 = 200_000;

/// Read at once to compute a checksum.
const SUMMED: u64 = 4 << 20;

/// What lies where a model is to go.
struct There {
    objects: HashMap<String, Known>,
    trust: Trust,
}

impl Tier {
    /// Sends what is missing, as long as the lock is ours.
    pub(super) async fn send(
        &self,
        handle: &Handle,
        files: impl Future<Output = Option<Vec<Upload>>>,
        mut held: Held,
    ) -> Result<Outcome, Unsent> {
        let ours = held.ours();
        let sent = tokio::select! {
            sent = self.send_files(handle, files, &ours) => sent,
            error = held.keep(&self.shared) => Err(error.into()),
        };
        held.release(&self.shared).await;
        match &sent {
            Ok(Outcome::Gone) => {}
            Ok(_) => self.shared.fates.is_uploaded(&handle.key()),
            Err(Unsent::Bucket(error)) => self.is_late(error),
            Err(Unsent::Damaged { .. }) => {}
        }
        sent
    }

    async fn send_files(
        &self,
        handle: &Handle,
        files: impl Future<Output = Option<Vec<Upload>>>,
        ours: &Ours,
    ) -> Result<Outcome, Unsent> {
        let Some(files) = files.await else {
            return Ok(Outcome::Gone);
        };
        match self.take_down(handle).await? {
            true => Ok(Outcome::There),
            false => {
                let sent = self.send_all(handle, &files, ours).await?;
                Ok(Outcome::Sent(sent))
            }
        }
    }

    /// Takes the descriptor of a copy away that is to be mended, so that nobody takes it for a model meanwhile. True if
    /// there is nothing to mend: somebody has come to an end before the lock was ours.
    async fn take_down(&self, handle: &Handle) -> Result<bool, Error> {
        let (shared, key) = (&self.shared, handle.key());
        let at = shared.layout.descriptor(&key);
        let Some(descriptor) = shared.writer.read(&at).await? else {
            return Ok(false);
        };
        if let Look::Whole(copy) = self.look(handle).await?
            && !shared.fates.is_wrong(&key, &copy)
        {
            return Ok(true);
        }
        let removed = shared.writer.remove(&at, &descriptor.version).await?;
        if !removed && shared.writer.read(&at).await?.is_some() {
            return Err(overtaken(&at));
        }
        Ok(false)
    }

    async fn send_all(
        &self,
        handle: &Handle,
        files: &[Upload],
        ours: &Ours,
    ) -> Result<u64, Unsent> {
        let (shared, key) = (&self.shared, handle.key());
        let there = self.there(&key).await?;
        let mut last: Vec<&Upload> = files.iter().filter(|file| rank(file).is_some()).collect();
        last.sort_by_key(|file| rank(file));
        let mut sent = 0;
        let mut manifest = Manifest {
            handle: handle.url(),
            files: Vec::new(),
        };
        for file in files {
            let sum = match rank(file) {
                None => self.ensure(file, &key, &there, &mut sent).await?,
                // Their checksums are in the manifest, which comes first.
                Some(_) => checksum(file).await?,
            };
            manifest.files.push(File {
                name: file.name.clone(),
                size: file.size,
                crc32c: sum,
            });
        }
        ours.check(shared).await?;
        if let Some(text) = manifest.text() {
            self.write(&shared.layout.manifest(&key), text).await?;
        }
        for file in last {
            self.ensure(file, &key, &there, &mut sent).await?;
        }
        ours.check(shared).await?;
        let text = layout::descriptor(&handle.url(), &shared.options.host);
        self.write(&shared.layout.descriptor(&key), text.into())
            .await?;
        Ok(sent)
    }

    async fn there(&self, key: &Key) -> Result<There, Error> {
        let shared = &self.shared;
        let listed = match BucketPath::parse(&shared.layout.dir(key)) {
            Ok(dir) => shared.writer.below(&dir, MAX_OBJECTS).await?,
            Err(_) => Vec::new(),
        };
        let objects = listed
            .into_iter()
            .map(|known| (known.key.clone(), known))
            .collect();
        let trust = match shared.fates.was_wrong(key) {
            true => Trust::Bytes,
            false => Trust::Told,
        };
        Ok(There { objects, trust })
    }

    /// Sends a file, unless it is there; gives its checksum.
    async fn ensure(
        &self,
        file: &Upload,
        key: &Key,
        there: &There,
        sent: &mut u64,
    ) -> Result<u32, Unsent> {
        let sum = checksum(file).await?;
        let (writer, at) = (
            &self.shared.writer,
            self.shared.layout.file(key, &file.name),
        );
        let what = (file.size, sum);
        let only = match there.objects.get(&at) {
            None => Only::New,
            Some(known) if writer.holds(known, what, there.trust).await? => return Ok(sum),
            Some(known) => Only::Instead(known.version.clone()),
        };
        let local = Checked::new(file, sum);
        match writer.send(&at, &local, what, &only).await {
            Ok(Put::Done(_)) => {
                *sent += file.size;
                Ok(sum)
            }
            Ok(Put::Refused) => Err(overtaken(&at).into()),
            Err(error) => Err(match local.flaw() {
                Some(why) => damaged(file, why),
                None => error.into(),
            }),
        }
    }

    /// Writes a small text, whatever was there before.
    async fn write(&self, key: &str, text: Bytes) -> Result<(), Error> {
        let writer = &self.shared.writer;
        if let Put::Done(_) = writer.put(key, text.clone(), &Only::New).await? {
            return Ok(());
        }
        let there = writer.read(key).await?;
        let only = there.map_or(Only::New, |there| Only::Instead(there.version));
        match writer.put(key, text, &only).await? {
            Put::Done(_) => Ok(()),
            Put::Refused => Err(overtaken(key)),
        }
    }
}

/// What makes a directory a model comes when everything else is there, and in this order.
fn rank(file: &Upload) -> Option<u8> {
    match file.name.as_str() {
        "tfhub_module.pb" => Some(0),
        "saved_model.pb" | "saved_model.pbtxt" => Some(1),
        _ => None,
    }
}

async fn checksum(file: &Upload) -> Result<u32, Unsent> {
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

fn damaged(file: &Upload, why: String) -> Unsent {
    Unsent::Damaged {
        file: file.name.clone(),
        why,
    }
}

fn overtaken(key: &str) -> Error {
    Error::Failed {
        model: key.to_owned(),
        why: String::from("its upload was ended, or somebody else has written it meanwhile"),
        advice: String::from("whoever fetches the model next goes on from here"),
    }
}
