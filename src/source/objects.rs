//! Objects of buckets as files of models.

use futures_util::StreamExt;
use futures_util::stream::TryStreamExt;
use std::ops::Range;
use std::sync::Arc;

use super::{Bytestream, Error, Folder, Ranged, RemoteFile, Source};
use crate::bucket::{self, ErrorKind, NamedObject, Object, ObjectTree};
use crate::handle::BucketPath;

/// The most pages that a listing may have: ten million objects, if they are full.
pub const MAX_PAGES: usize = 10_000;

/// One page of a directory in a bucket.
#[derive(Debug, Clone, Default)]
pub struct BucketPage {
    /// Names of directories.
    pub dirs: Vec<String>,
    /// Objects, with the last component of their key as the name.
    pub files: Vec<RemoteFile>,
    /// Where the listing goes on.
    pub next: Option<String>,
}

/// What one name in a bucket is; both, where an object and a directory have one name.
#[derive(Debug, Clone, Default)]
pub struct BucketName {
    /// The object.
    pub file: Option<RemoteFile>,
    /// Whether objects lie below it.
    pub dir: bool,
}

impl Source {
    /// A page of a directory's names, from `token` on; pages without a name are passed over.
    ///
    /// # Errors
    ///
    /// There is nothing below the name, or the bucket cannot be asked.
    pub async fn bucket_page(
        &self,
        dir: &BucketPath,
        token: Option<String>,
    ) -> Result<BucketPage, Error> {
        let page = self.buckets().page(dir, token).await?;
        Ok(BucketPage {
            dirs: page.dirs,
            files: page.files.into_iter().map(RemoteFile::from).collect(),
            next: page.next,
        })
    }

    /// What `path` is. Where objects may be read and not listed, directories are not seen.
    ///
    /// # Errors
    ///
    /// The bucket cannot be asked.
    pub async fn bucket_name(&self, path: &BucketPath) -> Result<BucketName, Error> {
        let entry = self.buckets().look_up(path).await?;
        Ok(BucketName {
            file: entry.file.map(RemoteFile::from),
            dir: entry.dir,
        })
    }

    /// Everything below a `gs://` or `s3://` folder that a host has named.
    pub(super) async fn bucket_folder(&self, url: &str) -> Result<Folder, Error> {
        let dir = BucketPath::parse(url).map_err(|why| Error::Failed {
            model: url.to_owned(),
            why: why.to_string(),
            advice: String::from("the host that named this folder is wrong"),
        })?;
        let tree = self.buckets().folder(&dir).await?;
        Ok(Folder::of_bucket(&dir, tree))
    }
}

impl Folder {
    /// What lies below `dir`.
    pub(crate) fn of_bucket(dir: &BucketPath, tree: ObjectTree) -> Folder {
        Folder {
            shown: dir.to_string(),
            files: tree.files.into_iter().map(RemoteFile::from).collect(),
            dirs: tree.dirs,
        }
    }
}

impl From<NamedObject> for RemoteFile {
    fn from(named: NamedObject) -> RemoteFile {
        let info = named.object.info();
        RemoteFile {
            name: named.name,
            size: info.size,
            mtime: info.mtime,
            hashes: info.hashes,
            version: info.version.clone(),
            from: Arc::new(named.object),
        }
    }
}

impl Ranged for Object {
    fn read(&self, range: Range<u64>) -> Bytestream {
        Object::read(self, range).map_err(Error::from).boxed()
    }

    fn shown(&self) -> String {
        Object::shown(self)
    }
}

impl From<bucket::Error> for Error {
    fn from(error: bucket::Error) -> Error {
        let bucket::Error {
            kind,
            object: model,
            why,
            advice,
        } = error;
        match kind {
            ErrorKind::NotFound => Error::Unknown { model, why, advice },
            ErrorKind::Denied => Error::Denied { model, why, advice },
            ErrorKind::Timeout => Error::Late { model, why, advice },
            ErrorKind::Offline => Error::offline(model),
            ErrorKind::Changed => Error::Changed { model, why },
            ErrorKind::Failed => Error::Failed { model, why, advice },
        }
    }
}

/// A listing that leads back to where it was, or has more pages than any that ends.
pub fn endless_listing(dir: &BucketPath) -> Error {
    Error::Failed {
        model: dir.to_string(),
        why: String::from("its listing has no end"),
        advice: String::from("the fault is on the bucket's side"),
    }
}
