//! What object_store is given, and what it gives back.

use std::time::Duration;

use futures_util::TryStreamExt;
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder};
use object_store::path::Path;
use object_store::{ClientOptions, GetOptions, GetRange, ObjectStore, RetryConfig};

use super::super::{Client, Connector, Error, cause};
use super::origin::{Answer, Origin, answer};
use super::{client, hasty, options};

const TOLD: [&str; 2] = [
    "ETag: \"v1\"",
    "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT",
];

fn bucket(base: &str, client: Client, token: Option<&str>) -> GoogleCloudStorage {
    let retry = RetryConfig {
        max_retries: 0,
        ..RetryConfig::default()
    };
    GoogleCloudStorageBuilder::new()
        .with_bearer_token(token.unwrap_or_default())
        .with_skip_signature(token.is_none())
        .with_base_url(base)
        .with_bucket_name("b")
        .with_http_connector(Connector::new(client))
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .with_retry(retry)
        .build()
        .unwrap()
}

/// A 206 with all of `whole`.
fn whole(whole: &[u8]) -> Answer {
    let content = format!("Content-Range: bytes 0-{}/{}", whole.len() - 1, whole.len());
    let length = format!("Content-Length: {}", whole.len());
    let head = ["206 Partial Content", &content, &length, TOLD[0], TOLD[1]];
    answer(&head, whole)
}

async fn get(store: &GoogleCloudStorage, length: u64) -> object_store::Result<Vec<u8>> {
    let options = GetOptions {
        range: Some(GetRange::Bounded(0..length)),
        ..GetOptions::default()
    };
    let got = store.get_opts(&Path::from("o"), options).await?;
    let chunks: Vec<_> = got.into_stream().try_collect().await?;
    Ok(chunks.concat())
}

fn empty(status: &str) -> Answer {
    answer(&[status, "Content-Length: 0"], b"")
}

#[tokio::test]
async fn refusals_reach_the_caller_as_our_errors() {
    for (status, code) in [
        ("404 Not Found", 404),
        ("403 Forbidden", 403),
        ("401 Who", 401),
        ("412 Precondition Failed", 412),
        ("304 Not Modified", 304),
        ("302 Elsewhere", 302),
    ] {
        let origin = Origin::playing([empty(status)]).await;
        let error = get(&bucket(&origin.base, client(), None), 3).await;
        let error = error.unwrap_err();
        let ours = cause(&error).unwrap_or_else(|| panic!("{error:?}"));
        assert_eq!(ours.status(), Some(code), "{error}");
        assert_eq!(origin.asked().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn trouble_is_tried_again_here_and_nowhere_else() {
    let origin = Origin::playing([empty("503 Busy"), empty("429 Slow"), whole(b"abc")]).await;
    let got = get(&bucket(&origin.base, client(), None), 3).await;
    assert_eq!(got.unwrap(), b"abc");
    assert_eq!(origin.asked().len(), 3);
    let down = (0..9).map(|_| empty("503 Busy"));
    let origin = Origin::playing(down).await;
    let error = get(&bucket(&origin.base, hasty(400), None), 3).await;
    let error = error.unwrap_err();
    assert_eq!(cause(&error).and_then(Error::status), Some(503), "{error}");
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let origin = Origin::playing([whole(b"abc").headless().hanging()]).await;
    let error = get(&bucket(&origin.base, hasty(300), None), 3).await;
    let error = error.unwrap_err();
    assert!(cause(&error).is_some_and(Error::is_timeout), "{error:?}");
}

#[tokio::test]
async fn headers_go_out_as_they_are() {
    let origin = Origin::playing([whole(b"abc")]).await;
    let store = bucket(&origin.base, client(), Some("T0K3N"));
    get(&store, 3).await.unwrap();
    let header = |name| origin.header(0, name);
    assert_eq!(header("authorization").as_deref(), Some("Bearer T0K3N"));
    assert_eq!(header("range").as_deref(), Some("bytes=0-2"));
    assert_eq!(header("accept-encoding").as_deref(), Some("identity"));
    assert_eq!(origin.base, format!("http://{}", header("host").unwrap()));
}

#[tokio::test]
async fn what_nobody_signed_is_asked_at_the_mirror() {
    let (host, mirror) = (Origin::start().await, Origin::start().await);
    let mut options = options(Duration::from_secs(5));
    let rule = format!("{}={}/gcs", host.base, mirror.base);
    options.mirrors = vec![rule.parse().unwrap()];
    let client = Client::new(options).unwrap();
    mirror.play([whole(b"abc")]);
    host.play([whole(b"def")]);
    let got = get(&bucket(&host.base, client.clone(), None), 3).await;
    assert_eq!(got.unwrap(), b"abc");
    assert_eq!(mirror.targets(), ["/gcs/b/o"]);
    let got = get(&bucket(&host.base, client, Some("T0K3N")), 3).await;
    assert_eq!(got.unwrap(), b"def");
    assert_eq!(mirror.asked().len(), 1);
}

#[tokio::test]
async fn plain_http_is_refused_by_the_rules_of_this_room() {
    let error = get(&bucket("http://gcs.example", client(), None), 3).await;
    let error = error.unwrap_err();
    assert!(
        matches!(cause(&error), Some(Error::PlainHttp { .. })),
        "{error:?}"
    );
}
