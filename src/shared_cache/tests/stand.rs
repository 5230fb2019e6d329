//! A bucket that may be written, with whatever goes wrong in front of it.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use crate::bucket::LocalBytes;
use crate::bucket::{BucketOptions, Buckets};
use crate::fetch::Client;
use crate::fetch::tests::options;
use crate::handle::{BucketPath, Handle};
use crate::server::testing_bucket;
use crate::shared_cache::{Error, SharedCache, SharedCacheOptions, UploadFile, UploadOutcome};

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    Status(u16),
    /// It is done, and the answer is lost.
    LostAnswer,
    /// It never comes back.
    Hang,
}

type Rule = Arc<dyn Fn(&str, &str) -> Fault + Send + Sync>;

/// Running until the test's runtime ends.
pub struct Stand {
    dir: tempfile::TempDir,
    base: String,
    rule: Arc<Mutex<Rule>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Stand {
    pub async fn start() -> Stand {
        let dir = tempfile::tempdir().unwrap();
        let rule: Arc<Mutex<Rule>> = Arc::new(Mutex::new(Arc::new(|_, _| Fault::None)));
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (rules, log) = (rule.clone(), asked.clone());
        let router: Router = testing_bucket("cache", dir.path());
        let router = router.layer(middleware::from_fn(move |request: Request, next: Next| {
            let line = format!("{} {}", request.method(), request.uri());
            log.lock().push(line);
            let rule = rules.lock().clone();
            let fault = rule(request.method().as_str(), &request.uri().to_string());
            async move { answered(fault, request, next).await }
        }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Stand {
            dir,
            base,
            rule,
            asked,
        }
    }

    pub fn fault(&self, rule: impl Fn(&str, &str) -> Fault + Send + Sync + 'static) {
        *self.rule.lock() = Arc::new(rule);
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
            gcs_endpoint: Some(self.base.clone()),
            aws_endpoint: Some(self.base.clone()),
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
        std::mem::take(&mut self.asked.lock())
    }
}

async fn answered(fault: Fault, request: Request, next: Next) -> Response {
    match fault {
        Fault::None => next.run(request).await,
        Fault::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Fault::LostAnswer => {
            next.run(request).await;
            // Whoever asked does not know whether it was done.
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
        Fault::Hang => std::future::pending().await,
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
