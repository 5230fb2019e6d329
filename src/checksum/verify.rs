//! A body compared with its announced checksums as it passes.

use md5::{Digest, Md5};

use super::crc32c::Crc32c;
use super::hashes::Hashes;

/// Checksums of the bytes so far. CRC-32C is always kept (the instruction for it makes it nearly free), because a
/// transfer that starts over is compared with what was delivered by it; MD5 only where nothing better is announced.
pub struct Verifier {
    announced: Hashes,
    crc32c: Crc32c,
    md5: Option<Md5>,
}

/// A checksum that is not the announced one.
#[derive(Debug)]
pub struct Mismatch {
    /// Which kind of checksum.
    pub what: &'static str,
    /// What it should be, in hex.
    pub announced: String,
    /// What it is.
    pub found: String,
}

impl Verifier {
    /// Starts with no bytes.
    pub fn new(announced: Hashes) -> Verifier {
        let only_md5 = announced.crc32c.is_none() && announced.md5.is_some();
        Verifier {
            announced,
            crc32c: Crc32c::default(),
            md5: only_md5.then(Md5::new),
        }
    }

    /// Adds the next bytes of the body.
    pub fn update(&mut self, bytes: &[u8]) {
        self.crc32c.update(bytes);
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
    }

    /// CRC-32C of the bytes so far.
    pub fn crc32c(&self) -> u32 {
        self.crc32c.value()
    }

    /// Ends the body, and compares.
    ///
    /// # Errors
    ///
    /// Its checksum is not the announced one. CRC-32C is compared, else MD5; without either, every body passes.
    pub fn finish(&mut self) -> Result<(), Mismatch> {
        let mismatch = |what, announced: String, found: String| match announced == found {
            true => Ok(()),
            false => Err(Mismatch {
                what,
                announced,
                found,
            }),
        };
        if let Some(announced) = self.announced.crc32c {
            let found = format!("{:08x}", self.crc32c.value());
            return mismatch("CRC-32C", format!("{announced:08x}"), found);
        }
        match (self.announced.md5, self.md5.take()) {
            (Some(announced), Some(md5)) => mismatch("MD5", hex(&announced), hex(&md5.finalize())),
            _ => Ok(()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check values of both algorithms' own descriptions.
    #[test]
    fn the_right_checksum_passes_and_a_wrong_one_does_not() {
        let crc32c = Some(0xe306_9283);
        let md5 = Some(*b"\x25\xf9\xe7\x94\x32\x3b\x45\x38\x85\xf5\x18\x1f\x1b\x62\x4d\x0b");
        for (hashes, right) in [
            (Hashes { crc32c, md5: None }, true),
            (Hashes { crc32c: None, md5 }, true),
            (
                Hashes {
                    crc32c,
                    md5: Some([0; 16]),
                },
                true,
            ),
            (
                Hashes {
                    crc32c: Some(1),
                    md5,
                },
                false,
            ),
            (
                Hashes {
                    crc32c: None,
                    md5: Some([0; 16]),
                },
                false,
            ),
            (Hashes::default(), true),
        ] {
            let mut check = Verifier::new(hashes);
            check.update(b"1234");
            check.update(b"56789");
            assert_eq!(check.finish().is_ok(), right, "{hashes:?}");
        }
    }
}
