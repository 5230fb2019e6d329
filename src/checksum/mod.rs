//! Checksums of bytes as they pass, and of files.
//!
//! [`Crc32c`] adds up one CRC-32C; [`Hashes`] are the checksums that an origin announces, and [`Verifier`] compares a body
//! with them. Nothing here opens a file or knows where bytes come from.

mod crc32c;
mod hashes;
mod verify;

pub use crc32c::{Crc32c, crc32c};
pub use hashes::Hashes;
pub use verify::Verifier;
