//! Directories and objects of buckets.
//!
//! An object is a model of one file, so that opening and reading it is what it is for every other file; a directory is what
//! the bucket lists. An archive in a bucket is an unpacked directory, here as everywhere.

use super::attr::{Attr, Entry, Kind, Ttl};
use super::listing::{DirEntry, child};
use super::nodes::{Spot, number};
use super::{Answer, Error, Shared, Tree};
use crate::handle::{BucketPath, Place};
use crate::models::{self, BucketNames, Seen};

impl Tree {
    /// Finds the name that `bucket` is, at `path` below the mountpoint.
    pub(super) fn lookup_bucket(&self, path: String, bucket: BucketPath) -> Answer<Entry> {
        if let Some(seen) = self.shared.models.seen_here(&bucket) {
            return Answer::Now(self.shared.bucket_entry(path, &bucket, seen));
        }
        let tree = self.clone();
        Answer::later(async move {
            let seen = tree.shared.models.seen(&bucket).await;
            tree.shared.bucket_entry(path, &bucket, seen)
        })
    }

    /// The names in a directory of a bucket.
    pub(super) fn list_bucket(&self, path: &str, dir: &BucketPath) -> Answer<Vec<DirEntry>> {
        if let Some(names) = self.shared.models.listed_here(dir) {
            return Answer::Now(self.shared.bucket_entries(path, names));
        }
        let (tree, path, dir) = (self.clone(), path.to_owned(), dir.clone());
        Answer::later(async move {
            let names = tree.shared.models.list(&dir).await;
            tree.shared.bucket_entries(&path, names)
        })
    }
}

impl Shared {
    fn bucket_entry(
        &self,
        path: String,
        bucket: &BucketPath,
        seen: Result<Seen, models::Error>,
    ) -> Result<Entry, Error> {
        let node = number(&path);
        let (attr, spot) = match seen? {
            Seen::Absent => return Err(Error::absent()),
            Seen::Dir => (Attr::directory(node), Spot::Bucket(bucket.clone())),
            Seen::File(file) => {
                let attr = Attr {
                    node,
                    kind: Kind::File,
                    size: file.size,
                    mtime: file.mtime,
                };
                let inside = file.name.clone();
                let model = self.models.object(bucket, file);
                (attr, Spot::Model { model, inside })
            }
        };
        if bucket.split().is_none() {
            self.known.insert(&path);
        }
        Ok(self.hold(path, 0, spot, attr, Ttl::Short))
    }

    fn bucket_entries(
        &self,
        path: &str,
        names: Result<std::sync::Arc<BucketNames>, models::Error>,
    ) -> Result<Vec<DirEntry>, Error> {
        let names = names?;
        let dirs = names.dirs.iter().map(|name| (name, Kind::Directory));
        // Of an object and a directory of one name the directory is shown.
        let files = names
            .files
            .keys()
            .filter(|name| !names.dirs.contains(*name));
        let files = files.map(|name| (name, Kind::File));
        let mut entries: Vec<DirEntry> = dirs
            .chain(files)
            .map(|(name, kind)| match self.is_archive(path, name) {
                true => child(path, name.clone(), Kind::Directory),
                false => child(path, name.clone(), kind),
            })
            .collect();
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// Whether a name in a bucket's directory is an archive, which is shown unpacked.
    fn is_archive(&self, dir: &str, name: &str) -> bool {
        let components: Vec<&str> = dir.split('/').chain([name]).collect();
        matches!(self.names.place(&components), Ok(Place::Model { .. }))
    }
}
