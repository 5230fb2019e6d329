//! One 512-byte tar header, read strictly.
//!
//! Fields come from the `tar` crate's views of the block. Numbers are parsed here, because that crate keeps only the
//! low 64 bits of GNU's base-256 numbers (`2^64 + 5` becomes 5), and so are names, because it turns backslashes into slashes.

use std::time::{Duration, SystemTime};

use tar::Header;

use super::error::{Refusal, shown};

/// tar's unit, in bytes.
pub(super) const BLOCK: usize = 512;

/// What a member is, by its typeflag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `0` and `7`.
    File,
    /// NUL: a file, or a directory if its name ends in a slash. The whole name: one that an extension header makes
    /// longer is cut in the header, perhaps behind a slash.
    OldFile,
    Directory,
    /// Old GNU sparse, `S`.
    Sparse,
    /// GNU long name, `L`.
    LongName,
    /// GNU long link target, `K`.
    LongLink,
    /// pax records of the next member, `x` (Solaris: `X`).
    Pax,
    /// pax records of all members that follow, `g`.
    PaxGlobal,
    /// Links, devices and what nobody knows: refused under its name.
    Other,
}

impl Kind {
    /// What it is under its full name.
    pub(super) fn of(self, name: &[u8]) -> Kind {
        match self {
            Kind::OldFile if name.ends_with(b"/") => Kind::Directory,
            Kind::OldFile => Kind::File,
            other => other,
        }
    }
}

/// A header whose checksum and numbers are good.
pub(super) struct Raw {
    pub(super) kind: Kind,
    pub(super) name: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) size: u64,
    pub(super) mtime: SystemTime,
    pub(super) block: [u8; BLOCK],
}

impl Raw {
    /// Reads the header `block` found at offset `at`.
    pub(super) fn parse(block: [u8; BLOCK], at: u64) -> Result<Raw, Refusal> {
        let bad = |why| Refusal::BadHeader { at, why };
        if !checksum_holds(&block) {
            return Err(bad("its checksum does not match"));
        }
        let header = Header::from_byte_slice(&block);
        let old = header.as_old();
        let size = size(&old.size).ok_or(bad("its size is not a number"))?;
        let mtime = number(&old.mtime).ok_or(bad("its mtime is not a number"))?;
        let name = name(&block);
        let kind = match old.linkflag[0] {
            0 => Kind::OldFile,
            b'0' | b'7' => Kind::File,
            b'5' => Kind::Directory,
            b'S' => Kind::Sparse,
            b'L' => Kind::LongName,
            b'K' => Kind::LongLink,
            b'x' | b'X' => Kind::Pax,
            b'g' => Kind::PaxGlobal,
            _ => Kind::Other,
        };
        let link = until_nul(&old.linkname).to_vec();
        Ok(Raw {
            kind,
            name,
            link,
            size,
            mtime: clock(mtime, 0),
            block,
        })
    }

    pub(super) fn typeflag(&self) -> u8 {
        self.block[156]
    }

    /// The refusal of a member that is neither file nor directory.
    pub(super) fn refuse(typeflag: u8, name: &[u8], link: &[u8]) -> Refusal {
        let name = shown(name);
        match typeflag {
            b'1' => Refusal::HardLink {
                name,
                target: shown(link),
            },
            b'2' => Refusal::SymbolicLink {
                name,
                target: shown(link),
            },
            b'3' | b'4' => Refusal::Device { name },
            b'6' => Refusal::Fifo { name },
            typeflag => Refusal::UnknownType { name, typeflag },
        }
    }
}

/// Name, with the prefix that only POSIX headers have: GNU keeps times and sparse maps in its place.
fn name(block: &[u8; BLOCK]) -> Vec<u8> {
    let name = until_nul(&block[..100]);
    let prefix = if &block[257..263] == b"ustar\0" {
        until_nul(&block[345..500])
    } else {
        b""
    };
    if prefix.is_empty() {
        name.to_vec()
    } else {
        [prefix, b"/", name].concat()
    }
}

/// The bytes before the first NUL.
pub(super) fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or(field)
}

