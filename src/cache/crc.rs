//! CRC-32C of files.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// How much of a file is read at once.
const PIECE: usize = 1 << 20;

/// The checksum of a whole file.
///
/// # Errors
///
/// Those of read(2).
pub(super) fn of_file(file: File) -> io::Result<u32> {
    pieces(|piece, at| file.read_at(piece, at), |_| {})
}

/// The same of a file that is opened for each piece of it, so that it counts as nobody's meanwhile; `pace` is called with the
/// length of each.
///
/// # Errors
///
/// Those of `open` and of read(2).
pub(super) fn piecewise(
    open: impl Fn() -> io::Result<File>,
    pace: impl FnMut(usize),
) -> io::Result<u32> {
    pieces(|piece, at| open()?.read_at(piece, at), pace)
}

fn pieces(
    read: impl Fn(&mut [u8], u64) -> io::Result<usize>,
    mut pace: impl FnMut(usize),
) -> io::Result<u32> {
    let mut piece = vec![0; PIECE];
    let (mut crc, mut at) = (0, 0);
    loop {
        match read(&mut piece, at)? {
            0 => return Ok(crc),
            len => {
                crc = crc32c::crc32c_append(crc, piece.get(..len).unwrap_or_default());
                at += len as u64;
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
