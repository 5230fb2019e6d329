//! The writing end of one file of a filling.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::checksum::Crc32c;

use super::super::error::{Context, Error};
use super::fillfile::FillFile;
use super::site::Site;

/// Appends to one file. Readers see bytes after they are on disk, never before.
#[derive(Debug)]
#[must_use = "a file that is not ended is not complete"]
pub struct Writer {
    file: Arc<FillFile>,
    disk: Arc<File>,
    site: Arc<Site>,
    at: u64,
    crc32c: Crc32c,
}

impl Writer {
    pub(super) fn new(file: Arc<FillFile>, disk: Arc<File>, site: Arc<Site>) -> Writer {
        Writer {
            file,
            disk,
            site,
            at: 0,
            crc32c: Crc32c::default(),
        }
    }

    /// Appends `bytes`.
    ///
    /// # Errors
    ///
    /// The disk is full or failed; more bytes than announced; the filling has failed.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let end = self.room(bytes.len() as u64)?;
        let mut tries = 0;
        while let Err(error) = self.disk.write_all_at(bytes, self.at) {
            let error = Error::io("write", self.file.shown(), error);
            if !self.file.shared.has_spared(&error, &mut tries) {
                return Err(error);
            }
        }
        self.crc32c.update(bytes);
        self.reached(end);
        Ok(())
    }

    /// Appends `len` zero bytes that take no space on disk.
    ///
    /// # Errors
    ///
    /// As [`Writer::write`].
    pub fn hole(&mut self, len: u64) -> Result<(), Error> {
        let end = self.room(len)?;
        self.disk
            .set_len(end)
            .context("extend", self.file.shown())?;
        self.crc32c.append_zeros(len);
        self.reached(end);
        Ok(())
    }

    /// Says that the file is complete, and gives it its time.
    ///
    /// # Errors
    ///
    /// Fewer bytes than announced have come.
    pub fn end(self) -> Result<(), Error> {
        if self.at != self.file.size() {
            return Err(Error::TooShort {
                name: self.file.path().to_owned(),
                size: self.file.size(),
                got: self.at,
            });
        }
        *self.file.crc32c.lock() = Some(self.crc32c.value());
        // A time that the file system cannot hold is the archive's nonsense, and not worth the model.
        if let Err(error) = self.disk.set_modified(self.file.mtime()) {
            tracing::debug!(file = self.file.path(), %error, "cannot set the time of a file");
        }
        Ok(())
    }

    fn room(&self, len: u64) -> Result<u64, Error> {
        if let Some(why) = self.file.shared.failure.get() {
            return Err(Error::Failed(why.clone()));
        }
        let size = self.file.size();
        match self.at.checked_add(len) {
            Some(end) if end <= size => Ok(end),
            _ => Err(Error::TooLong {
                name: self.file.path().to_owned(),
                size,
            }),
        }
    }

    fn reached(&mut self, end: u64) {
        self.site.wrote(end - self.at);
        self.file.advance(self.at..end);
        self.at = end;
    }
}
