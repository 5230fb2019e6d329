//! Files with holes: giving their space back, and telling holes from data.
#![allow(unsafe_code)] // fallocate(2) and lseek(2) with SEEK_DATA have no counterpart in std.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;

use super::check;

/// Gives the space of `range` back to the disk: it reads as zeros from now on, and the file keeps its length.
///
/// # Errors
///
/// EOPNOTSUPP where the file system cannot (FAT, some network file systems).
pub fn punch(file: &File, range: Range<u64>) -> io::Result<()> {
    let flags = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    let (start, len) = (offset(range.start)?, offset(range.end - range.start)?);
    // SAFETY: the descriptor is open for as long as the borrow lasts; the call touches no memory of ours.
    check(unsafe { libc::fallocate(file.as_raw_fd(), flags, start, len) }).map(drop)
}

/// The parts of a file that are not holes, in order. A file system that does not tell has no holes.
///
/// # Errors
///
/// Those of lseek(2).
pub fn data(file: &File) -> io::Result<Vec<Range<u64>>> {
    let len = file.metadata()?.len();
    let mut found = Vec::new();
    let mut at = 0;
    while at < len {
        let start = match seek(file, at, libc::SEEK_DATA) {
            Ok(start) => start,
            Err(error) => match error.raw_os_error() {
                Some(libc::ENXIO) => break,
                Some(libc::EINVAL | libc::EOPNOTSUPP) => {
                    return Ok(std::iter::once(0..len).collect());
                }
                _ => return Err(error),
            },
        };
        let end = seek(file, start, libc::SEEK_HOLE)?;
        if end <= start {
            break; // cut meanwhile
        }
        found.push(start..end);
        at = end;
    }
    Ok(found)
}

fn seek(file: &File, at: u64, whence: libc::c_int) -> io::Result<u64> {
    // SAFETY: the descriptor is open for as long as the borrow lasts; the call touches no memory of ours.
    let found = unsafe { libc::lseek(file.as_raw_fd(), offset(at)?, whence) };
    u64::try_from(found).map_err(|_| io::Error::last_os_error())
}

fn offset(at: u64) -> io::Result<i64> {
    i64::try_from(at).map_err(|_| io::ErrorKind::InvalidInput.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn a_punched_range_is_a_hole() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[1; 3 << 16], 1 << 16).unwrap();
        file.set_len(8 << 16).unwrap();
        punch(&file, 2 << 16..3 << 16).unwrap();
        assert_eq!(data(&file).unwrap(), [1 << 16..2 << 16, 3 << 16..4 << 16]);
        assert_eq!(file.metadata().unwrap().len(), 8 << 16);
        assert_eq!(data(&tempfile::tempfile().unwrap()).unwrap(), []);
    }
}
