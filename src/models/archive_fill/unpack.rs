//! One archive becomes one sealed model.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::{Buf, Bytes};
use futures_util::{StreamExt, TryStreamExt};
use tokio::sync::mpsc;

use crate::archive::{self, Name};
use crate::cache::{self, Filling, Lead, Sealed, Writer};
use crate::handle::Handle;
use crate::models::progress::Transfer;
use crate::models::{Error, Shared};
use crate::source::{self, Archive, Bytestream};

/// Chunks in flight between the network and the unpacking thread (each up to a few hundred KiB).
const IN_FLIGHT: usize = 16;

/// A fill that has failed: why, and the lead unless sealing has used it up. Whoever gets it tells the readers of the
/// filling and drops the lead, in this order: a dropped lead has no better reason to give them than that it is gone.
pub(super) struct Unfilled {
    pub error: Error,
    pub lead: Option<Lead>,
}

/// What is to be fetched, and who counts what has come.
pub(super) struct Order {
    pub shared: Arc<Shared>,
    pub handle: Handle,
    pub archive: Archive,
    pub transfer: Arc<Transfer>,
}

/// Fetches, unpacks, verifies and seals one model.
pub(super) async fn run(order: Order, mut lead: Lead) -> Result<Arc<Sealed>, Unfilled> {
    let handle = order.handle.clone();
    let archive = &order.archive;
    lead.comes_from(&archive.shown());
    let started = std::time::Instant::now();
    let result = match fill(order, lead.filling()).await {
        Ok(()) => seal(&handle, lead).await,
        Err(error) => Err(Unfilled {
            error,
            lead: Some(lead),
        }),
    };
    match &result {
        Ok(sealed) => tracing::info!(
            model = %handle,
            bytes = sealed.bytes(),
            seconds = started.elapsed().as_secs_f32(),
            "the model is complete and verified"
        ),
        Err(Unfilled { error, .. }) => {
            tracing::error!(model = %handle, %error, "the model could not be fetched; the next open tries again");
        }
    }
    result
}

/// Everything up to the last verified byte.
async fn fill(order: Order, filling: Arc<Filling>) -> Result<(), Error> {
    let Order {
        shared,
        handle,
        archive,
        transfer,
    } = order;
    let (chunks, inbox) = mpsc::channel(IN_FLIGHT);
    let limits = shared.options.limits.clone();
    let unpacking = tokio::task::spawn_blocking(move || {
        let mut sink = FillingSink {
            filling,
            writer: None,
        };
        archive::unpack(Inbox::new(inbox), &limits, &mut sink)?;
        // Only now: after an archive that broke off, a name that is missing is not a name that does not exist.
        sink.filling.names_known();
        Ok(())
    });
    let body = archive.bytes(&shared.client, &handle);
    let body = body.inspect_ok(move |bytes| transfer.add(bytes.len() as u64));
    let fetched = pump(body.boxed(), chunks).await;
    let unpacked = unpacking.await.map_err(|_| lost(&handle))?;
    // A broken transfer also breaks the archive: the transfer is the cause to tell.
    let verified = fetched.map_err(Error::Source)?;
    unpacked.map_err(|error| refused(&handle, error))?;
    // Unpacking reads to the end of its input, so this holds; nothing is sealed if ever it should not.
    if verified { Ok(()) } else { Err(lost(&handle)) }
}

async fn seal(handle: &Handle, lead: Lead) -> Result<Arc<Sealed>, Unfilled> {
    let error = match tokio::task::spawn_blocking(move || lead.seal()).await {
        Ok(Ok(sealed)) => return Ok(Arc::new(sealed)),
        Ok(Err(cause)) => stored(handle, cause),
        Err(_) => lost(handle),
    };
    Err(Unfilled { error, lead: None })
}

/// Moves the body to the unpacking thread: `true` once all of it was moved and verified, `false` when that thread has
/// stopped listening, which ends the transfer at once.
async fn pump(mut body: Bytestream, chunks: mpsc::Sender<Chunk>) -> Result<bool, source::Error> {
    loop {
        let chunk = tokio::select! {
            chunk = body.try_next() => chunk?,
            () = chunks.closed() => return Ok(false),
        };
        let Some(bytes) = chunk else {
            let _ = chunks.send(Chunk::End).await;
            return Ok(true);
        };
        if chunks.send(Chunk::Bytes(bytes)).await.is_err() {
            return Ok(false);
        }
    }
}

fn refused(handle: &Handle, error: archive::Error<cache::Error>) -> Error {
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

fn stored(handle: &Handle, cause: cache::Error) -> Error {
    // Sealing has told the readers already, and gives what it told them.
    let cause = match cause {
        cache::Error::Failed(why) => why,
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
    fn writer(&mut self) -> Result<&mut Writer, cache::Error> {
        self.writer.as_mut().ok_or(cache::Error::Abandoned)
    }
}

impl archive::Sink for FillingSink {
    type Error = cache::Error;

    fn dir(&mut self, path: &Name, mtime: SystemTime) -> Result<(), cache::Error> {
        self.filling.dir(path.as_str(), mtime)
    }

    fn file(&mut self, path: &Name, size: u64, mtime: SystemTime) -> Result<(), cache::Error> {
        self.writer = Some(self.filling.file(path.as_str(), size, mtime)?);
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), cache::Error> {
        self.writer()?.write(bytes)
    }

    fn hole(&mut self, length: u64) -> Result<(), cache::Error> {
        self.writer()?.hole(length)
    }

    fn end(&mut self) -> Result<(), cache::Error> {
        match self.writer.take() {
            Some(writer) => writer.end(),
            None => Err(cache::Error::Abandoned),
        }
    }
}
