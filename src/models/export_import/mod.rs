//! Models on their way to hosts without a network: a tar of complete models, each behind its manifest.
//!
//! ```text
//! <sha1>.json       the manifest: handle, names, sizes, checksums
//! <sha1>/<path>     the files
//! ```
//!
//! Such a file comes from anywhere: it is unpacked like an archive from the network, and a model is kept only if every name, size
//! and checksum is what its manifest says, which is itself about the handle that the directory is named after.

mod import;
#[cfg(test)]
mod tests;

use std::io::{self, Read, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use tar::{Builder, Header};

use crate::cache::{self, Cache, Manifest, Sealed, Unready};
use crate::checksum::Crc32c;
use crate::handle::Key;

pub use import::import;

/// A model could not be carried.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not here.
    #[error("{0} is not complete in this cache; fetch it first (tfhub-fs prefetch)")]
    Absent(String),
    /// It is not as it was.
    #[error("{handle} is damaged: {why}; fetch it again (tfhub-fs prefetch)")]
    Flawed {
        /// The model.
        handle: String,
        /// What is wrong with it.
        why: String,
    },
    /// Its bytes are not what they were.
    #[error(
        "{handle}: {name:?} has other bytes than when the model was complete; run tfhub-fs cache verify"
    )]
    Damaged {
        /// The model.
        handle: String,
        /// The file.
        name: String,
    },
    /// No other host could tell whose it is.
    #[error("nobody knows the handle of {0}: its descriptor is missing, or lies")]
    Nameless(String),
    /// Neither end may break off.
    #[error("cannot {what}: {why}")]
    Io {
        /// Which end.
        what: &'static str,
        /// What the kernel said.
        why: io::Error,
    },
    /// The file is not one that `cache export` writes.
    #[error("this is not what tfhub-fs cache export writes: {0}")]
    Odd(String),
    /// The file is one, and has been damaged on its way.
    #[error("the file is damaged: {0}; copy it again, or export again")]
    Torn(String),
    /// A model in the file did not arrive.
    #[error("{handle}: {why}; nothing of it is kept")]
    Model {
        /// The model.
        handle: String,
        /// What is wrong with it.
        why: String,
    },
    /// Somebody fills the model just now.
    #[error("{handle} is being fetched by {who}; try again")]
    Busy {
        /// The model.
        handle: String,
        /// By whom.
        who: String,
    },
    /// The cache failed.
    #[error(transparent)]
    Store(#[from] cache::Error),
}

/// A model that was looked at, and can be written.
#[derive(Debug)]
pub struct Ready {
    key: Key,
    manifest: Manifest,
    sealed: Sealed,
}

impl Ready {
    /// Looks at a model; one that somebody has touched is read, and mended where that takes nothing but the disk. `typed` is
    /// what the user calls it: it counts where the cache does not know whose it is.
    ///
    /// # Errors
    ///
    /// It is not here, damaged, or being looked at by somebody else; the disk failed.
    pub fn look(cache: &Cache, key: &Key, typed: &str) -> Result<Ready, Error> {
        let handle = || typed.to_owned();
        let (mut manifest, sealed) =
            cache::Integrity::of(cache)
                .ready(key)?
                .map_err(|why| match why {
                    Unready::Absent => Error::Absent(handle()),
                    Unready::Flawed(why) => Error::Flawed {
                        handle: handle(),
                        why,
                    },
                    Unready::Busy => Error::Busy {
                        handle: handle(),
                        who: String::from("another process"),
                    },
                })?;
        if manifest.handle.is_empty() && Key::of(typed) == *key {
            manifest.handle = handle();
        }
        if manifest.handle.is_empty() {
            return Err(Error::Nameless(handle()));
        }
        Ok(Ready {
            key: *key,
            manifest,
            sealed,
        })
    }

    /// Whose it is.
    pub fn handle(&self) -> &str {
        &self.manifest.handle
    }

    /// Writes it behind those that were written before. Returns how many bytes its files have.
    ///
    /// # Errors
    ///
    /// It has left meanwhile, or is damaged; the disk or the output failed.
    pub fn export<W: Write>(&self, out: &mut Builder<W>) -> Result<u64, Error> {
        let reading = |why| Error::Io {
            what: "read a model",
            why,
        };
        // Whoever takes it in has nothing else to judge its bytes by.
        let manifest = self.manifest.clone().with_checksums(&self.sealed);
        let (key, manifest) = (&self.key, manifest.map_err(reading)?);
        let writing = |why| Error::Io {
            what: "write the models",
            why,
        };
        let text = manifest.to_json();
        let name = format!("{key}.json");
        append(out, &name, text.len() as u64, UNIX_EPOCH, &text[..]).map_err(writing)?;
        for file in manifest.files() {
            let mut body = Checked {
                from: self.sealed.open(file.path).map_err(reading)?,
                sum: Crc32c::default(),
            };
            let name = format!("{key}/{}", file.path);
            append(out, &name, file.size, file.mtime, &mut body).map_err(writing)?;
            // Another length would also have torn the file that is written.
            let is_other = file.crc32c.is_some_and(|known| known != body.sum.value());
            if is_other || body.sum.bytes() != file.size {
                return Err(Error::Damaged {
                    handle: manifest.handle.clone(),
                    name: file.path.to_owned(),
                });
            }
        }
        Ok(manifest.bytes())
    }
}

fn append<W: Write>(
    out: &mut Builder<W>,
    name: &str,
    size: u64,
    mtime: SystemTime,
    body: impl Read,
) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    let since = mtime.duration_since(UNIX_EPOCH).unwrap_or_default();
    header.set_mtime(since.as_secs());
    out.append_data(&mut header, name, body)
}

struct Checked<R> {
    from: R,
    sum: Crc32c,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.from.read(buffer)?;
        self.sum.update(buffer.get(..len).unwrap_or_default());
        Ok(len)
    }
}
