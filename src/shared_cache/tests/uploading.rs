//! One upload, however many hosts.

use std::time::Duration;

use futures_util::StreamExt;

use super::stand::{Fault, SHA1, Stand, handle, model, publish};
use crate::shared_cache::{SharedCache, UploadOutcome};

/// Reads the model through the bucket, and compares it.
pub async fn is_whole(cache: &SharedCache) {
    let folder = cache.find(&handle()).await.expect("it is there");
    let model = model();
    assert_eq!(folder.files.len(), model.len());
    for (file, (name, content)) in folder.files.iter().zip(model) {
        assert_eq!(
            (file.name.as_str(), file.size),
            (name, content.len() as u64)
        );
        assert_eq!(file.hashes.crc32c, Some(crc32c::crc32c(&content)));
        let mut read = Vec::new();
        let mut stream = file.from.read(0..file.size);
        while let Some(bytes) = stream.next().await {
            read.extend_from_slice(&bytes.unwrap());
        }
        assert!(read == content, "{name}");
    }
}

#[tokio::test]
async fn a_model_goes_and_comes_through_both_kinds_of_bucket() {
    for scheme in ["gs", "s3"] {
        let stand = Stand::start().await;
        let cache = stand.cache(scheme);
        assert!(cache.find(&handle()).await.is_none());
        let bytes = model()
            .iter()
            .map(|(_, content)| content.len() as u64)
            .sum();
        let sent = publish(&cache, &model()).await.unwrap();
        assert_eq!(sent, UploadOutcome::Sent(bytes));
        assert!(!cache.is_source_of(&handle()));
        is_whole(&stand.cache(scheme)).await;
        is_whole(&cache).await;
        assert!(cache.is_source_of(&handle()));
        // Exactly tensorflow_hub's names, and ours beside them.
        let names = [
            format!(".tfhub-fs/v1/manifests/{SHA1}"),
            format!("{SHA1}.descriptor.txt"),
            format!("{SHA1}/assets/vocab.txt"),
            format!("{SHA1}/saved_model.pb"),
            format!("{SHA1}/variables/variables.data-00000-of-00001"),
            format!("{SHA1}/variables/variables.index"),
        ];
        assert_eq!(stand.names(), names);
        assert_eq!(
            publish(&cache, &model()).await.unwrap(),
            UploadOutcome::Present
        );
    }
}

#[tokio::test]
async fn of_many_hosts_one_uploads() {
    let stand = Stand::start().await;
    let hosts = (0..5).map(|_| {
        let cache = stand.cache("gs");
        async move { publish(&cache, &model()).await.unwrap() }
    });
    let ended = futures_util::future::join_all(hosts).await;
    let sent = ended
        .iter()
        .filter(|end| matches!(end, UploadOutcome::Sent(_)));
    assert_eq!(sent.count(), 1, "{ended:?}");
    let asked = stand.asked();
    let begun = asked
        .iter()
        .filter(|line| line.contains("uploadType=resumable&name="));
    assert_eq!(begun.count(), 1, "the data goes once: {asked:#?}");
    is_whole(&stand.cache("gs")).await;
}

#[tokio::test]
async fn the_descriptor_is_last_and_before_it_what_makes_a_model() {
    let stand = Stand::start().await;
    let mut files = model();
    files.push(("tfhub_module.pb", b"module".to_vec()));
    publish(&stand.cache("gs"), &files).await.unwrap();
    let asked = stand.asked();
    let named: Vec<_> = ["manifests", "tfhub%5Fmodule", "saved%5Fmodel", "descriptor"]
        .iter()
        .map(|name| {
            let sent = |line: &String| line.starts_with("POST") && line.contains(name);
            asked.iter().position(sent).unwrap()
        })
        .collect();
    assert!(named.is_sorted(), "{asked:#?}");
    let data = asked.iter().rposition(|line| line.contains("upload_id="));
    assert!(data.unwrap() < named[0]);
}

#[tokio::test]
async fn what_a_dead_uploader_left_is_completed_and_not_sent_again() {
    for scheme in ["gs", "s3"] {
        let stand = Stand::start().await;
        let dying = stand.cache(scheme);
        // It never gets beyond the manifest.
        stand.fault(
            |method, uri| match method != "GET" && uri.contains("manifests") {
                true => Fault::Hang,
                false => Fault::None,
            },
        );
        let files = model();
        let cut = tokio::time::timeout(Duration::from_secs(1), publish(&dying, &files)).await;
        assert!(cut.is_err());
        let names = stand.names();
        assert!(names.contains(&format!("{SHA1}.lock")), "{names:?}");
        assert!(
            !names.iter().any(|name| name.ends_with("saved_model.pb")),
            "{names:?}"
        );
        stand.fault(|_, _| Fault::None);
        stand.asked();
        // Its process was of this host, and is gone.
        let next = stand.cache_with(scheme, |options| options.alive = |_| false);
        assert!(next.find(&handle()).await.is_none());
        let ended = publish(&next, &files).await.unwrap();
        is_whole(&next).await;
        assert!(!stand.names().contains(&format!("{SHA1}.lock")));
        assert_eq!(
            ended,
            UploadOutcome::Sent(5),
            "saved_model.pb alone was missing"
        );
    }
}

#[tokio::test]
async fn whoever_has_stopped_for_long_is_overtaken_and_no_sooner() {
    let stand = Stand::start().await;
    stand.put(
        &format!("{SHA1}.lock"),
        "other.example.77.0123456789abcdef0123456789abcdef",
    );
    let cache = stand.cache_with("gs", |options| options.stale = Duration::from_secs(3600));
    let files = model();
    let early = tokio::time::timeout(Duration::from_millis(300), publish(&cache, &files)).await;
    assert!(early.is_err());
    // It is not waited for by whoever wants to end.
    tokio::time::timeout(Duration::from_secs(5), cache.settled())
        .await
        .unwrap();
    let cache = stand.cache_with("gs", |options| options.stale = Duration::from_millis(200));
    assert!(matches!(
        publish(&cache, &files).await.unwrap(),
        UploadOutcome::Sent(_)
    ));
    is_whole(&cache).await;
}
