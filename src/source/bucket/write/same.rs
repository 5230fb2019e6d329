//! Whether an object is what we would send. What a bucket has computed itself is believed; where it tells nothing, the
//! object is read, because whoever wrote it may say anything of it.

use futures_util::StreamExt;

use super::{Known, Put, Writer};
use crate::checksum::{Crc32c, Hashes};
use crate::handle::Scheme;
use crate::source::bucket::names::Entry;
use crate::source::bucket::object::Object;
use crate::source::{Error, Ranged};

/// Up to this size bytes are compared and not checksums.
const COMPARED: u64 = 1 << 20;

/// Up to where what a bucket says is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source) enum Trust {
    /// What it says that it has computed.
    Told,
    /// Bytes alone: what was read was not what it said.
    Bytes,
}

impl Writer {
    /// Whether a listed object has this size and checksum.
    pub async fn holds(
        &self,
        known: &Known,
        (size, sum): (u64, u32),
        trust: Trust,
    ) -> Result<bool, Error> {
        if known.size != size {
            return Ok(false);
        }
        let told = match trust {
            Trust::Bytes => None,
            // Its listings tell no checksums.
            Trust::Told if known.crc32c.is_none() && self.access.scheme == Scheme::S3 => {
                let now = self.known(&known.key).await?;
                now.filter(|now| now.version == known.version)
                    .and_then(|now| now.crc32c)
            }
            Trust::Told => known.crc32c,
        };
        let found = match told {
            Some(told) => told,
            None => self.sum(known).await?,
        };
        Ok(found == sum)
    }

    /// What stands in the way of what was sent: itself, sent before, or something else.
    pub(super) async fn settle(
        &self,
        key: &str,
        (size, sum): (u64, u32),
        bytes: Option<&[u8]>,
    ) -> Result<Put, Error> {
        let Some(known) = self.known(key).await? else {
            return Ok(Put::Refused);
        };
        let same = match bytes {
            _ if known.size != size => false,
            Some(bytes) if size <= COMPARED => {
                let there = self.read(key).await?;
                there.is_some_and(|there| there.bytes == bytes && there.version == known.version)
            }
            _ => match known.crc32c {
                Some(told) => told == sum,
                None => self.sum(&known).await? == sum,
            },
        };
        Ok(match same {
            true => Put::Done(known.version),
            false => Put::Refused,
        })
    }

    /// The CRC-32C of an object's bytes.
    async fn sum(&self, known: &Known) -> Result<u32, Error> {
        let entry = Entry {
            key: known.key.clone(),
            size: known.size,
            version: known.version.clone(),
            mtime: known.mtime,
            hashes: Hashes::default(),
        };
        let mut bytes = Object::new(self.access.clone(), &entry).read(0..known.size);
        let mut sum = Crc32c::default();
        while let Some(bytes) = bytes.next().await {
            sum.update(&bytes?);
        }
        Ok(sum.value())
    }
}
