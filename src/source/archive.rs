//! An archive, wherever it is, as one stream that ends well only if it was verified.

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::{Bytestream, Error, RemoteFile};
use crate::checksum::Verifier;
use crate::fetch::{Client, Download, Resource};
use crate::handle::Handle;

/// An archive that is ready to be downloaded.
#[derive(Debug, Clone)]
pub enum Archive {
    /// Behind a URL: where, and what its origin says about it.
    Web(Box<Resource>),
    /// An object of a bucket.
    Object(RemoteFile),
}

impl Archive {
    pub(super) fn web(resource: Resource) -> Archive {
        Archive::Web(Box::new(resource))
    }

    /// In bytes, if that is known.
    pub fn size(&self) -> Option<u64> {
        match self {
            Archive::Web(resource) => resource.size,
            Archive::Object(file) => Some(file.size),
        }
    }

    /// Where it is, for people; without secrets.
    pub fn shown(&self) -> String {
        match self {
            Archive::Web(resource) => resource.shown(),
            Archive::Object(file) => file.from.shown(),
        }
    }

    /// All of its bytes in order. It ends without an error only after its length and its announced checksum were seen to be
    /// right; nothing is sent before the first poll. `handle` is whose archive it is, for messages.
    pub fn bytes(self, client: &Client, handle: &Handle) -> Bytestream {
        match self {
            Archive::Web(resource) => downloaded(client.download(*resource), handle.clone()),
            Archive::Object(file) => checked(file, handle.url()),
        }
    }
}

fn downloaded(download: Download, handle: Handle) -> Bytestream {
    let next = |(mut download, handle): (Download, Handle)| async move {
        match download.chunk().await {
            Ok(Some(bytes)) => Ok(Some((bytes, (download, handle)))),
            Ok(None) => Ok(None),
            Err(why) => Err(Error::explain(&handle, &why)),
        }
    };
    stream::try_unfold((download, handle), next).boxed()
}

/// The object, read whole.
struct Reading {
    model: String,
    file: RemoteFile,
    bytes: Bytestream,
    received: u64,
    check: Verifier,
}

fn checked(file: RemoteFile, model: String) -> Bytestream {
    let reading = Reading {
        model,
        bytes: file.from.read(0..file.size),
        received: 0,
        check: Verifier::new(file.hashes),
        file,
    };
    let next = |mut reading: Reading| async move {
        match reading.bytes.try_next().await? {
            Some(bytes) => {
                reading.received += bytes.len() as u64;
                reading.check.update(&bytes);
                Ok(Some((bytes, reading)))
            }
            None => reading.verified().map(|()| None),
        }
    };
    stream::try_unfold(reading, next).boxed()
}

impl Reading {
    fn verified(mut self) -> Result<(), Error> {
        let (size, received) = (self.file.size, self.received);
        let wrong = match self.check.finish() {
            _ if received != size => format!("length is {received}, but {size}"),
            Ok(()) => return Ok(()),
            Err(wrong) => format!("{} is {}, but {}", wrong.what, wrong.found, wrong.announced),
        };
        let shown = self.file.from.shown();
        Err(Error::Failed {
            model: self.model,
            why: format!("{shown} is damaged: its {wrong} was announced"),
            advice: String::from("nothing of it was kept; try again"),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;
    use std::sync::Arc;
    use std::time::SystemTime;

    use bytes::Bytes;

    use super::super::Ranged;
    use super::*;
    use crate::checksum::Hashes;
    use crate::fetch::tests::client;

    #[derive(Debug)]
    struct Memory(&'static [u8]);

    impl Ranged for Memory {
        fn read(&self, range: Range<u64>) -> Bytestream {
            let part = &self.0[range.start as usize..range.end as usize];
            let chunks: Vec<_> = part.chunks(4).map(|c| Ok(Bytes::from_static(c))).collect();
            stream::iter(chunks).boxed()
        }

        fn shown(&self) -> String {
            String::from("gs://b/x.tar.gz")
        }
    }

    async fn read(crc32c: u32) -> Result<Vec<Bytes>, Error> {
        let file = RemoteFile {
            name: String::from("x.tar.gz"),
            size: 9,
            mtime: SystemTime::UNIX_EPOCH,
            hashes: Hashes {
                crc32c: Some(crc32c),
                md5: None,
            },
            version: String::from("1"),
            from: Arc::new(Memory(b"123456789")),
        };
        let handle = Handle::parse("https://h.example/x.tar.gz").unwrap();
        let archive = Archive::Object(file);
        assert_eq!(archive.size(), Some(9));
        archive.bytes(&client(), &handle).try_collect().await
    }

    #[tokio::test]
    async fn an_object_ends_well_only_with_the_right_checksum() {
        assert_eq!(read(0xe306_9283).await.unwrap().concat(), b"123456789");
        let error = read(1).await.unwrap_err().to_string();
        assert!(
            error.contains("gs://b/x.tar.gz is damaged") && error.contains("CRC-32C"),
            "{error}"
        );
    }
}
