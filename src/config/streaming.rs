//! How streamed models are fetched and kept.

use std::fmt;
use std::str::FromStr;

use super::{ByteSize, Error};

/// What of a streamed model is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Prefetch {
    /// The blocks that are read.
    None,
    /// Small files whole, and files that are read in order ahead of their readers.
    #[default]
    File,
    /// Everything, once a file of the model has been read.
    Model,
}

impl FromStr for Prefetch {
    type Err = Error;

    /// Reads the value of `--prefetch`, in any case.
    fn from_str(typed: &str) -> Result<Self, Error> {
        match typed.trim().to_ascii_lowercase().as_str() {
            "none" => Ok(Prefetch::None),
            "file" => Ok(Prefetch::File),
            "model" => Ok(Prefetch::Model),
            _ => Err(Error::value(
                "way to prefetch",
                typed,
                "it is none of them",
                "none, file or model",
            )),
        }
    }
}

impl fmt::Display for Prefetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Prefetch::None => "none",
            Prefetch::File => "file",
            Prefetch::Model => "model",
        })
    }
}

/// How much the cache may take of its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheSize {
    /// So many bytes.
    Bytes(u64),
    /// So many hundredths of the disk, at most 100.
    Percent(u8),
}

impl CacheSize {
    /// In bytes, of a disk of `disk` bytes.
    pub fn bytes(self, disk: u64) -> u64 {
        match self {
            CacheSize::Bytes(bytes) => bytes,
            CacheSize::Percent(percent) => disk / 100 * u64::from(percent),
        }
    }
}

impl FromStr for CacheSize {
    type Err = Error;

    /// Reads `300MiB`, `40%`, `0`.
    fn from_str(typed: &str) -> Result<Self, Error> {
        let Some(percent) = typed.trim().strip_suffix('%') else {
            let bytes: ByteSize = typed.parse()?;
            return Ok(CacheSize::Bytes(bytes.bytes()));
        };
        match percent.trim().parse() {
            Ok(percent @ 0..=100) => Ok(CacheSize::Percent(percent)),
            _ => Err(Error::value(
                "share of the disk",
                typed,
                "it is not between 0% and 100%",
                "a share like `40%`, or a size like `300MiB`",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_to_prefetch_read_back() {
        for way in [Prefetch::None, Prefetch::File, Prefetch::Model] {
            assert_eq!(way.to_string().to_uppercase().parse(), Ok(way));
        }
        let error = "all".parse::<Prefetch>().unwrap_err().to_string();
        assert!(error.contains("none, file or model"), "{error}");
    }

    #[test]
    fn a_cache_has_a_size_or_a_share() {
        for (typed, bytes) in [
            ("300MiB", 300 << 20),
            ("0", 0),
            ("40%", 400_000),
            ("100 %", 1_000_000),
            ("0%", 0),
        ] {
            let size: CacheSize = typed.parse().unwrap();
            assert_eq!(size.bytes(1_000_000), bytes, "{typed}");
        }
        for typed in ["101%", "-1%", "a%", "%", "much"] {
            assert!(typed.parse::<CacheSize>().is_err(), "{typed}");
        }
    }
}
