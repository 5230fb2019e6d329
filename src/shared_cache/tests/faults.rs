//! A bucket that denies, disappears, or loses answers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::stand::{Fault, Stand, handle, model, publish};
use crate::shared_cache::{Error, UploadOutcome};

#[tokio::test]
async fn an_answer_that_was_lost_is_no_other_hosts_doing() {
    for scheme in ["gs", "s3"] {
        let stand = Stand::start().await;
        let count = AtomicUsize::new(0);
        // Every other change is done and not told of.
        stand.fault(move |method, _| {
            match method != "GET"
                && method != "HEAD"
                && count.fetch_add(1, Ordering::SeqCst).is_multiple_of(2)
            {
                true => Fault::LostAnswer,
                false => Fault::None,
            }
        });
        let ended = publish(&stand.cache(scheme), &model()).await.unwrap();
        assert!(matches!(ended, UploadOutcome::Sent(_)), "{scheme}");
        stand.fault(|_, _| Fault::None);
        assert!(stand.cache(scheme).find(&handle()).await.is_some());
        assert!(!stand.names().iter().any(|name| name.ends_with(".lock")));
    }
}

#[tokio::test]
async fn a_bucket_that_fails_is_a_miss_and_left_alone() {
    for fault in [
        Fault::Status(403),
        Fault::Status(404),
        Fault::Status(400),
        Fault::Hang,
    ] {
        let stand = Stand::start().await;
        publish(&stand.cache("gs"), &model()).await.unwrap();
        stand.asked();
        stand.fault(move |_, _| fault);
        let cache = stand.cache_with("gs", |options| options.timeout = Duration::from_millis(300));
        let began = Instant::now();
        assert!(cache.find(&handle()).await.is_none());
        assert!(began.elapsed() < Duration::from_secs(2));
        let asked = stand.asked().len();
        stand.fault(|_, _| Fault::None);
        let again = cache.find(&handle()).await;
        // What is not found is no failure.
        assert_eq!(again.is_none(), fault != Fault::Status(404), "{fault:?}");
        assert_eq!(
            stand.asked().is_empty(),
            fault != Fault::Status(404),
            "{asked}"
        );
    }
}

#[tokio::test]
async fn an_upload_that_is_denied_is_an_error_and_leaves_no_model() {
    let stand = Stand::start().await;
    stand.fault(|method, _| match method {
        "GET" => Fault::None,
        _ => Fault::Status(403),
    });
    let error = publish(&stand.cache("gs"), &model()).await.unwrap_err();
    assert!(
        matches!(&error, Error::Bucket(error) if error.is_denied()),
        "{error}"
    );
    assert_eq!(stand.names(), [""; 0]);
}

#[tokio::test]
async fn a_bucket_that_goes_in_the_middle_leaves_nothing_that_looks_like_a_model() {
    let stand = Stand::start().await;
    let count = AtomicUsize::new(0);
    stand.fault(move |_, uri| {
        let gone = uri.contains("upload_id=") && count.fetch_add(1, Ordering::SeqCst) > 0;
        if gone {
            Fault::Status(410)
        } else {
            Fault::None
        }
    });
    publish(&stand.cache("gs"), &model()).await.unwrap_err();
    stand.fault(|_, _| Fault::None);
    let cache = stand.cache("gs");
    assert!(cache.find(&handle()).await.is_none());
    assert!(matches!(
        publish(&cache, &model()).await.unwrap(),
        UploadOutcome::Sent(_)
    ));
    assert!(cache.find(&handle()).await.is_some());
}

/// What is left of a large object that is never completed is paid for until somebody deletes it.
#[tokio::test]
async fn an_upload_that_is_cancelled_is_aborted() {
    for (scheme, part) in [("gs", "upload_id="), ("s3", "partNumber=2")] {
        let stand = Stand::start().await;
        let parts = AtomicUsize::new(0);
        stand.fault(move |method, uri| {
            let hangs = method == "PUT" && uri.contains(part);
            match hangs && (scheme == "s3" || parts.fetch_add(1, Ordering::SeqCst) > 0) {
                true => Fault::Hang,
                false => Fault::None,
            }
        });
        let files = model();
        let cache = stand.cache(scheme);
        let cut = tokio::time::timeout(Duration::from_millis(1500), publish(&cache, &files)).await;
        assert!(cut.is_err(), "{scheme}: it was on its way");
        stand.fault(|_, _| Fault::None);
        let mut asked = stand.asked();
        assert!(asked.iter().any(|line| line.contains(part)), "{asked:#?}");
        for _ in 0..40 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            asked.extend(stand.asked());
        }
        let aborted = asked.iter().filter(|line| {
            line.starts_with("DELETE") && line.to_lowercase().replace('_', "").contains("uploadid=")
        });
        assert_eq!(aborted.count(), 1, "{scheme}: {asked:#?}");
    }
}
