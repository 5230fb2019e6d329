//! Whether an object is what we would send. What a bucket has computed itself is believed; where it tells nothing, the
//! object is read, because its writer may have stored any metadata with it.

use futures_util::StreamExt;

use super::writer::{BucketWriter, PutOutcome};
use crate::bucket::get::Object;
use crate::bucket::{Error, ObjectInfo};
use crate::checksum::Crc32c;

/// Up to this size bytes are compared and not checksums.
const COMPARED: u64 = 1 << 20;

/// What proves that an object has the right content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// The checksum that the bucket has computed, and its bytes where there is none.
    Checksum,
    /// Its bytes alone: they were not what the checksum said before.
    Bytes,
}

impl BucketWriter {
    /// Whether a listed object has this size and checksum.
    pub async fn holds(
        &self,
        known: &ObjectInfo,
        (size, sum): (u64, u32),
        evidence: Evidence,
    ) -> Result<bool, Error> {
        if known.size != size {
            return Ok(false);
        }
        let computed = match evidence {
            Evidence::Bytes => None,
            // Its listings tell no checksums.
            Evidence::Checksum if known.hashes.crc32c.is_none() && self.client.is_amazon() => {
                let now = self.info(&known.key).await?;
                now.filter(|now| now.version == known.version)
                    .and_then(|now| now.hashes.crc32c)
            }
            Evidence::Checksum => known.hashes.crc32c,
        };
        let found = match computed {
            Some(computed) => computed,
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
    ) -> Result<PutOutcome, Error> {
        let Some(known) = self.info(key).await? else {
            return Ok(PutOutcome::Conflict);
        };
        let same = match bytes {
            _ if known.size != size => false,
            Some(bytes) if size <= COMPARED => {
                let there = self.read(key).await?;
                there.is_some_and(|there| there.bytes == bytes && there.version == known.version)
            }
            _ => match known.hashes.crc32c {
                Some(computed) => computed == sum,
                None => self.sum(&known).await? == sum,
            },
        };
        Ok(match same {
            true => PutOutcome::Stored(known.version),
            false => PutOutcome::Conflict,
        })
    }

    /// The CRC-32C of an object's bytes.
    async fn sum(&self, known: &ObjectInfo) -> Result<u32, Error> {
        let object = Object::new(self.client.clone(), known.clone());
        let mut bytes = object.read(0..known.size);
        let mut sum = Crc32c::default();
        while let Some(bytes) = bytes.next().await {
            sum.update(&bytes?);
        }
        Ok(sum.value())
    }
}
