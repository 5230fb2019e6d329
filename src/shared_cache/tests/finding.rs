//! Which copies are used.

use super::stand::{Fault, SHA1, Stand, handle, model, publish};

const DESCRIPTOR: &str = "Module: https://tfhub.dev/google/yamnet/1\nDownload Time: 2026-01-02 03:04:05.000006\nDownloader Hostname: h (PID:7)";

/// As tensorflow_hub leaves a model.
fn of_tensorflow_hub(stand: &Stand) {
    for (name, content) in model() {
        stand.put(&format!("{SHA1}/{name}"), content);
    }
    stand.put(&format!("{SHA1}.descriptor.txt"), DESCRIPTOR);
}

#[tokio::test]
async fn a_copy_of_tensorflow_hubs_is_used() {
    let stand = Stand::start().await;
    of_tensorflow_hub(&stand);
    let folder = stand.cache("gs").find(&handle()).await.unwrap();
    assert_eq!(folder.files.len(), model().len());
    assert_eq!(folder.shown, format!("gs://cache/models/{SHA1}"));
    assert!(folder.files.iter().all(|file| !file.version.is_empty()));
}

#[tokio::test]
async fn a_copy_that_lacks_something_is_not_used_and_mended() {
    for missing in [
        "/saved_model.pb",
        "/variables/variables.index",
        "/variables/variables.data-00000-of-00001",
        ".descriptor.txt",
    ] {
        let stand = Stand::start().await;
        of_tensorflow_hub(&stand);
        std::fs::remove_file(stand.path(&format!("{SHA1}{missing}"))).unwrap();
        let cache = stand.cache("gs");
        assert!(cache.find(&handle()).await.is_none(), "{missing}");
        stand.asked();
        assert!(missing.ends_with(".txt") || cache.find(&handle()).await.is_none());
        assert!(
            missing.ends_with(".txt") || stand.asked().is_empty(),
            "once is enough"
        );
        publish(&cache, &model()).await.unwrap();
        assert!(cache.find(&handle()).await.is_some(), "{missing}");
    }
}

#[tokio::test]
async fn a_descriptor_that_lies_is_not_believed() {
    let stand = Stand::start().await;
    of_tensorflow_hub(&stand);
    stand.put(
        &format!("{SHA1}.descriptor.txt"),
        DESCRIPTOR.replace("yamnet/1", "yamnet/2"),
    );
    let cache = stand.cache("gs");
    assert!(cache.find(&handle()).await.is_none());
    publish(&cache, &model()).await.unwrap();
    assert!(cache.find(&handle()).await.is_some());
}

#[tokio::test]
async fn what_tensorflow_hub_is_still_moving_is_not_used() {
    let stand = Stand::start().await;
    of_tensorflow_hub(&stand);
    stand.put(
        &format!("{SHA1}.lock"),
        "h.7.0123456789abcdef0123456789abcdef",
    );
    let cache = stand.cache("gs");
    assert!(cache.find(&handle()).await.is_none());
    std::fs::remove_file(stand.path(&format!("{SHA1}.lock"))).unwrap();
    assert!(cache.find(&handle()).await.is_some());
}

#[tokio::test]
async fn a_copy_that_is_not_what_its_manifest_says_is_not_used() {
    for (name, content) in [
        ("/saved_model.pb", "other"),
        ("/saved_model.pb", "longer than before"),
        ("", "{}"),
        ("", "{\"handle\":\"x\",\"files\":[]}"),
        ("", "\u{0}"),
    ] {
        let stand = Stand::start().await;
        publish(&stand.cache("gs"), &model()).await.unwrap();
        match name {
            "" => stand.put(&format!(".tfhub-fs/v1/manifests/{SHA1}"), content),
            name => stand.put(&format!("{SHA1}{name}"), content),
        }
        let cache = stand.cache("gs");
        assert!(cache.find(&handle()).await.is_none(), "{name} {content}");
        publish(&cache, &model()).await.unwrap();
        assert!(cache.find(&handle()).await.is_some());
    }
}

#[tokio::test]
async fn what_does_not_belong_to_it_is_not_shown() {
    let stand = Stand::start().await;
    publish(&stand.cache("gs"), &model()).await.unwrap();
    stand.put(&format!("{SHA1}/junk/x"), "x");
    let folder = stand.cache("gs").find(&handle()).await.unwrap();
    assert_eq!(folder.files.len(), model().len());
    assert_eq!(folder.dirs, [""; 0]);
}

#[tokio::test]
async fn a_copy_that_failed_is_passed_over() {
    let stand = Stand::start().await;
    let cache = stand.cache("gs");
    publish(&cache, &model()).await.unwrap();
    assert!(cache.find(&handle()).await.is_some());
    assert!(cache.record_failure(&handle(), false));
    assert!(cache.find(&handle()).await.is_none());
    assert!(!cache.is_source_of(&handle()));
}

#[tokio::test]
async fn a_miss_costs_one_request() {
    let stand = Stand::start().await;
    stand.fault(|_, _| Fault::None);
    assert!(stand.cache("gs").find(&handle()).await.is_none());
    assert_eq!(stand.asked().len(), 1);
}
