//! The bytes of an object: in memory, or in a file that is only read when they are sent.

use std::fs::File;
use std::io::{self, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

/// Bytes that are held or can be had.
#[derive(Debug, Clone)]
pub enum Body {
    Memory(Bytes),
    /// A part of a file.
    File {
        path: Arc<Path>,
        first: u64,
        end: u64,
    },
}

impl Body {
    /// The whole file at `path`.
    pub fn file(path: &Path) -> io::Result<Body> {
        let end = std::fs::metadata(path)?.len();
        let (path, first) = (Arc::from(path), 0);
        Ok(Body::File { path, first, end })
    }

    pub fn len(&self) -> u64 {
        match self {
            Body::Memory(bytes) => bytes.len() as u64,
            Body::File { first, end, .. } => end - first,
        }
    }

    /// The bytes from `from` to before `to`.
    pub fn slice(&self, from: u64, to: u64) -> Body {
        match self {
            Body::Memory(bytes) => Body::Memory(bytes.slice(from as usize..to as usize)),
            Body::File { path, first, .. } => Body::File {
                path: Arc::clone(path),
                first: first + from,
                end: first + to,
            },
        }
    }

    /// All of them.
    pub fn bytes(&self) -> Bytes {
        let read = self
            .open()
            .and_then(|open| open.read(0, self.len() as usize));
        read.unwrap()
    }

    pub fn open(&self) -> io::Result<Open> {
        Ok(match self {
            Body::Memory(bytes) => Open::Memory(bytes.clone()),
            Body::File { path, first, .. } => Open::File(File::open(path)?, *first),
        })
    }
}

/// A body that is being read.
pub enum Open {
    Memory(Bytes),
    /// Where it begins in the file.
    File(File, u64),
}

impl Open {
    /// Sends `len` bytes from `at` on, by way of `buffer`.
    pub fn send(
        &self,
        at: u64,
        len: usize,
        buffer: &mut Vec<u8>,
        mut to: &TcpStream,
    ) -> io::Result<()> {
        match self {
            Open::Memory(bytes) => to.write_all(&bytes[at as usize..][..len]),
            Open::File(file, first) => {
                buffer.resize(buffer.len().max(len), 0);
                file.read_exact_at(&mut buffer[..len], first + at)?;
                to.write_all(&buffer[..len])
            }
        }
    }

    /// `len` bytes from `at` on.
    pub fn read(&self, at: u64, len: usize) -> io::Result<Bytes> {
        match self {
            Open::Memory(bytes) => Ok(bytes.slice(at as usize..at as usize + len)),
            Open::File(file, first) => {
                let mut piece = vec![0; len];
                file.read_exact_at(&mut piece, first + at)?;
                Ok(piece.into())
            }
        }
    }
}
