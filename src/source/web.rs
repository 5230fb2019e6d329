//! A file behind a URL, read by ranges: what its redirects lead to is found at the first read, and shared by all.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};
use futures_util::{FutureExt, TryFutureExt};
use tokio::sync::OnceCell;

use super::{Bytestream, Error, Ranged, api};
use crate::checksum::Hashes;
use crate::fetch::{self, Client, RangeDownload, Resource, SharedResource, redacted};
use crate::handle::Handle;

/// What helps where files cannot be read by themselves.
const WHOLE: &str = "the archive may do: use --load-format compressed";

/// One file. Its start is followed once; a signature that ends is renewed by `fetch` for all readers at once.
#[derive(Debug, Clone)]
pub(super) struct WebFile {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    client: Client,
    /// Whose file it is, for messages.
    handle: Handle,
    /// Where every walk begins.
    url: String,
    size: u64,
    found: OnceCell<Arc<SharedResource>>,
}

impl WebFile {
    /// A file that was listed with this size; nobody has asked for it yet.
    pub(super) fn listed(client: &Client, handle: &Handle, url: String, size: u64) -> WebFile {
        WebFile::new(client, handle, url, size, OnceCell::new())
    }

    /// A file that was asked for already.
    pub(super) fn probed(client: &Client, handle: &Handle, found: Resource, size: u64) -> WebFile {
        let url = found.start();
        let found = OnceCell::new_with(Some(SharedResource::new(found)));
        WebFile::new(client, handle, url, size, found)
    }

    fn new(
        client: &Client,
        handle: &Handle,
        url: String,
        size: u64,
        found: OnceCell<Arc<SharedResource>>,
    ) -> WebFile {
        WebFile {
            shared: Arc::new(Shared {
                client: client.clone(),
                handle: handle.clone(),
                url,
                size,
                found,
            }),
        }
    }
}

impl Ranged for WebFile {
    fn read(&self, range: Range<u64>) -> Bytestream {
        let reading = Reading::Asked(self.shared.clone(), range);
        stream::try_unfold(reading, Reading::next).boxed()
    }

    fn shown(&self) -> String {
        redacted(&self.shared.url)
    }

    fn hashes(&self) -> BoxFuture<'_, Result<Hashes, Error>> {
        let found = self.shared.found();
        found.map_ok(|found| found.now().hashes).boxed()
    }
}

enum Reading {
    Asked(Arc<Shared>, Range<u64>),
    Running(Arc<Shared>, Box<RangeDownload>),
}

impl Reading {
    async fn next(self) -> Result<Option<(Bytes, Reading)>, Error> {
        let (shared, mut download) = match self {
            Reading::Running(shared, download) => (shared, download),
            Reading::Asked(_, range) if range.is_empty() => return Ok(None),
            Reading::Asked(shared, range) => {
                let found = shared.found().await?;
                let download = shared.client.range(found, range);
                (shared, Box::new(download))
            }
        };
        match download.chunk().await {
            Ok(Some(bytes)) => Ok(Some((bytes, Reading::Running(shared, download)))),
            Ok(None) => Ok(None),
            Err(why) => Err(shared.explain(&why)),
        }
    }
}

impl Shared {
    async fn found(&self) -> Result<Arc<SharedResource>, Error> {
        self.found.get_or_try_init(|| self.find()).await.cloned()
    }

    async fn find(&self) -> Result<Arc<SharedResource>, Error> {
        let found = self.client.probe(&self.url).await;
        let found = found.map_err(|why| self.explain(&why))?;
        if is_zip_of(&found.url(), &self.url) {
            return Err(self.failed(format!("{} is zipped", found.shown())));
        }
        let media = found.content_type.as_deref().unwrap_or_default();
        if found.hops().is_empty() && media.starts_with("application/json") {
            // Of a file that is JSON itself, these are no words.
            if let Some(why) = api::words(&self.client, &self.url).await {
                return Err(self.explain(&why));
            }
        }
        if found.size != Some(self.size) {
            let size = found.size.map(|size| size.to_string());
            return Err(self.failed(format!(
                "its listing says {} bytes, but {} says {}",
                self.size,
                found.shown(),
                size.as_deref().unwrap_or("nothing about its size")
            )));
        }
        if !found.ranges {
            let why = format!("{} does not give parts of files", found.shown());
            return Err(self.failed(why));
        }
        Ok(SharedResource::new(found))
    }

    fn explain(&self, why: &fetch::Error) -> Error {
        match why {
            fetch::Error::Changed { url, why } => self.changed(format!("{url}: {why}")),
            _ if why.is_not_found() => self.changed(format!("{why}, and it was listed")),
            _ => Error::explain(&self.handle, why),
        }
    }

    fn changed(&self, why: String) -> Error {
        Error::Changed {
            model: self.handle.url(),
            why,
        }
    }

    fn failed(&self, why: String) -> Error {
        Error::Failed {
            model: self.handle.url(),
            why,
            advice: WHOLE.to_owned(),
        }
    }
}

/// Whether `found` is `asked` packed by Kaggle, as its own clients recognise it.
fn is_zip_of(found: &str, asked: &str) -> bool {
    base(found).strip_suffix(".zip") == Some(base(asked))
}

/// The last component of a URL's path.
pub(super) fn base(url: &str) -> &str {
    let path = url.split('?').next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_file_is_told_by_its_name() {
        let asked = "https://www.kaggle.com/api/v1/models/o/m/f/v/1/download/a/x.csv";
        for (found, zipped) in [
            ("https://h/b/x.csv.zip?X-Goog-Signature=1", true),
            ("https://h/b/x.csv?name=x.csv.zip", false),
            ("https://h/b/y.csv.zip", false),
        ] {
            assert_eq!(is_zip_of(found, asked), zipped, "{found}");
        }
    }
}
