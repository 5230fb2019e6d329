//! Who is told who asks, and what is said when nobody may.

use super::stand::{Stand, google, reply};
use super::{at, buckets, reached};
use crate::bucket::{BucketOptions, Buckets};

/// With a file of credentials that are none.
fn with_broken_credentials(base: &str) -> (tempfile::TempDir, Buckets) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key.json");
    std::fs::write(&file, "{}").unwrap();
    let buckets = reached(BucketOptions {
        gcs_endpoint: Some(base.to_owned()),
        gcs_credentials: Some(file.to_str().unwrap().to_owned()),
        ..BucketOptions::default()
    });
    (dir, buckets)
}

#[tokio::test]
async fn broken_credentials_keep_nobody_from_what_is_public() {
    let stand = Stand::start(|_| google(&[("m/a", 1, 1)], &[], "")).await;
    let (_dir, buckets) = with_broken_credentials(&stand.base);
    let folder = buckets.folder(&at("gs://bucket/m")).await.unwrap();
    assert_eq!(folder.files.len(), 1);
    assert!(!stand.asked()[0].headers.contains_key("authorization"));
}

#[tokio::test]
async fn a_refusal_says_what_to_set_and_what_is_broken() {
    let words = r#"{"error":{"code":401,"message":"Anonymous caller does not have access"}}"#;
    let stand = Stand::start(move |_| reply(401, words)).await;
    let error = buckets(&stand.base).folder(&at("gs://bucket/m")).await;
    let error = error.unwrap_err();
    let text = error.to_string();
    assert!(
        error.is_denied() && text.contains("Anonymous caller"),
        "{text}"
    );
    assert!(text.contains("GOOGLE_APPLICATION_CREDENTIALS"), "{text}");

    let (_dir, buckets) = with_broken_credentials(&stand.base);
    let error = buckets.folder(&at("gs://bucket/m")).await.unwrap_err();
    let text = error.to_string();
    assert!(
        error.is_denied() && text.contains("cannot be used"),
        "{text}"
    );
    assert!(!text.contains('\n'), "{text}");
}
