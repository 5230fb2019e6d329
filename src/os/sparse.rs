//! Files with holes: giving their space back, and telling holes from data.

use std::fs::File;
use std::io;
use std::ops::Range;

use rustix::fs::{FallocateFlags, SeekFrom, fallocate, seek};
use rustix::io::Errno;

/// Gives the space of `range` back to the disk: it reads as zeros from now on, and the file keeps its length.
///
/// # Errors
///
/// EOPNOTSUPP where the file system cannot (FAT, some network file systems).
pub fn punch(file: &File, range: Range<u64>) -> io::Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    Ok(fallocate(
        file,
        flags,
        range.start,
        range.end - range.start,
    )?)
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
        let start = match seek(file, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => break,
            Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(vec![0..len]),
            Err(errno) => return Err(errno.into()),
        };
        let end = seek(file, SeekFrom::Hole(start))?;
        if end <= start {
            break; // cut meanwhile
        }
        found.push(start..end);
        at = end;
    }
    Ok(found)
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
