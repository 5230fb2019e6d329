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

use crate::handle::Key;
use crate::store::{self, Cache};

pub use import::{Carried, import};

/// A model could not be carried.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not complete here.
    #[error("{0} is not complete in this cache; fetch it first (tfhub-fs prefetch)")]
    Absent(String),
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
    /// The archive breaks a rule that holds for archives from the network.
    #[error("this file cannot be unpacked: {0}")]
    Archive(String),
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
    Store(#[from] store::Error),
}

/// Writes a complete model behind those that were written before. Returns how many bytes its files have.
///
/// # Errors
///
/// It is not complete, or damaged; the disk or the output failed.
pub fn export<W: Write>(cache: &Cache, key: &Key, out: &mut Builder<W>) -> Result<u64, Error> {
    let whole = cache.whole(key)?;
    let (manifest, sealed) = whole.ok_or_else(|| Error::Absent(key.to_string()))?;
    let writing = |why| Error::Io {
        what: "write the models",
        why,
    };
    let text = manifest.to_json();
    append(
        out,
        &format!("{key}.json"),
        text.len() as u64,
        UNIX_EPOCH,
        &text[..],
    )
    .map_err(writing)?;
    for file in manifest.files() {
        let reading = |why| Error::Io {
            what: "read a model",
            why,
        };
        let mut body = Checked {
            from: sealed.open(file.path).map_err(reading)?,
            crc32c: 0,
        };
        let name = format!("{key}/{}", file.path);
        append(out, &name, file.size, file.mtime, &mut body).map_err(writing)?;
        if file.crc32c.is_some_and(|known| known != body.crc32c) {
            return Err(Error::Damaged {
                handle: manifest.handle.clone(),
                name: file.path.to_owned(),
            });
        }
    }
    Ok(manifest.bytes())
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
    crc32c: u32,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.from.read(buffer)?;
        self.crc32c = crc32c::crc32c_append(self.crc32c, buffer.get(..len).unwrap_or_default());
        Ok(len)
    }
}
