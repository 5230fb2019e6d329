//! How the bars read a file: whole, in order, in the pieces that TensorFlow uses.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::Result;
use crate::sys::Map;

/// TensorFlow's reads of a tensor arrive in requests of at most this size.
pub(crate) const PIECE: usize = 1 << 20;

/// The sum of all bytes taken as little-endian words, so that no two readers can agree by accident of speed.
pub(crate) fn sum(bytes: &[u8], before: u64) -> u64 {
    let mut words = bytes.chunks_exact(8);
    let mut total = before;
    for word in &mut words {
        let mut eight = [0; 8];
        eight.copy_from_slice(word);
        total = total.wrapping_add(u64::from_le_bytes(eight));
    }
    let rest = words.remainder().iter();
    rest.fold(total, |total, byte| total.wrapping_add(u64::from(*byte)))
}

/// Opens and reads a whole file with preads of 1 MiB and throws the bytes away; gives its length.
pub(crate) fn through(path: &Path) -> Result<u64> {
    each_piece(path, |_| {})
}

/// As `through`, with the sum of what was read.
pub(crate) fn through_and_sum(path: &Path) -> Result<u64> {
    let mut total = 0;
    each_piece(path, |piece| total = sum(piece, total))?;
    Ok(total)
}

fn each_piece(path: &Path, mut take: impl FnMut(&[u8])) -> Result<u64> {
    let file = File::open(path)?;
    let mut buffer = vec![0; PIECE];
    let mut offset = 0;
    loop {
        let filled = fill(&file, &mut buffer, offset)?;
        take(&buffer[..filled]);
        offset += filled as u64;
        if filled < PIECE {
            return Ok(offset);
        }
    }
}

/// Fills the buffer from `offset`, as far as the file goes.
fn fill(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64)? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}

/// Opens, maps and sums a whole file.
pub(crate) fn mapped(path: &Path) -> Result<u64> {
    let map = Map::of(&File::open(path)?)?;
    Ok(sum(map.bytes(), 0))
}

/// Waits for the last byte of a file, opened now.
pub(crate) fn last_byte(path: &Path) -> Result<()> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut byte = [0];
    let last = size
        .checked_sub(1)
        .ok_or("an empty file has no last byte")?;
    file.read_exact_at(&mut byte, last)?;
    Ok(())
}

/// Waits for the first byte of a file, opened now.
pub(crate) fn first_byte(path: &Path) -> io::Result<()> {
    File::open(path)?.read_exact_at(&mut [0], 0)
}
