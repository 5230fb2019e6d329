//! A bucket that may be written, with whatever goes wrong in front of it.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::bucket::LocalBytes;
use crate::bucket::{BucketOptions, Buckets};
use crate::fetch::Client;
use crate::fetch::tests::options;
use crate::handle::{BucketPath, Handle};
pub use crate::origin::Strike as Fault;
use crate::origin::{Hop, Origin, Seen};
use crate::shared_cache::{Error, SharedCache, SharedCacheOptions, UploadFile, UploadOutcome};

/// Running until dropped.
pub struct Stand {
    dir: tempfile::TempDir,
    origin: Origin,
}

impl Stand {
    pub async fn start() -> Stand {
        let (dir, origin) = (tempfile::tempdir().unwrap(), Origin::start());
        origin.bucket_in("cache", dir.path());
        Stand { dir, origin }
    }

    pub fn fault(&self, rule: impl Fn(&str, &str) -> Fault + Send + Sync + 'static) {
        self.origin.rule(rule);
    }

    /// One host's way to the bucket.
    pub fn cache(&self, scheme: &str) -> SharedCache {
        self.cache_with(scheme, |_| {})
    }

    pub fn cache_with(
        &self,
        scheme: &str,
        change: impl FnOnce(&mut SharedCacheOptions),
    ) -> SharedCache {
        let client = Client::new(options(Duration::from_secs(2))).unwrap();
        let place = BucketOptions {
            gcs_endpoint: Some(self.origin.url(Hop::Gcs)),
            aws_endpoint: Some(self.origin.url(Hop::Gcs)),
            ..BucketOptions::default()
        };
        let at = BucketPath::parse(&format!("{scheme}://cache/models")).unwrap();
        let mut options = SharedCacheOptions::new(at, String::from("host.example"), |_| true);
        options.place = Some(String::from("here"));
        (options.poll, options.quiet) = (Duration::from_millis(20), Duration::from_millis(50));
        change(&mut options);
        SharedCache::new(Buckets::new(client.clone(), client, place), options)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("models").join(name)
    }

    pub fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// All objects below the prefix, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        collect(&self.path(""), "", &mut names);
        names.sort();
        names
    }

    /// What was asked so far, and no more from now on.
    pub fn asked(&self) -> Vec<String> {
        let seen = self.origin.seen();
        self.origin.forget();
        let line = |seen: Arc<Seen>| format!("{} {}", seen.method, seen.target);
        seen.into_iter().map(line).collect()
    }
}

fn collect(dir: &Path, above: &str, names: &mut Vec<String>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = format!("{above}{}", entry.file_name().to_string_lossy());
        match entry.path().is_dir() {
            true => collect(&entry.path(), &format!("{name}/"), names),
            false => names.push(name),
        }
    }
}

pub fn handle() -> Handle {
    Handle::parse("https://tfhub.dev/google/yamnet/1").unwrap()
}

pub const SHA1: &str = "9616fd04ec2360621642ef9455b84f4b668e219e";

#[derive(Debug)]
struct Memory(Bytes);

impl LocalBytes for Memory {
    fn read(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<Bytes>> {
        let range = range.start as usize..range.end as usize;
        let bytes = self.0.slice(range);
        async move { Ok(bytes) }.boxed()
    }
}

/// A model whose data takes three parts.
pub fn model() -> Vec<(&'static str, Vec<u8>)> {
    let data: Vec<u8> = (0..20_000_000_u32).map(|i| (i % 251) as u8).collect();
    vec![
        ("assets/vocab.txt", b"a\nb\n".to_vec()),
        ("saved_model.pb", b"graph".to_vec()),
        ("variables/variables.data-00000-of-00001", data),
        ("variables/variables.index", b"index".to_vec()),
    ]
}

pub fn uploads(files: &[(&str, Vec<u8>)]) -> Vec<UploadFile> {
    let upload = |(name, content): &(&str, Vec<u8>)| UploadFile {
        name: (*name).to_owned(),
        size: content.len() as u64,
        crc32c: None,
        from: Arc::new(Memory(Bytes::from(content.clone()))),
    };
    files.iter().map(upload).collect()
}

pub async fn publish(
    cache: &SharedCache,
    files: &[(&str, Vec<u8>)],
) -> Result<UploadOutcome, Error> {
    publish_as(cache, &handle(), uploads(files)).await
}

pub async fn publish_as(
    cache: &SharedCache,
    handle: &Handle,
    files: Vec<UploadFile>,
) -> Result<UploadOutcome, Error> {
    let under_way = cache.begin(handle).expect("there is room");
    let files = || async { Some(files) };
    cache.publish(handle, files, under_way).await
}
