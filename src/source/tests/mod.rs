//! The room against a scripted origin that stands in for every host.

mod files;
mod hosting;
mod kaggle;
mod uncompressed;

use std::time::Duration;

use futures_util::TryStreamExt;

use super::{Archive, Error, Folder, Newest, Plan, RemoteFile, Source, SourceOptions};
use crate::bucket::{BucketOptions, Buckets};
use crate::config::LoadFormat;
use crate::fetch::tests::options;
use crate::fetch::tests::origin::{Answer, Origin, answer, full, probed, redirect};
use crate::fetch::{Client, Resource};
use crate::handle::{Catalogue, Handle};

const HTML: &str = "Content-Type: text/html; charset=utf-8";
const HUB: &str = "https://tfhub.dev/google/x";
const KAGGLE: &str = "https://www.kaggle.com/models/google/x/tensorFlow2/y";

/// Sources whose every host is one origin, told apart by the first part of the path.
async fn world(format: LoadFormat, answers: Vec<Answer>) -> (Origin, Source) {
    let origin = Origin::playing(answers).await;
    let mut options = options(Duration::from_secs(1));
    options.mirrors = [
        ("tfhub.dev", "hub"),
        ("www.kaggle.com", "kaggle"),
        ("kaggle.com", "kaggle"),
        ("storage.googleapis.com", "gcs"),
    ]
    .map(|(host, path)| {
        format!("https://{host}={}/{path}", origin.base)
            .parse()
            .unwrap()
    })
    .to_vec();
    let client = Client::new(options).unwrap();
    let buckets = buckets(&client);
    (
        origin,
        Source::new(client, SourceOptions { format, buckets }),
    )
}

fn buckets(client: &Client) -> Buckets {
    Buckets::new(client.clone(), client.clone(), BucketOptions::default())
}

fn handle(url: &str) -> Handle {
    Handle::parse(url).unwrap()
}

/// The resource of a plan that is an archive.
fn web(plan: &Plan) -> Resource {
    match plan {
        Plan::Archive(Archive::Web(resource)) => (**resource).clone(),
        other => panic!("an archive: {other:?}"),
    }
}

/// An answer without a body.
fn empty(status: &str) -> Answer {
    answer(&[status, "Content-Length: 0"], b"")
}

/// An answer of an API.
fn json(status: &str, body: &str) -> Answer {
    let length = format!("Content-Length: {}", body.len());
    let head = [status, "Content-Type: application/json", &length];
    answer(&head, body.as_bytes())
}

/// A 206 with exactly these bytes of `whole`.
fn span(whole: &[u8], range: std::ops::Range<usize>) -> Answer {
    let (first, last, total) = (range.start, range.end - 1, whole.len());
    let content = format!("Content-Range: bytes {first}-{last}/{total}");
    let length = format!("Content-Length: {}", range.len());
    answer(&["206 Partial Content", &content, &length], &whole[range])
}

async fn read(file: &RemoteFile, range: std::ops::Range<u64>) -> Result<Vec<u8>, Error> {
    let chunks: Vec<_> = file.from.read(range).try_collect().await?;
    Ok(chunks.concat())
}