/// Whether the checksum is right: the sum of all bytes, its own field taken as spaces. Some writers of old summed
/// signed bytes, so both sums are accepted, as in Python's tarfile.
pub(super) fn checksum_holds(block: &[u8; BLOCK]) -> bool {
    let spaces = 8 * i128::from(b' ');
    let bytes = || block[..148].iter().chain(&block[156..]);
    let unsigned = spaces + bytes().map(|byte| i128::from(*byte)).sum::<i128>();
    let signed = spaces
        + bytes()
            .map(|byte| i128::from(byte.cast_signed()))
            .sum::<i128>();
    // A block of zeros would hold with an empty field; it is the end-of-archive marker, never a header.
    !until_nul(&block[148..156]).is_empty()
        && number(&block[148..156]).is_some_and(|stored| stored == unsigned || stored == signed)
}

/// A numeric field of at most twelve bytes: octal text, or GNU's base-256, told by the first bit and signed by the second.
pub(super) fn number(field: &[u8]) -> Option<i128> {
    match field {
        [first, rest @ ..] if first & 0x80 != 0 => {
            let top = if first & 0x40 != 0 {
                i128::from(first.cast_signed())
            } else {
                i128::from(first & 0x7f)
            };
            // At most twelve bytes: 96 bits fit.
            Some(
                rest.iter()
                    .fold(top, |value, byte| value * 256 + i128::from(*byte)),
            )
        }
        _ => {
            let digits = until_nul(field).trim_ascii();
            digits.iter().try_fold(0i128, |value, digit| match digit {
                b'0'..=b'7' => Some(value * 8 + i128::from(digit - b'0')),
                _ => None,
            })
        }
    }
}

/// A number that counts bytes. What is beyond 64 bits is as good as the largest: every limit refuses it.
pub(super) fn size(field: &[u8]) -> Option<u64> {
    let value = number(field)?;
    (value >= 0).then(|| u64::try_from(value).unwrap_or(u64::MAX))
}

/// A modification time, held between 1970 and 2106: what every file system stores, and no model is older or newer.
pub(super) fn clock(seconds: i128, nanoseconds: u32) -> SystemTime {
    let since = match u32::try_from(seconds) {
        Ok(seconds) => Duration::new(seconds.into(), nanoseconds.min(999_999_999)),
        Err(_) if seconds < 0 => Duration::ZERO,
        Err(_) => Duration::from_secs(u32::MAX.into()),
    };
    SystemTime::UNIX_EPOCH + since
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256() {
        let mut big = [0u8; 12];
        big[0] = 0x80;
        big[4] = 0x80;
        for (field, want) in [
            (&b"00000000644\0"[..], Some(0o644)),
            (b"    644 \0   ", Some(0o644)),
            (b"777777777777", Some(0o777_777_777_777)),
            (b"\0\0\0\0", Some(0)),
            (b"12x", None),
            (b"-5\0", None),
            (b"8\0", None),
            (&big, Some(1 << 63)),
            (&[0xff; 12], Some(-1)),
            (
                &[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5],
                Some((1 << 64) + 5),
            ),
        ] {
            assert_eq!(number(field), want, "{field:x?}");
        }
        assert_eq!(
            size(&[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5]),
            Some(u64::MAX)
        );
        assert_eq!(size(&[0xff; 12]), None);
    }

    #[test]
    fn times_are_clamped() {
        let seconds = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(seconds(clock(-1, 5)), Duration::ZERO);
        assert_eq!(
            seconds(clock(1 << 90, 0)),
            Duration::from_secs(u32::MAX.into())
        );
        assert_eq!(
            seconds(clock(1_700_000_000, 25)),
            Duration::new(1_700_000_000, 25)
        );
    }

    #[test]
    fn both_checksums_are_accepted() {
        let mut header = Header::new_gnu();
        header.set_path("\u{fc}.txt").unwrap();
        header.set_size(0);
        header.set_cksum();
        assert!(checksum_holds(header.as_bytes()));
        let mut signed = *header.as_bytes();
        let sum: i32 = signed[..148]
            .iter()
            .chain(&signed[156..])
            .map(|b| i32::from(b.cast_signed()))
            .sum::<i32>()
            + 256;
        signed[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        assert!(checksum_holds(&signed));
        signed[0] ^= 1;
        assert!(!checksum_holds(&signed));
        assert!(!checksum_holds(&[0; BLOCK]));
    }
}
