//! Objects of buckets, each a model of one file that is never sealed.

use std::sync::Arc;

use crate::handle::BucketPath;
use crate::source::{Folder, Plan, RemoteFile};

/// An object of a bucket, as it was when it was listed.
#[derive(Debug)]
pub(super) struct Object {
    path: BucketPath,
    id: String,
    folder: Arc<Folder>,
}

impl Object {
    pub(super) fn new(path: &BucketPath, file: RemoteFile) -> Object {
        let id = Object::id_of(path, &file.version);
        let folder = Folder {
            shown: path.to_string(),
            files: vec![file],
            dirs: Vec::new(),
        };
        Object {
            path: path.clone(),
            id,
            folder: Arc::new(folder),
        }
    }

    /// What the bytes of an object are kept under: another content is another object.
    pub(super) fn id_of(path: &BucketPath, version: &str) -> String {
        format!("{path}#{version}")
    }

    /// What its bytes are kept under.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The path in the bucket.
    pub(super) fn path(&self) -> &BucketPath {
        &self.path
    }

    /// How it is fetched.
    pub(super) fn plan(&self) -> Plan {
        Plan::Files(self.folder.clone())
    }
}
