//! The upload of a model that this host has fetched: everything else, the manifest, saved_model.pb, the descriptor. Whoever
//! dies in between leaves nothing that anybody takes for a model, and what it has sent is not sent again.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::claim::{self, Claim, Held, Watch};
use super::layout;
use super::manifest::{File, Manifest};
use super::{Look, Tier};
use crate::handle::{BucketPath, Handle};
use crate::source::Error;
use crate::source::bucket::{Known, Local, Only, Put};

/// Objects that may lie where a model is to go.
const MAX_OBJECTS: u64 = 200_000;

/// How long somebody else's upload is watched.
const WATCHED: Duration = Duration::from_secs(4 * 3600);

/// Read at once to compute a checksum.
const SUMMED: u64 = 4 << 20;

/// One file of a model on this host.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The path in the model.
    pub name: String,
    /// In bytes.
    pub size: u64,
    /// Checksum, if it is known.
    pub crc32c: Option<u32>,
    /// Reads it.
    pub from: Arc<dyn Local>,
}

/// What has come of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The model was there already.
    There,
    /// So many bytes were sent, and now it is there.
    Sent(u64),
    /// Somebody else has not come to an end for hours.
    Theirs,
}

/// An upload that is under way as long as this lives.
#[derive(Debug)]
pub struct UnderWay(Tier);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.shared.under_way.fetch_sub(1, Ordering::SeqCst);
        self.0.shared.ended.notify_waiters();
    }
}

impl Tier {
    /// Says that an upload is to come, which [`Tier::settled`] waits for.
    pub fn begin(&self) -> UnderWay {
        self.shared.under_way.fetch_add(1, Ordering::SeqCst);
        UnderWay(self.clone())
    }

    /// Sees to it that the model is in the bucket: sends it, unless it is there or somebody else sends it.
    pub async fn publish(
        &self,
        handle: &Handle,
        files: Vec<Upload>,
        under_way: UnderWay,
    ) -> Result<Outcome, Error> {
        let mut under_way = Some(under_way);
        let (mut watch, begun) = (Watch::default(), Instant::now());
        loop {
            let turn = self.shared.turns.acquire().await;
            match self.look(handle).await? {
                Look::Whole(_) => return Ok(Outcome::There),
                Look::Absent | Look::Torn(_) => {}
            }
            if let Claim::Ours(held) = claim::claim(&self.shared, &handle.key(), &mut watch).await?
            {
                let _under_way = under_way.take().unwrap_or_else(|| self.begin());
                let sent = self.send(handle, &files, held).await;
                self.shared.models.lock().pop(&handle.key());
                return sent.map(Outcome::Sent);
            }
            // Somebody else's upload is not waited for by whoever wants to end.
            drop((turn, under_way.take()));
            if begun.elapsed() > WATCHED {
                return Ok(Outcome::Theirs);
            }
            tokio::time::sleep(self.shared.options.look).await;
        }
    }

    /// Sends what is missing, as long as the lock is ours.
    async fn send(&self, handle: &Handle, files: &[Upload], mut held: Held) -> Result<u64, Error> {
        let sent = tokio::select! {
            sent = self.send_all(handle, files) => sent,
            error = held.keep(&self.shared) => Err(error),
        };
        held.release(&self.shared).await;
        sent
    }

    async fn send_all(&self, handle: &Handle, files: &[Upload]) -> Result<u64, Error> {
        let (shared, key) = (&self.shared, handle.key());
        let at = shared.layout.dir(&key);
        let there = match BucketPath::parse(&at) {
            Ok(dir) => shared.writer.below(&dir, MAX_OBJECTS).await?,
            Err(_) => Vec::new(),
        };
        let there: HashMap<String, Known> = there
            .into_iter()
            .map(|known| (known.key.clone(), known))
            .collect();
        let (models, others): (Vec<_>, Vec<_>) = files.iter().partition(|file| is_model(file));
        let mut sent = 0;
        let mut manifest = Manifest {
            handle: handle.url(),
            files: Vec::new(),
        };
        for file in others {
            let place = shared.layout.file(&key, &file.name);
            let sum = self.ensure(file, &place, &there, &mut sent).await?;
            manifest.files.push(listed(file, sum));
        }
        // Their checksums are in the manifest, which comes first.
        let mut last = Vec::new();
        for file in models {
            let sum = checksum(file).await?;
            manifest.files.push(listed(file, sum));
            last.push(Upload {
                crc32c: Some(sum),
                ..file.clone()
            });
        }
        if let Some(text) = manifest.text() {
            self.write(&shared.layout.manifest(&key), text).await?;
        }
        for file in &last {
            let place = shared.layout.file(&key, &file.name);
            self.ensure(file, &place, &there, &mut sent).await?;
        }
        let text = layout::descriptor(&handle.url(), &shared.options.host);
        self.write(&shared.layout.descriptor(&key), text.into())
            .await?;
        Ok(sent)
    }

    /// Sends a file, unless it is there; gives its checksum.
    async fn ensure(
        &self,
        file: &Upload,
        key: &str,
        there: &HashMap<String, Known>,
        sent: &mut u64,
    ) -> Result<u32, Error> {
        let sum = checksum(file).await?;
        let only = match there.get(key) {
            None => Only::New,
            Some(known) => {
                let told = match known.crc32c {
                    Some(told) => Some(told),
                    None if known.size == file.size => {
                        let asked = self.shared.writer.known(key).await?;
                        asked
                            .filter(|asked| asked.version == known.version)
                            .and_then(|asked| asked.crc32c)
                    }
                    None => None,
                };
                if known.size == file.size && told == Some(sum) {
                    return Ok(sum);
                }
                Only::Instead(known.version.clone())
            }
        };
        let writer = &self.shared.writer;
        let put = writer
            .send(key, &*file.from, (file.size, sum), &only)
            .await?;
        match put {
            Put::Done(_) => {
                *sent += file.size;
                Ok(sum)
            }
            Put::Refused => Err(overtaken(key)),
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

/// What makes a directory a model: it comes when everything else is there.
fn is_model(file: &Upload) -> bool {
    matches!(
        file.name.as_str(),
        "saved_model.pb" | "saved_model.pbtxt" | "tfhub_module.pb"
    )
}

fn listed(file: &Upload, crc32c: u32) -> File {
    File {
        name: file.name.clone(),
        size: file.size,
        crc32c,
    }
}

async fn checksum(file: &Upload) -> Result<u32, Error> {
    if let Some(sum) = file.crc32c {
        return Ok(sum);
    }
    let (mut at, mut sum) = (0, 0);
    while at < file.size {
        let end = file.size.min(at + SUMMED);
        let bytes = file.from.read(at..end).await.map_err(|why| Error::Failed {
            model: file.name.clone(),
            why: format!("the local copy cannot be read: {why}"),
            advice: String::from("the local copy may be damaged"),
        })?;
        sum = crc32c::crc32c_append(sum, &bytes);
        at = end;
    }
    Ok(sum)
}

fn overtaken(key: &str) -> Error {
    Error::Failed {
        model: key.to_owned(),
        why: String::from("its upload was ended, or somebody else has written it meanwhile"),
        advice: String::from("whoever fetches the model next goes on from here"),
    }
}
