//! Whose lock it is, and whether they live.

use std::time::{Duration, Instant};

use super::stand::{Fault, SHA1, Stand, handle, model, publish};
use super::uploading::is_whole;
use crate::hubdir::{LockText, new_uid};
use crate::shared_cache::{SharedCache, SharedCacheOptions, UploadOutcome};

fn lock_of(stand: &Stand, place: Option<&str>) {
    let mut lock = LockText::new("host.example", new_uid().unwrap());
    if let Some(place) = place {
        lock = lock.marked(place);
    }
    stand.put(&format!("{SHA1}.lock"), lock.to_string());
}

/// A host to which no process number says anything.
fn lonely(stand: &Stand, change: impl FnOnce(&mut SharedCacheOptions)) -> SharedCache {
    stand.cache_with("gs", |options| {
        options.alive = |_| false;
        options.stale = Duration::from_secs(3600);
        change(options);
    })
}

/// Containers share a host's name and not its process numbers.
#[tokio::test]
async fn whoever_lives_in_another_container_is_not_taken_for_dead() {
    for place in [Some("another container"), None] {
        let stand = Stand::start().await;
        lock_of(&stand, place);
        let cache = lonely(&stand, |_| {});
        let files = model();
        let early = tokio::time::timeout(Duration::from_millis(400), publish(&cache, &files)).await;
        assert!(early.is_err(), "{place:?}: {early:?}");
        assert!(!stand.names().iter().any(|name| name.contains("variables")));
    }
}

#[tokio::test]
async fn whoever_is_gone_from_here_is_taken_for_dead_when_nothing_moves() {
    let stand = Stand::start().await;
    lock_of(&stand, Some("here"));
    let cache = lonely(&stand, |options| {
        options.quiet = Duration::from_millis(1500);
    });
    let files = model();
    let began = Instant::now();
    let publishing = publish(&cache, &files);
    tokio::pin!(publishing);
    let early = tokio::time::timeout(Duration::from_millis(400), &mut publishing).await;
    assert!(early.is_err(), "not at once");
    // It is soon: whoever wants to end waits for it.
    let settled = tokio::time::timeout(Duration::from_millis(100), cache.settled()).await;
    assert!(settled.is_err());
    assert!(matches!(publishing.await.unwrap(), UploadOutcome::Sent(_)));
    assert!(began.elapsed() < Duration::from_secs(20));
    is_whole(&cache).await;
}

/// Whoever has lost the lock writes neither manifest nor descriptor.
#[tokio::test]
async fn a_lock_that_was_taken_ends_the_upload_before_its_last_words() {
    let stand = Stand::start().await;
    let lock = stand.path(&format!("{SHA1}.lock"));
    stand.fault(move |method, uri| {
        if method != "GET" && uri.contains("index") {
            let thief = "other.example.7.0123456789abcdef0123456789abcdef";
            std::fs::write(&lock, thief).unwrap();
        }
        Fault::None
    });
    let error = publish(&stand.cache("gs"), &model()).await.unwrap_err();
    assert!(error.to_string().contains("taken over"), "{error}");
    let names = stand.names();
    let last = |name: &String| name.contains("manifests") || name.contains("descriptor");
    assert!(!names.iter().any(last), "{names:?}");
    assert!(names.contains(&format!("{SHA1}.lock")), "it is another's");
    assert!(stand.cache("gs").find(&handle()).await.is_none());
}
