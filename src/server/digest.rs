//! Length and hashes of an archive, in the words of Google Cloud Storage.

use crate::checksum::Crc32c;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};

/// What is known of a byte stream once it has been seen whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digests {
    /// Bytes.
    pub len: u64,
    /// CRC-32C (Castagnoli).
    pub crc32c: u32,
    /// MD5.
    pub md5: [u8; 16],
}

impl Digests {
    /// The values of two `x-goog-hash` header lines: base64, the CRC big endian.
    pub fn goog_hashes(&self) -> [String; 2] {
        [
            format!("crc32c={}", STANDARD.encode(self.crc32c.to_be_bytes())),
            format!("md5={}", STANDARD.encode(self.md5)),
        ]
    }

    /// A strong entity tag: equal bytes, equal tag, on every host and after every restart.
    pub fn etag(&self) -> String {
        use std::fmt::Write;
        let mut tag = String::with_capacity(34);
        tag.push('"');
        for byte in self.md5 {
            // Writing to a String cannot fail.
            let _ = write!(tag, "{byte:02x}");
        }
        tag.push('"');
        tag
    }
}

/// Ends long work on archives: a server that was told to stop must not wait
/// until a model of many GiB is packed for nobody.
#[derive(Debug, Clone, Default)]
pub struct Halt(Arc<AtomicBool>);

impl Halt {
    /// From now on the work fails.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Fails from then on.
    pub fn check(&self) -> io::Result<()> {
        if self.0.load(Ordering::Relaxed) {
            return Err(io::Error::other("given up, because the server ends"));
        }
        Ok(())
    }
}

/// Passes bytes on and sums them up, until it is halted.
pub struct Summing<W> {
    inner: W,
    halt: Halt,
    crc32c: Crc32c,
    md5: Md5,
}

impl<W: Write> Summing<W> {
    /// Nothing seen yet.
    pub fn new(inner: W, halt: &Halt) -> Summing<W> {
        Summing {
            inner,
            halt: halt.clone(),
            crc32c: Crc32c::default(),
            md5: Md5::new(),
        }
    }

    /// The writer below, and the sums of what it was given.
    pub fn finish(self) -> (W, Digests) {
        let digests = Digests {
            len: self.crc32c.bytes(),
            crc32c: self.crc32c.value(),
            md5: self.md5.finalize().into(),
        };
        (self.inner, digests)
    }
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.halt.check()?;
        let n = self.inner.write(bytes)?;
        let taken = &bytes[..n];
        self.crc32c.update(taken);
        self.md5.update(taken);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Reads a file once, from start to end.
pub fn digest_file(file: &File, halt: &Halt) -> io::Result<Digests> {
    let mut sums = Summing::new(io::sink(), halt);
    let mut buffer = vec![0; 1 << 20];
    let mut at = 0;
    loop {
        match file.read_at(&mut buffer, at) {
            Ok(0) => return Ok(sums.finish().1),
            Ok(n) => {
                sums.write_all(&buffer[..n])?;
                at += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_that_cloud_storage_announces() {
        let mut sums = Summing::new(Vec::new(), &Halt::default());
        // Two writes: the sums must run on, not start again.
        sums.write_all(b"1234").unwrap();
        sums.write_all(b"56789").unwrap();
        let (bytes, digests) = sums.finish();
        assert_eq!(bytes, b"123456789");
        assert_eq!(digests.len, 9);
        // The check value of CRC-32C (RFC 3720, appendix B.4), and `md5sum`.
        assert_eq!(digests.crc32c, 0xe306_9283);
        assert_eq!(digests.etag(), "\"25f9e794323b453885f5181f1b624d0b\"");
        assert_eq!(
            digests.goog_hashes(),
            ["crc32c=4waSgw==", "md5=JfnnlDI7RTiF9RgfG2JNCw=="]
        );
    }

    #[test]
    fn a_file_has_the_sums_of_its_bytes() {
        let mut file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..3_000_001u32).map(|i| (i * 7 % 251) as u8).collect();
        file.write_all(&bytes).unwrap();
        let mut sums = Summing::new(io::sink(), &Halt::default());
        sums.write_all(&bytes).unwrap();
        assert_eq!(
            digest_file(&file, &Halt::default()).unwrap(),
            sums.finish().1
        );
    }

    #[test]
    fn halted_work_fails() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"bytes").unwrap();
        let halt = Halt::default();
        halt.set();
        assert!(digest_file(&file, &halt).is_err());
    }
}
