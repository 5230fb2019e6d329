//! One version as an archive: how it is made, what is known of it, and where
//! its bytes are.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, SystemTime};

use super::confine::Root;
use super::digest::{Digests, Halt, Summing, digest_file};
use super::index::{Form, Suffix};
use super::pack::{Stop, pack};
use super::survey::{Stamp, Survey, survey};
use super::{Error, spool};

/// How long an answer waits for the hashes of a ready-made archive. Small ones have theirs by then; a large one is
/// sent without, rather than after a reading of the whole file.
const HASHED_WITHIN: Duration = Duration::from_millis(20);

/// One version, ready to be sent.
#[derive(Debug)]
pub struct Archive {
    bytes: Bytes,
    stamp: Stamp,
    digests: Arc<OnceLock<Digests>>,
    /// Bytes.
    pub len: u64,
    /// A strong entity tag, the same for as long as the bytes are.
    pub etag: String,
    /// When the model was last written.
    pub modified: SystemTime,
    /// How it is packed.
    pub suffix: Suffix,
}

#[derive(Debug)]
enum Bytes {
    Spooled(Arc<File>),
    Ready(PathBuf),
}

impl Archive {
    /// Bytes that it holds in the spool.
    pub fn spooled(&self) -> u64 {
        match self.bytes {
            Bytes::Spooled(_) => self.len,
            Bytes::Ready(_) => 0,
        }
    }

    /// The hashes; none while a large ready-made archive is still being read for them.
    pub fn digests(&self) -> Option<&Digests> {
        self.digests.get()
    }

    /// Opens the bytes that the digests speak of, and tells in which state they must stay. Waits for the disk.
    ///
    /// # Errors
    /// [`Error::Changed`] if a ready-made archive is another one by now.
    pub fn open(&self, root: &Root) -> Result<(Arc<File>, Option<Stamp>), Error> {
        match &self.bytes {
            Bytes::Spooled(file) => Ok((Arc::clone(file), None)),
            Bytes::Ready(path) => {
                let (file, stamp) = open_stamped(root, path)?;
                if stamp == self.stamp {
                    Ok((Arc::new(file), Some(stamp)))
                } else {
                    Err(Error::changed(path))
                }
            }
        }
    }
}

/// The state of a version on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// A directory.
    Tree(Survey),
    /// A ready-made archive.
    Ready(PathBuf, Suffix, Stamp),
}

fn open_stamped(root: &Root, path: &Path) -> Result<(File, Stamp), Error> {
    let file = root.open(path).map_err(|e| Error::read(path, e))?;
    let meta = file.metadata().map_err(|e| Error::read(path, e))?;
    Ok((file, Stamp::of(&meta)))
}

impl State {
    /// Looks at the disk, and opens nothing but directories.
    ///
    /// # Errors
    /// What cannot be read or must not be offered.
    pub fn of(root: &Root, form: &Form) -> Result<State, Error> {
        match form {
            Form::Tree(dir) => Ok(State::Tree(survey(root, dir)?)),
            Form::Ready(path, suffix) => {
                let meta = root.metadata(path).map_err(|e| Error::read(path, e))?;
                Ok(State::Ready(path.clone(), *suffix, Stamp::of(&meta)))
            }
        }
    }

    /// Packs or reads the version, which lies in `root`.
    ///
    /// # Errors
    /// [`Error::Changed`] if it is in another state by the end.
    pub fn prepare(&self, root: &Root, spool: &Path, halt: &Halt) -> Result<Archive, Error> {
        match self {
            State::Tree(seen) => {
                if let Some(missing) = seen.missing() {
                    let path = seen.dir.clone();
                    return Err(Error::Incomplete { path, missing });
                }
                let (file, digests) = packed(root, seen, spool, halt)?;
                if survey(root, &seen.dir)? != *seen {
                    return Err(Error::changed(&seen.dir));
                }
                let stamp = seen
                    .members
                    .first()
                    .map(|m| m.stamp)
                    .ok_or_else(|| Error::changed(&seen.dir))?;
                let (bytes, modified) = (Bytes::Spooled(Arc::new(file)), seen.modified());
                Ok(Archive {
                    bytes,
                    stamp,
                    len: digests.len,
                    etag: digests.etag(),
                    digests: Arc::new(OnceLock::from(digests)),
                    modified,
                    suffix: Suffix::TarGz,
                })
            }
            State::Ready(path, suffix, seen) => {
                let (file, stamp) = open_stamped(root, path)?;
                if stamp != *seen {
                    return Err(Error::changed(path));
                }
                Ok(Archive {
                    bytes: Bytes::Ready(path.clone()),
                    stamp,
                    len: stamp.len,
                    etag: stamp.etag(),
                    digests: hashed_aside(path, file, stamp, halt)?,
                    modified: stamp.modified(),
                    suffix: *suffix,
                })
            }
        }
    }
}

/// Reads a ready-made archive for its hashes, on a thread of its own; waits for a short one.
fn hashed_aside(
    path: &Path,
    file: File,
    seen: Stamp,
    halt: &Halt,
) -> Result<Arc<OnceLock<Digests>>, Error> {
    let digests = Arc::new(OnceLock::new());
    let (done, outcome) = mpsc::sync_channel(1);
    let (path, halt, found) = (path.to_owned(), halt.clone(), Arc::clone(&digests));
    thread::spawn(move || {
        let hashed = hash(&path, &file, seen, &halt).map(|digests| {
            let _ = found.set(digests);
        });
        let _ = done.send(hashed);
    });
    match outcome.recv_timeout(HASHED_WITHIN) {
        Ok(Err(error)) => Err(error),
        Ok(Ok(())) | Err(_) => Ok(digests),
    }
}

fn hash(path: &Path, file: &File, seen: Stamp, halt: &Halt) -> Result<Digests, Error> {
    let digests = digest_file(file, halt).map_err(|e| Error::read(path, e))?;
    // Looked at after the reading, so that a change in between shows.
    let stamp = Stamp::of(&file.metadata().map_err(|e| Error::read(path, e))?);
    if stamp == seen && digests.len == seen.len {
        Ok(digests)
    } else {
        Err(Error::changed(path))
    }
}

fn packed(root: &Root, seen: &Survey, spool: &Path, halt: &Halt) -> Result<(File, Digests), Error> {
    let fault = |source: io::Error| Error::Spool {
        dir: spool.to_owned(),
        source,
    };
    let file = spool::unlinked(spool).map_err(fault)?;
    let out = Summing::new(BufWriter::with_capacity(1 << 18, file), halt);
    let out = pack(root, seen, out).map_err(|stop| match stop {
        Stop::Model(error) => error,
        Stop::Output(source) => fault(source),
    })?;
    let (mut buffered, digests) = out.finish();
    buffered.flush().map_err(fault)?;
    let file = buffered.into_inner().map_err(|e| fault(e.into_error()))?;
    Ok((file, digests))
}
