//! Copies that are wrong, and how they become right.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::stand::{Fault, SHA1, Stand, handle, model, publish};
use super::uploading::is_whole;
use crate::shared_cache::UploadOutcome;

const DATA: &str = "variables/variables.data-00000-of-00001";

/// Of the same size, and of other bytes.
fn spoil(stand: &Stand, name: &str) {
    let path = stand.path(&format!("{SHA1}/{name}"));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[0] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// S3 tells no checksums in its listings, so the copy looks right to everybody.
#[tokio::test]
async fn a_copy_that_was_found_wrong_by_its_bytes_is_mended() {
    for name in [DATA, "assets/vocab.txt", "saved_model.pb"] {
        let stand = Stand::start().await;
        publish(&stand.cache("s3"), &model()).await.unwrap();
        spoil(&stand, name);
        let (cache, other) = (stand.cache("s3"), stand.cache("s3"));
        for cache in [&cache, &other] {
            assert!(cache.find(&handle()).await.is_some(), "it looks right");
            assert!(cache.record_failure(&handle(), true));
            assert!(cache.find(&handle()).await.is_none());
        }
        let size = model().iter().find(|file| file.0 == name).unwrap().1.len();
        let sent = publish(&cache, &model()).await.unwrap();
        assert_eq!(
            sent,
            UploadOutcome::Sent(size as u64),
            "the wrong file and no other"
        );
        is_whole(&stand.cache("s3")).await;
        // Whoever has met it too finds that somebody has mended it.
        assert_eq!(
            publish(&other, &model()).await.unwrap(),
            UploadOutcome::Present
        );
    }
}

/// Nobody who asks while a copy is mended takes it for a model.
#[tokio::test]
async fn a_copy_that_is_mended_has_no_descriptor_meanwhile() {
    for scheme in ["gs", "s3"] {
        let stand = Stand::start().await;
        publish(&stand.cache(scheme), &model()).await.unwrap();
        std::fs::remove_file(stand.path(&format!("{SHA1}/saved_model.pb"))).unwrap();
        spoil(&stand, "assets/vocab.txt");
        let descriptor = stand.path(&format!("{SHA1}.descriptor.txt"));
        let seen: Arc<Mutex<Vec<bool>>> = Arc::default();
        let (told, at) = (seen.clone(), descriptor.clone());
        stand.fault(move |method, uri| {
            if method != "GET" && method != "HEAD" && uri.contains("vocab") {
                told.lock().push(at.exists());
            }
            Fault::None
        });
        publish(&stand.cache(scheme), &model()).await.unwrap();
        assert_eq!(*seen.lock(), [false], "{scheme}");
        assert!(descriptor.exists());
        is_whole(&stand.cache(scheme)).await;
    }
}

/// Not to be told from a stranger's copy: it may be one.
#[tokio::test]
async fn a_descriptor_that_somebody_writes_meanwhile_is_not_taken_down() {
    let stand = Stand::start().await;
    publish(&stand.cache("gs"), &model()).await.unwrap();
    std::fs::remove_file(stand.path(&format!("{SHA1}/saved_model.pb"))).unwrap();
    let path = stand.path(&format!("{SHA1}.descriptor.txt"));
    let at = path.clone();
    stand.fault(move |method, uri| {
        if method == "DELETE" && uri.contains("descriptor") {
            std::fs::write(&at, "Module: https://tfhub.dev/google/yamnet/1\nanother's").unwrap();
        }
        Fault::None
    });
    publish(&stand.cache("gs"), &model()).await.unwrap_err();
    assert!(std::fs::read_to_string(path).unwrap().contains("another's"));
}

#[tokio::test]
async fn a_model_that_the_bucket_has_lost_is_left_there_again() {
    let stand = Stand::start().await;
    let cache = stand.cache("gs");
    publish(&cache, &model()).await.unwrap();
    assert!(cache.find(&handle()).await.is_some() && cache.is_source_of(&handle()));
    std::fs::remove_dir_all(stand.path("")).unwrap();
    assert!(cache.find(&handle()).await.is_none());
    assert!(
        !cache.is_source_of(&handle()),
        "it is nobody's but this host's"
    );
    assert!(matches!(
        publish(&cache, &model()).await.unwrap(),
        UploadOutcome::Sent(_)
    ));
    is_whole(&cache).await;
}

/// A mending that did not come to its end has mended nothing.
#[tokio::test]
async fn a_wrong_copy_stays_wrong_until_it_is_mended() {
    let stand = Stand::start().await;
    publish(&stand.cache("s3"), &model()).await.unwrap();
    spoil(&stand, DATA);
    let cache = stand.cache("s3");
    assert!(cache.find(&handle()).await.is_some());
    cache.record_failure(&handle(), true);
    stand.fault(
        |method, uri| match method == "PUT" && uri.contains("data") {
            true => Fault::Status(403),
            false => Fault::None,
        },
    );
    publish(&cache, &model()).await.unwrap_err();
    stand.fault(|_, _| Fault::None);
    assert!(stand.cache("s3").find(&handle()).await.is_none());
    let sent = tokio::time::timeout(Duration::from_secs(20), publish(&cache, &model())).await;
    assert!(matches!(sent.unwrap().unwrap(), UploadOutcome::Sent(_)));
    is_whole(&stand.cache("s3")).await;
}
