//! How the bytes of a file of a filling are read, wherever they are.

use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::fillfile::{Appended, Body, FillFile, ReadAt};
use crate::os::blocking;

use super::super::partial::sparse::{Sparse, is_lost};

impl FillFile {
    /// Fills `buf`, which is as long as `range`. `noted`: these bytes count as used by a reader.
    pub(super) fn read(&self, range: &Range<u64>, buf: &mut [u8], noted: bool) -> ReadAt {
        loop {
            if let Some(bad) = self.bad() {
                return bad;
            }
            let answer = match &self.body {
                Body::Appended(disk) => Some(self.read_appended(disk, range, buf)),
                Body::Sparse(disk) => self.read_sparse(disk, range, buf, noted),
                Body::Memory => Some(self.read_memory(range, buf, noted)),
            };
            // Whoever replaced or failed it meanwhile did so before touching the disk: these bytes may be another file's.
            match answer {
                Some(ReadAt::NotYet) => return ReadAt::NotYet,
                Some(answer) => return self.bad().unwrap_or(answer),
                None => {}
            }
        }
    }

    fn read_appended(&self, disk: &Appended, range: &Range<u64>, buf: &mut [u8]) -> ReadAt {
        if !self.map.lock().present.covers(range.clone()) {
            return ReadAt::NotYet;
        }
        blocking::may_wait();
        let file = disk.open(self.path());
        match file.and_then(|file| file.read_exact_at(buf, range.start)) {
            Ok(()) => ReadAt::Ready(buf.len()),
            Err(error) => ReadAt::Io(error),
        }
    }

    fn read_memory(&self, range: &Range<u64>, buf: &mut [u8], noted: bool) -> ReadAt {
        let lent = {
            let mut map = self.map.lock();
            if !map.present.covers(range.clone()) {
                return ReadAt::NotYet;
            }
            if noted {
                map.segments.read(range, self.shared.now());
            }
            map.blocks.lend(range)
        };
        match lent {
            Some(lent) => lent.copy(range.start, buf),
            None => return ReadAt::NotYet,
        }
        ReadAt::Ready(buf.len())
    }

    /// `None` if bytes were given back, or found to be lost, meanwhile: look again.
    fn read_sparse(
        &self,
        disk: &Sparse,
        range: &Range<u64>,
        buf: &mut [u8],
        noted: bool,
    ) -> Option<ReadAt> {
        let generation = disk.generation();
        let losses = {
            let mut map = self.map.lock();
            if !map.present.covers(range.clone()) {
                return Some(ReadAt::NotYet);
            }
            if noted {
                map.segments.read(range, self.shared.now());
            }
            map.segments.losses(range)
        };
        blocking::may_wait();
        let read = disk
            .open()
            .and_then(|file| file.read_exact_at(buf, range.start));
        match read {
            Ok(()) => {
                let kept = self.map.lock().segments.losses(range) == losses;
                kept.then_some(ReadAt::Ready(buf.len()))
            }
            // Somebody has taken the file away, or cut it off.
            Err(error)
                if !self.shared.is_sealed()
                    && (is_lost(&error) || error.kind() == io::ErrorKind::UnexpectedEof) =>
            {
                self.lost(disk, generation);
                None
            }
            Err(error) => Some(ReadAt::Io(error)),
        }
    }
}
