//! One archive becomes one sealed model.
//!
//! ```text
//! fetch::Download --chunks--> [channel] --Read--> archive::unpack --files--> store::Filling --> sealed
//!      async task                                       one thread
//! ```
//!
//! The channel is short, so that memory stays flat whichever side is slower.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;

use super::model::Model;
use super::{Error, Shared};
use crate::archive::{self, Name};
use crate::fetch::{self, Download};
use crate::handle::Handle;
use crate::source::{self, Archive};
use crate::store::{self, Filling, Lead, Sealed, Writer};

/// Chunks in flight between the network and the unpacking thread (each up to a few hundred KiB).
const IN_FLIGHT: usize = 16;

/// Fetches, unpacks, verifies and seals one model; on failure every reader of the filling is told.
pub(super) async fn run(shared: &Arc<Shared>, model: &Model, archive: Archive, lead: Lead) {
    let started = std::time::Instant::now();
    let (handle, filling) = (model.handle(), lead.filling());
    let (result, lead) = match fill(shared, handle, archive, &lead).await {
        Ok(()) => (seal(handle, lead).await, None),
        Err(error) => (Err(error), Some(lead)),
    };
    // First: whoever is woken by the failure and opens again must not find this filling.
    model.filled(result.clone());
    match &result {
        Ok(sealed) => tracing::info!(
            model = %handle,
            bytes = sealed.bytes(),
            seconds = started.elapsed().as_secs_f32(),
            "the model is complete and verified"
        ),
        Err(error) => {
            tracing::error!(model = %handle, %error, "the model could not be fetched; the next open tries again");
            filling.fail(Arc::new(error.clone()));
        }
    }
    // Only now: a lead that goes fails its filling without a reason, and removes what may be many files.
    let _ = tokio::task::spawn_blocking(move || drop(lead)).await;
}

async fn fill(
    shared: &Arc<Shared>,
    handle: &Handle,
    archive: Archive,
    lead: &Lead,
) -> Result<(), Error> {
    let (chunks, inbox) = mpsc::channel(IN_FLIGHT);
    let limits = shared.options.limits.clone();
    let sink = FillingSink {
        filling: lead.filling(),
        writer: None,
    };
    let filling = lead.filling();
    let unpacking = tokio::task::spawn_blocking(move || {
        let mut sink = sink;
        let unpacked = archive::unpack(Inbox::new(inbox), &limits, &mut sink);
        if unpacked.is_ok() {
            filling.names_known();
        }
        unpacked
    });
    let download = shared.client.download(archive.resource);
    let fetched = pump(download, chunks).await;
    let unpacked = unpacking.await.map_err(|_| lost(handle))?;
    // A broken transfer also breaks the archive: the transfer is the cause to tell.
    if let Err(cause) = fetched {
        return Err(Error::Source(source::Error::explain(handle, &cause)));
    }
    unpacked.map_err(|error| refused(handle, error))?;
    Ok(())
}

async fn seal(handle: &Handle, lead: Lead) -> Result<Arc<Sealed>, Error> {
    let sealed = tokio::task::spawn_blocking(move || lead.seal())
        .await
        .map_err(|_| lost(handle))?
        .map_err(|cause| stored(handle, cause))?;
    Ok(Arc::new(sealed))
}

/// Moves the body to the unpacking thread; `Ok` also when that thread has stopped listening.
async fn pump(mut download: Download, chunks: mpsc::Sender<Chunk>) -> Result<(), fetch::Error> {
    loop {
        match download.chunk().await {
            Ok(Some(bytes)) => {
                if chunks.send(Chunk::Bytes(bytes)).await.is_err() {
                    return Ok(());
                }
            }
            Ok(None) => {
                let _ = chunks.send(Chunk::End).await;
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
}

fn refused(handle: &Handle, error: archive::Error<store::Error>) -> Error {
    match error {
        archive::Error::Sink(cause) => stored(handle, cause),
        // The channel closed early, and the transfer did not say why.
        archive::Error::Input(_) => lost(handle),
        archive::Error::Refused(cause) => Error::Archive {
            handle: handle.url(),
            cause: Arc::new(cause),
        },
    }
}

fn stored(handle: &Handle, cause: store::Error) -> Error {
    // Sealing has told the readers already, and gives what it told them.
    let cause = match cause {
        store::Error::Failed(why) => why,
        other => Arc::new(other),
    };
    Error::Store {
        handle: handle.url(),
        cause,
    }
}

fn lost(handle: &Handle) -> Error {
    Error::Lost {
        handle: handle.url(),
    }
}

enum Chunk {
    Bytes(Bytes),
    End,
}

/// The unpacking thread's end of the channel. A channel that closes without [`Chunk::End`] is a broken
/// transfer, and an error, because an archive may look complete when its tail is missing.
struct Inbox {
    chunks: mpsc::Receiver<Chunk>,
    current: Bytes,
    ended: bool,
}

impl Inbox {
    fn new(chunks: mpsc::Receiver<Chunk>) -> Inbox {
        Inbox {
            chunks,
            current: Bytes::new(),
            ended: false,
        }
    }
}

impl BufRead for Inbox {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() && !self.ended {
            match self.chunks.blocking_recv() {
                Some(Chunk::Bytes(bytes)) => self.current = bytes,
                Some(Chunk::End) => self.ended = true,
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        Ok(&self.current)
    }

    fn consume(&mut self, amount: usize) {
        self.current.advance(amount.min(self.current.len()));
    }
}

impl Read for Inbox {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(buffer.len());
        buffer[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}

/// The archive's files, written into the filling.
struct FillingSink {
    filling: Arc<Filling>,
    writer: Option<Writer>,
}

impl FillingSink {
    /// Between `file` and `end`, as the archive's contract has it, there is always one.
    fn writer(&mut self) -> Result<&mut Writer, store::Error> {
        self.writer.as_mut().ok_or(store::Error::Abandoned)
    }
}

impl archive::Sink for FillingSink {
    type Error = store::Error;

    fn dir(&mut self, path: &Name, mtime: SystemTime) -> Result<(), store::Error> {
        self.filling.dir(path.as_str(), mtime)
    }

    fn file(&mut self, path: &Name, size: u64, mtime: SystemTime) -> Result<(), store::Error> {
        self.writer = Some(self.filling.file(path.as_str(), size, mtime)?);
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), store::Error> {
        self.writer()?.write(bytes)
    }

    fn hole(&mut self, length: u64) -> Result<(), store::Error> {
        self.writer()?.hole(length)
    }

    fn end(&mut self) -> Result<(), store::Error> {
        match self.writer.take() {
            Some(writer) => writer.end(),
            None => Err(store::Error::Abandoned),
        }
    }
}
