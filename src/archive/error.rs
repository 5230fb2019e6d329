//! Why an archive was not unpacked: the input broke, the sink failed, or the archive was refused, and for what.

use std::fmt;
use std::io;

use super::format::{Format, Looks};
use super::limits::{MAX_EXTENSION, MAX_PADDING, MAX_SEGMENTS};
use super::name::BadName;

/// Why [`unpack`](super::unpack()) stopped. Only [`Error::Refused`] is the archive's fault.
#[derive(Debug, thiserror::Error)]
pub enum Error<E: std::error::Error + 'static> {
    /// The reader failed: a broken transfer, not a broken archive.
    #[error("could not read the archive")]
    Input(#[source] io::Error),
    /// The archive itself: trying again helps only if the origin offers other bytes.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The sink failed.
    #[error("could not keep what the archive holds")]
    Sink(#[source] E),
}

impl<E: std::error::Error + 'static> Error<E> {
    /// The refusal, if the archive was refused.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Error::Refused(refusal) => Some(refusal),
            Error::Input(_) | Error::Sink(_) => None,
        }
    }
}

/// What the layers below the sink can fail with.
#[derive(Debug)]
pub(super) enum Broken {
    Input(io::Error),
    Refused(Refusal),
}

pub(super) type Result<T, E = Broken> = std::result::Result<T, E>;

impl From<Refusal> for Broken {
    fn from(refusal: Refusal) -> Broken {
        Broken::Refused(refusal)
    }
}

impl<E: std::error::Error + 'static> From<Broken> for Error<E> {
    fn from(broken: Broken) -> Error<E> {
        match broken {
            Broken::Input(error) => Error::Input(error),
            Broken::Refused(refusal) => Error::Refused(refusal),
        }
    }
}

/// Where something was found: behind tar's end-of-archive marker, or behind the compressed stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the decompressed stream.
    Archive,
    /// In the compressed stream.
    Compressed,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Place::Archive => "the end of the archive",
            Place::Compressed => "the compressed stream",
        })
    }
}

/// Why an archive was refused. Names are shown escaped and shortened, offsets are in bytes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "the message of each variant says what its fields are"
)]
pub enum Refusal {
    #[error("this is no tar archive but {looks}{}; {}", inside(*.within), .looks.hint())]
    NotAnArchive {
        looks: Looks,
        within: Option<Format>,
    },
    #[error(
        "the {format} stream is damaged near byte {at} ({why}); the archive must be fetched again"
    )]
    Corrupt {
        format: Format,
        at: u64,
        why: String,
    },
    #[error(
        "the {format} stream ends at byte {at}, before its own end; the archive must be fetched again"
    )]
    Truncated { format: Format, at: u64 },
    #[error("the archive ends at byte {at} {} without tar's end-of-archive marker; it was cut short", within(.member))]
    CutShort { at: u64, member: Option<String> },
    #[error("something other than zeros follows {place}, at byte {at}")]
    JunkAfter { place: Place, at: u64 },
    #[error("more than {MAX_PADDING} zero bytes follow {place}")]
    PaddingTooLong { place: Place },
    #[error("the archive is empty: it holds no file and no directory")]
    Empty,
    #[error("the tar header at byte {at} is malformed: {why}")]
    BadHeader { at: u64, why: &'static str },
    #[error("the name {name} cannot be used: {why}")]
    BadName { name: String, why: BadName },
    #[error("{name} is a symbolic link (to {target}); models hold only files and directories")]
    SymbolicLink { name: String, target: String },
    #[error("{name} is a hard link (to {target}); models hold only files and directories")]
    HardLink { name: String, target: String },
    #[error("{name} is a device; models hold only files and directories")]
    Device { name: String },
    #[error("{name} is a fifo; models hold only files and directories")]
    Fifo { name: String },
    #[error("{name} is a tar member of the unknown type {:?}", char::from(*.typeflag))]
    UnknownType { name: String, typeflag: u8 },
    #[error("{name} is a file and a directory in the same archive")]
    FileAndDirectory { name: String },
    #[error("{name} lies below {parent}, which is a file in the same archive")]
    ParentIsFile { name: String, parent: String },
    #[error("the archive has more than {limit} members and directories (--max-archive-entries)")]
    TooManyEntries { limit: u64 },
    #[error("the names in the archive are longer than {limit} bytes together")]
    NamesTooLong { limit: u64 },
    #[error(
        "{name} claims {size} bytes, more than the {limit} that are allowed (--max-model-size)"
    )]
    FileTooLarge { name: String, size: u64, limit: u64 },
    #[error(
        "with {name} the archive unpacks to {total} bytes, more than the {limit} that are allowed (--max-model-size)"
    )]
    TotalTooLarge {
        name: String,
        total: u64,
        limit: u64,
    },
    #[error(
        "{compressed} compressed bytes became {decompressed}, more than {limit} for one (--max-archive-ratio): \
         this looks like a decompression bomb"
    )]
    RatioTooHigh {
        compressed: u64,
        decompressed: u64,
        limit: u64,
    },
    #[error("the xz stream wants more than {limit} bytes of memory; pack it with `xz -9` or less")]
    XzMemory { limit: u64 },
    #[error(
        "the {what} at byte {at} claims {size} bytes, more than the {MAX_EXTENSION} that are allowed"
    )]
    ExtensionTooLong {
        what: &'static str,
        at: u64,
        size: u64,
    },
    #[error("the sparse map of {name} has more than {MAX_SEGMENTS} segments")]
    SparseMapTooLong { name: String },
    #[error("the sparse map of {name} is malformed: {why}")]
    BadSparseMap { name: String, why: &'static str },
}

fn inside(format: Option<Format>) -> String {
    format.map_or_else(String::new, |format| format!(", {format}-compressed"))
}

fn within(member: &Option<String>) -> String {
    member
        .as_ref()
        .map_or_else(String::new, |name| format!("(within {name}) "))
}

/// Longest name shown in a message, in bytes of the original.
const SHOWN: usize = 160;

/// A name from the archive as it may be shown on a terminal: quoted, control characters escaped, shortened.
pub(super) fn shown(name: &[u8]) -> String {
    let cut = name.len() > SHOWN;
    let text = String::from_utf8_lossy(&name[..name.len().min(SHOWN)]);
    format!("{:?}{}", text, if cut { "..." } else { "" })
}
