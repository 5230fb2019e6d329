//! Reading a handle list.

use std::fmt::Display;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::handle::{BadLine, HandleList, Names};
use crate::os::fs::Stamp;

/// No list that people write is larger.
const MAX_SIZE: u64 = 32 << 20;

/// How much of a bad line's reason is shown; the line may have megabytes.
const LONGEST: usize = 1000;

/// How many bad lines are shown.
const SHOWN: usize = 10;

/// Why a handle list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read, has bad lines, or lies inside a mount; the text names the file and the lines.
    #[error("{0}")]
    Unusable(String),
    /// `/proc/self/mountinfo` cannot be read.
    #[error(transparent)]
    Mountinfo(io::Error),
}

impl Error {
    /// Whether the file that was named is at fault.
    pub fn is_usage(&self) -> bool {
        matches!(self, Error::Unusable(_))
    }
}

/// Reads a handle list once, with or without marks; `-` is standard input.
///
/// # Errors
///
/// [`Error::Unusable`].
pub fn read(path: &Path, names: &Names) -> Result<HandleList, Error> {
    if path != Path::new("-") {
        return load(path, names).map(|(_, list)| list);
    }
    let bytes = limited(io::stdin().lock()).map_err(|error| cannot(path, &error))?;
    parse(path, bytes, names)
}

/// The file's content, and the stamp that it had before it was read: a later change is seen by the next look.
pub(super) fn load(path: &Path, names: &Names) -> Result<(Stamp, HandleList), Error> {
    let (stamp, bytes) = bytes(path).map_err(|error| cannot(path, &error))?;
    Ok((stamp, parse(path, bytes, names)?))
}

fn cannot(path: &Path, why: &dyn Display) -> Error {
    Error::Unusable(format!("cannot read {}: {why}", path.display()))
}

fn parse(path: &Path, bytes: Vec<u8>, names: &Names) -> Result<HandleList, Error> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
        Error::Unusable(format!("{}:{line}: not UTF-8", path.display()))
    })?;
    HandleList::parse(&text, names).map_err(|bad| Error::Unusable(shown(path, &bad)))
}

fn bytes(path: &Path) -> io::Result<(Stamp, Vec<u8>)> {
    let mut options = std::fs::File::options();
    // A FIFO would hold the open until somebody writes.
    let file = options
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a plain file"));
    }
    Ok((Stamp::of(&metadata), limited(file)?))
}

fn limited(file: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_SIZE + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MAX_SIZE {
        true => Err(io::Error::other("larger than 32 MiB")),
        false => Ok(bytes),
    }
}

/// Bad lines in the form that compilers use: `FILE:LINE: why`.
fn shown(path: &Path, bad: &[BadLine]) -> String {
    let path = path.display();
    let lines = bad.iter().take(SHOWN);
    let mut shown: Vec<String> = lines
        .map(|line| {
            let why = line.why.to_string();
            let why: String = why.chars().take(LONGEST).collect();
            format!("{path}:{}: {why}", line.number)
        })
        .collect();
    if bad.len() > SHOWN {
        shown.push(format!("{path}: and {} more bad lines", bad.len() - SHOWN));
    }
    shown.join("\n")
}
