//! An untrusted tar stream: compression told apart by content, vetted names, limits, every refusal a named error.
//!
//! ```text
//! BufRead -> Input -> Decoder -> Stream -> Members -> unpack -> Sink
//!            counts   gzip, ..   blocks    one file   names,
//!                                          at a time  limits
//! ```
//!
//! [`unpack()`] is synchronous and runs on a thread of its own. It hands every byte to the [`Sink`] as soon as it is
//! decompressed, from one buffer that is reused, and holds nothing of a file back. It returns `Ok` only when
//! the compressed input was read to its end and every check in it held: checksums, trailers, tar's end-of-archive
//! marker, and nothing but zeros behind it. Until then the sink's bytes are not verified.
//!
//! What is accepted is what Python's `tarfile` reads in stream mode, because that is what tensorflow_hub uses, with
//! these wanted differences: multi-member archives are read whole; a flipped bit, a cut and junk behind the archive
//! are refused; a file may come before its directory; an empty archive is refused; a file may be called `..foo`; a
//! member whose name is given twice, or that is a file here and a directory there, is refused.
//!
//! Memory is bounded whatever the input says: the buffer, one extension record of [`limits::MAX_EXTENSION`], one
//! sparse map of [`limits::MAX_SEGMENTS`], and sixteen bytes for each of [`Limits::max_entries`] names.
//!
//! What is left to others: where bytes come from (`fetch`), where they go (`cache`), whether the model is a
//! SavedModel at all (`models`).

mod decode;
mod error;
mod format;
mod header;
mod input;
pub mod limits;
mod member;
mod name;
mod pax;
mod seen;
mod sniff;
mod sparse;
mod stream;
mod unpack;

#[cfg(test)]
mod tests;

pub use error::{Error, Refusal};
pub use limits::Limits;
pub use name::Name;
pub use unpack::{Sink, unpack};
