//! CRC-32C of files.

use std::fs::File;
use std::io::{self, Read};

/// How much of a file is read at once.
const PIECE: usize = 1 << 20;

/// The checksum of a whole file.
///
/// # Errors
///
/// Those of read(2).
pub(super) fn of_file(file: File) -> io::Result<u32> {
    paced(file, |_| {})
}

/// The same, calling `pace` with the length of each piece that was read.
///
/// # Errors
///
/// Those of read(2).
pub(super) fn paced(mut file: File, mut pace: impl FnMut(usize)) -> io::Result<u32> {
    let mut piece = vec![0; PIECE];
    let mut crc = 0;
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(crc),
            len => {
                crc = crc32c::crc32c_append(crc, piece.get(..len).unwrap_or_default());
                pace(len);
            }
        }
    }
}

/// The checksum of what had `crc`, and `len` zero bytes after it, without looking at them.
pub(super) fn append_zeros(crc: u32, mut len: u64) -> u32 {
    let (mut crc, mut run, mut run_len) = (crc, crc32c::crc32c(&[0]), 1_usize);
    while len > 0 {
        if len & 1 == 1 {
            crc = crc32c::crc32c_combine(crc, run, run_len);
        }
        run = crc32c::crc32c_combine(run, run, run_len);
        run_len = run_len.wrapping_mul(2);
        len >>= 1;
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_to_their_end() {
        let mut file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..PIECE + 7).map(|at| at as u8).collect();
        io::Write::write_all(&mut file, &bytes).unwrap();
        io::Seek::rewind(&mut file).unwrap();
        assert_eq!(of_file(file).unwrap(), crc32c::crc32c(&bytes));
    }

    #[test]
    fn a_hole_counts_as_the_zeros_that_it_reads_as() {
        for len in [0, 1, 2, 3, 63, 64, 1000, 65_537, 1 << 20] {
            let start = crc32c::crc32c(b"before");
            let zeros = vec![0; len];
            let want = crc32c::crc32c_append(start, &zeros);
            assert_eq!(append_zeros(start, len as u64), want, "{len}");
        }
        // As long as the largest archive may have it: at once.
        append_zeros(7, 1 << 50);
    }
}
