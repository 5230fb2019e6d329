//! A file of this host on its way into the bucket: what is sent is what was fetched, or it does not get its name.

use std::io;
use std::ops::Range;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::UploadFile;
use crate::bucket::LocalBytes;
use crate::checksum::Crc32c;

/// Adds up the checksum of what is read, and refuses the end of the file if that is another one.
#[derive(Debug)]
pub(super) struct VerifiedRead<'a> {
    file: &'a UploadFile,
    wanted: u32,
    progress: Mutex<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    sum: Crc32c,
    /// What is wrong with the local copy.
    flaw: Option<String>,
}

impl<'a> VerifiedRead<'a> {
    pub fn new(file: &'a UploadFile, wanted: u32) -> VerifiedRead<'a> {
        VerifiedRead {
            file,
            wanted,
            progress: Mutex::default(),
        }
    }

    /// What is wrong with the local copy, if anything was.
    pub fn flaw(&self) -> Option<String> {
        self.progress.lock().flaw.clone()
    }

    fn add(&self, at: u64, bytes: &[u8]) -> Result<(), String> {
        let mut progress = self.progress.lock();
        let end = at + bytes.len() as u64;
        progress.sum.update_at(at, bytes); // what is read again was counted before
        if end < self.file.size
            || (progress.sum.bytes(), progress.sum.value()) == (self.file.size, self.wanted)
        {
            return Ok(());
        }
        Err(format!(
            "its CRC-32C is {:08x} and was {:08x} when it was fetched",
            progress.sum.value(),
            self.wanted
        ))
    }
}

impl LocalBytes for VerifiedRead<'_> {
    fn read(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<Bytes>> {
        async move {
            let read = self.file.from.read(range.clone()).await;
            let flaw = match read {
                Ok(bytes) if bytes.len() as u64 != range.end - range.start => {
                    String::from("it is shorter than it was")
                }
                Ok(bytes) => match self.add(range.start, &bytes) {
                    Ok(()) => return Ok(bytes),
                    Err(why) => why,
                },
                Err(error) => error.to_string(),
            };
            self.progress.lock().flaw = Some(flaw.clone());
            Err(io::Error::new(io::ErrorKind::InvalidData, flaw))
        }
        .boxed()
    }
}
