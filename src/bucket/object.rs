//! What a bucket tells of an object.

use std::time::{Duration, SystemTime};

use crate::checksum::Hashes;

/// One object, as a listing or its own headers describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its whole key.
    pub key: String,
    /// In bytes.
    pub size: u64,
    /// Generation (Google) or ETag (Amazon); empty if the bucket tells none.
    pub version: String,
    /// Last change; the epoch if the bucket tells none.
    pub mtime: SystemTime,
    /// Checksums as the bucket has computed them.
    pub hashes: Hashes,
}

/// A time as listings write it (RFC 3339); the epoch if it is none.
pub(super) fn parse_time(text: Option<&str>) -> SystemTime {
    let told = text.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let nanoseconds = told.map_or(0, |told| told.as_nanosecond().max(0));
    let (seconds, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    let since = Duration::new(
        u64::try_from(seconds).unwrap_or_default(),
        u32::try_from(rest).unwrap_or_default(),
    );
    SystemTime::UNIX_EPOCH + since
}
