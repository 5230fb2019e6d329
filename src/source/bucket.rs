//! Stand-in.

use super::{Error, Folder, RemoteFile};
use crate::handle::BucketPath;

/// Buckets.
#[derive(Debug, Clone)]
pub struct Buckets;

/// What one name is.
#[derive(Debug, Clone)]
pub struct Seen {
    /// x
    pub file: Option<RemoteFile>,
    /// x
    pub dir: bool,
}

impl Buckets {
    /// x
    pub async fn folder(&self, url: &str) -> Result<Folder, Error> {
        Ok(Folder {
            shown: url.to_owned(),
            remote: Some(url.to_owned()),
            files: Vec::new(),
            dirs: Vec::new(),
        })
    }

    /// x
    pub async fn look(&self, _path: &BucketPath) -> Result<Seen, Error> {
        Ok(Seen {
            file: None,
            dir: false,
        })
    }
}
