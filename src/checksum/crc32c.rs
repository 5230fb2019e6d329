//! CRC-32C (Castagnoli), the checksum of Google Cloud Storage and of our manifests.

use std::io;

/// How much of a file is read at once.
const PIECE: usize = 1 << 20;

/// The CRC-32C of `bytes`.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// The CRC-32C of the bytes so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crc32c {
    value: u32,
    len: u64,
}

impl Crc32c {
    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.value = crc32c::crc32c_append(self.value, bytes);
        self.len += bytes.len() as u64;
    }

    /// Adds what is new in `bytes`, which begin at offset `at`: what came before is not counted again. Bytes that leave a gap
    /// are ignored.
    pub fn update_at(&mut self, at: u64, bytes: &[u8]) {
        let known = self.len.checked_sub(at).map(usize::try_from);
        if let Some(Ok(known)) = known
            && let Some(new) = bytes.get(known..)
        {
            self.update(new);
        }
    }

    /// Adds `len` zero bytes without looking at them.
    pub fn append_zeros(&mut self, len: u64) {
        let (mut left, mut run, mut run_len) = (len, crc32c::crc32c(&[0]), 1_usize);
        while left > 0 {
            if left & 1 == 1 {
                self.value = crc32c::crc32c_combine(self.value, run, run_len);
            }
            run = crc32c::crc32c_combine(run, run, run_len);
            run_len = run_len.wrapping_mul(2);
            left >>= 1;
        }
        self.len += len;
    }

    /// The checksum.
    pub fn value(&self) -> u32 {
        self.value
    }

    /// How many bytes it covers.
    pub fn bytes(&self) -> u64 {
        self.len
    }

    /// The checksum of everything that `read` gives: it fills a buffer from an offset on, as pread(2) does, and returns 0 at the
    /// end. `pace` is called with the length of each piece.
    ///
    /// # Errors
    ///
    /// Those of `read`.
    pub fn of_reads(
        read: impl Fn(&mut [u8], u64) -> io::Result<usize>,
        mut pace: impl FnMut(usize),
    ) -> io::Result<Crc32c> {
        let mut piece = vec![0; PIECE];
        let mut sum = Crc32c::default();
        loop {
            match read(&mut piece, sum.len) {
                Ok(0) => return Ok(sum),
                Ok(len) => {
                    sum.update(piece.get(..len).unwrap_or_default());
                    pace(len);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_to_their_end() {
        use std::os::unix::fs::FileExt;
        let mut file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..PIECE + 7).map(|at| at as u8).collect();
        io::Write::write_all(&mut file, &bytes).unwrap();
        let mut paced = 0;
        let sum = Crc32c::of_reads(|piece, at| file.read_at(piece, at), |len| paced += len);
        let sum = sum.unwrap();
        assert_eq!(sum.value(), crc32c(&bytes));
        assert_eq!((sum.bytes(), paced), (bytes.len() as u64, bytes.len()));
    }

    #[test]
    fn what_is_sent_again_is_counted_once() {
        let mut sum = Crc32c::default();
        sum.update_at(0, b"1234");
        sum.update_at(2, b"3456");
        sum.update_at(0, b"12");
        sum.update_at(9, b"x");
        sum.update_at(6, b"789");
        assert_eq!((sum.value(), sum.bytes()), (0xe306_9283, 9));
    }

    #[test]
    fn a_hole_counts_as_the_zeros_that_it_reads_as() {
        for len in [0, 1, 2, 3, 63, 64, 1000, 65_537, 1 << 20] {
            let (mut sum, mut want) = (Crc32c::default(), Crc32c::default());
            sum.update(b"before");
            sum.append_zeros(len as u64);
            want.update(b"before");
            want.update(&vec![0; len]);
            assert_eq!(sum, want, "{len}");
        }
        // As long as the largest archive may have it: at once.
        Crc32c::default().append_zeros(1 << 50);
    }
}
