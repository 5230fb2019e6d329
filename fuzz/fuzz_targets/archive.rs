//! Any bytes may be offered as an archive: an error is fine, a panic is a bug, and so is a call to the sink that it
//! was not promised.

#![no_main]

use std::convert::Infallible;
use std::time::SystemTime;

use libfuzzer_sys::fuzz_target;
use tfhub_fs::fuzzing::{Limits, Name, Sink, unpack};

/// Counts what is missing of the current file.
struct Count(Option<u64>);

impl Count {
    fn take(&mut self, len: u64) -> Result<(), Infallible> {
        let left = self.0.expect("bytes outside a file");
        assert!(len > 0 && len <= left);
        self.0 = Some(left - len);
        Ok(())
    }
}

impl Sink for Count {
    type Error = Infallible;

    fn dir(&mut self, _: &Name, _: SystemTime) -> Result<(), Infallible> {
        assert!(self.0.is_none());
        Ok(())
    }

    fn file(&mut self, _: &Name, size: u64, _: SystemTime) -> Result<(), Infallible> {
        assert!(self.0.replace(size).is_none());
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), Infallible> {
        self.take(bytes.len() as u64)
    }

    fn hole(&mut self, len: u64) -> Result<(), Infallible> {
        self.take(len)
    }

    fn end(&mut self) -> Result<(), Infallible> {
        assert_eq!(self.0.take(), Some(0));
        Ok(())
    }
}

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::from_settings(Some(10_000), Some(1 << 26), None);
    let _ = unpack(bytes, &limits, &mut Count(None));
});
