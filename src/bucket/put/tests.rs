//! What goes over the wire, against buckets that answer as a test says.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::writer::{BucketWriter, LocalBytes, PART, Precondition, PutOutcome};
use crate::bucket::{BucketOptions, Buckets, Error};
use crate::fetch::Client;
use crate::fetch::tests::options;
use crate::handle::BucketPath;

/// A request, as the bucket has it.
#[derive(Debug, Clone)]
struct Asked {
    line: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Asked {
    fn header(&self, name: &str) -> Option<String> {
        let value = self.headers.get(name)?;
        Some(value.to_str().unwrap().to_owned())
    }
}

/// A bucket whose answers are `answer`'s: it is told its own address and what was asked.
struct Scripted {
    writer: BucketWriter,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Scripted {
    async fn start(
        scheme: &str,
        answer: impl Fn(&str, &Asked) -> Response + Send + Sync + 'static,
    ) -> Scripted {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (log, at, answer) = (asked.clone(), base.clone(), Arc::new(answer));
        let router = axum::Router::new().fallback(move |request: Request| {
            let (log, at, answer) = (log.clone(), at.clone(), answer.clone());
            async move {
                let (parts, body) = request.into_parts();
                let asked = Asked {
                    line: format!("{} {}", parts.method, parts.uri),
                    headers: parts.headers,
                    body: to_bytes(body, usize::MAX).await.unwrap(),
                };
                log.lock().push(asked.clone());
                answer(&at, &asked)
            }
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        let client = Client::new(options(Duration::from_secs(5))).unwrap();
        let place = BucketOptions {
            gcs_endpoint: Some(base.clone()),
            aws_endpoint: Some(base),
            ..BucketOptions::default()
        };
        let path = BucketPath::parse(&format!("{scheme}://cache/x")).unwrap();
        let writer = Buckets::new(client.clone(), client, place).writer(&path);
        Scripted { writer, asked }
    }

    async fn send(&self, content: &Bytes) -> Result<PutOutcome, Error> {
        let (size, sum) = (content.len() as u64, crc32c::crc32c(content));
        let local = Memory(content.clone());
        self.writer
            .send("x", &local, (size, sum), &Precondition::Absent)
            .await
    }

    fn asked(&self, what: &str) -> Vec<Asked> {
        let asked = self.asked.lock();
        let found = asked.iter().filter(|asked| asked.line.contains(what));
        found.cloned().collect()
    }
}

#[derive(Debug)]
struct Memory(Bytes);

impl LocalBytes for Memory {
    fn read(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<Bytes>> {
        let bytes = self.0.slice(range.start as usize..range.end as usize);
        async move { Ok(bytes) }.boxed()
    }
}

fn content(size: u64) -> Bytes {
    (0..size).map(|i| (i % 251) as u8).collect()
}

fn encoded(bytes: &[u8]) -> String {
    STANDARD.encode(crc32c::crc32c(bytes).to_be_bytes())
}

/// A bucket of Google's may have every byte and answer 308 all the same. What is left to ask is what has come of it.
#[tokio::test]
async fn an_upload_that_is_all_there_is_asked_for_and_not_sent_beyond_its_end() {
    let content = content(PART + 7);
    let (size, sum) = (content.len(), encoded(&content));
    let bucket = Scripted::start("gs", move |base, asked| {
        let object = format!(
            r#"{{"name":"x","size":"{size}","generation":"5","updated":"2026-01-02T03:04:05Z","crc32c":"{sum}"}}"#
        );
        match asked.header("content-range") {
            None => (
                [("location", format!("{base}/upload/storage?upload_id=1"))],
                "",
            )
                .into_response(),
            Some(range) if range == format!("bytes */{size}") => object.into_response(),
            Some(range) => {
                let come = range.split(['-', '/']).nth(1).unwrap().to_owned();
                let told = [("range", format!("bytes=0-{come}"))];
                (StatusCode::PERMANENT_REDIRECT, told).into_response()
            }
        }
    })
    .await;
    assert_eq!(
        bucket.send(&content).await.unwrap(),
        PutOutcome::Stored(String::from("5"))
    );
    let ranges: Vec<_> = bucket
        .asked("upload_id=")
        .iter()
        .map(|asked| (asked.header("content-range").unwrap(), asked.body.len()))
        .collect();
    let wanted = [
        (format!("bytes 0-{}/{size}", PART - 1), PART as usize),
        (format!("bytes {PART}-{}/{size}", size - 1), 7),
        (format!("bytes */{size}"), 0),
    ];
    assert_eq!(ranges, wanted);
}

/// Answers as S3 does, with `begun` as headers of the first answer of an upload in parts.
fn amazon(begun: &'static [(&'static str, &'static str)]) -> impl Fn(&str, &Asked) -> Response {
    move |_, asked| {
        let mut response = match asked.line.as_str() {
            line if line.starts_with("POST") && line.contains("uploads=") => {
                let text = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>";
                let mut response = text.into_response();
                for (name, value) in begun {
                    response.headers_mut().insert(*name, value.parse().unwrap());
                }
                response
            }
            line if line.starts_with("POST") => {
                "<CompleteMultipartUploadResult><ETag>\"e\"</ETag></CompleteMultipartUploadResult>"
                    .into_response()
            }
            _ => ().into_response(),
        };
        response
            .headers_mut()
            .insert("etag", "\"e\"".parse().unwrap());
        response
    }
}

const SUM: &str = "x-amz-checksum-crc32c";

#[tokio::test]
async fn amazon_is_told_checksums_as_far_as_it_wants_them() {
    let (algorithm, whole) = (
        ("x-amz-checksum-algorithm", "CRC32C"),
        ("x-amz-checksum-type", "FULL_OBJECT"),
    );
    let cases: [(&'static [_], bool, bool); 3] = [
        (Vec::leak(vec![algorithm, whole]), true, true),
        (Vec::leak(vec![algorithm]), true, false),
        (&[], false, false),
    ];
    let content = content(PART + 7);
    let (first, second) = (
        encoded(&content[..PART as usize]),
        encoded(&content[PART as usize..]),
    );
    for (begun, of_parts, of_all) in cases {
        let bucket = Scripted::start("s3", amazon(begun)).await;
        assert!(matches!(
            bucket.send(&content).await.unwrap(),
            PutOutcome::Stored(_)
        ));
        let begin = &bucket.asked("uploads=")[0];
        assert_eq!(begin.header(algorithm.0).as_deref(), Some(algorithm.1));
        assert_eq!(begin.header(whole.0).as_deref(), Some(whole.1));
        let parts: Vec<_> = bucket
            .asked("partNumber=")
            .iter()
            .map(|part| part.header(SUM))
            .collect();
        let wanted = [&first, &second].map(|sum| of_parts.then(|| sum.clone()));
        assert_eq!(parts, wanted, "{begun:?}");
        let end = &bucket.asked("POST /cache/x?uploadId=")[0];
        assert_eq!(end.header(SUM), of_all.then(|| encoded(&content)));
        let list = String::from_utf8_lossy(&end.body);
        assert_eq!(
            list.contains(&format!("<ChecksumCRC32C>{second}</ChecksumCRC32C>")),
            of_parts
        );
    }
}

#[tokio::test]
async fn amazon_is_told_the_checksum_of_what_is_small() {
    let bucket = Scripted::start("s3", amazon(&[])).await;
    let content = content(1000);
    bucket.send(&content).await.unwrap();
    let put = &bucket.asked("PUT")[0];
    assert_eq!(put.header(SUM), Some(encoded(&content)));
}

fn refused(code: &str) -> Response {
    let text = format!("<?xml version='1.0'?><Error><Code>{code}</Code></Error>");
    (StatusCode::NOT_FOUND, text).into_response()
}

/// A bucket that is not there is trouble, and an object that is not there is none, whatever either is called.
#[tokio::test]
async fn a_missing_bucket_is_told_by_its_error_code() {
    for scheme in ["gs", "s3"] {
        let gone = Scripted::start(scheme, |_, asked| match asked.line.contains("alt=media") {
            // Google's words, where its JSON surface has no code for it.
            true => (StatusCode::NOT_FOUND, "No bucket of this name.").into_response(),
            false => refused("NoSuchBucket"),
        })
        .await;
        let error = gone.writer.read("models/x").await.unwrap_err();
        assert!(error.is_not_found(), "{scheme}: {error}");
        let empty = Scripted::start(scheme, |_, _| refused("NoSuchKey")).await;
        let read = empty.writer.read("models/NoSuchBucket").await;
        assert!(matches!(read, Ok(None)), "{scheme}: {read:?}");
    }
}
