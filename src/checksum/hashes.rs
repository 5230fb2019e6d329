//! Checksums that an origin announces.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Checksums of a whole stored object, as Google Cloud Storage announces them (`x-goog-hash`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hashes {
    /// CRC-32C (Castagnoli).
    pub crc32c: Option<u32>,
    /// MD5; absent for composite objects.
    pub md5: Option<[u8; 16]>,
}

impl Hashes {
    /// Whether nothing is announced.
    pub fn is_empty(&self) -> bool {
        self.crc32c.is_none() && self.md5.is_none()
    }

    /// Decodes base64 texts, as the listing of a bucket has them (`crc32c` in big-endian order). A malformed one counts as not
    /// announced.
    pub fn of_base64(crc32c: Option<&str>, md5: Option<&str>) -> Hashes {
        Hashes {
            crc32c: crc32c.and_then(decoded).map(u32::from_be_bytes),
            md5: md5.and_then(decoded),
        }
    }

    /// Parses `crc32c=<base64>` and `md5=<base64>` from as many header lines as there are, comma-joined or not.
    pub fn of_header_lines<'a>(lines: impl Iterator<Item = &'a str>) -> Hashes {
        let mut hashes = Hashes::default();
        for item in lines.flat_map(|line| line.split(',')) {
            match item.trim().split_once('=') {
                Some(("crc32c", value)) => hashes.crc32c = decoded(value).map(u32::from_be_bytes),
                Some(("md5", value)) => hashes.md5 = decoded(value),
                _ => {}
            }
        }
        hashes
    }
}

fn decoded<const N: usize>(base64: &str) -> Option<[u8; N]> {
    STANDARD.decode(base64.trim()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_read_in_both_spellings() {
        // Of an empty object: CRC-32C 0, and MD5's well-known digest.
        let both = Hashes {
            crc32c: Some(0),
            md5: Some(*b"\xd4\x1d\x8c\xd9\x8f\x00\xb2\x04\xe9\x80\x09\x98\xec\xf8\x42\x7e"),
        };
        let read = |lines: &[&str]| Hashes::of_header_lines(lines.iter().copied());
        let md5 = "md5=1B2M2Y8AsgTpgAmY7PhCfg==";
        assert_eq!(read(&["crc32c=AAAAAA==", md5]), both);
        assert_eq!(read(&[&format!("crc32c=AAAAAA==, {md5}")]), both);
        assert_eq!(read(&["crc32c=AAAAAQ=="]).crc32c, Some(1));
        for junk in [
            "",
            "crc32c",
            "crc32c=",
            "crc32c=AAAA",
            "md5=AAAAAA==",
            "sha256=x",
            ",,=",
        ] {
            assert!(read(&[junk]).is_empty(), "{junk}");
        }
    }
}
