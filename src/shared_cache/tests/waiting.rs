//! Many models at once, and a bucket that does not answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::stand::{Fault, Stand, handle, publish, uploads};
use crate::handle::Handle;
use crate::shared_cache::{Error, SharedCache};

const SMALL: [(&str, &[u8]); 1] = [("saved_model.pb", b"graph")];

fn named(number: usize) -> Handle {
    Handle::parse(&format!("https://tfhub.dev/google/m{number}/1")).unwrap()
}

/// So many uploads at once; how often files were asked for.
fn begin(cache: &SharedCache, models: usize) -> Arc<AtomicUsize> {
    let asked: Arc<AtomicUsize> = Arc::default();
    for number in 0..models {
        let (cache, asked) = (cache.clone(), asked.clone());
        let pending = cache.begin(&named(number)).unwrap();
        tokio::spawn(async move {
            let files = || async move {
                asked.fetch_add(1, Ordering::SeqCst);
                Some(uploads(&SMALL.map(|(name, bytes)| (name, bytes.to_vec()))))
            };
            cache.publish(&named(number), files, pending).await
        });
    }
    asked
}

/// The end of a command is held up once, and not by every model.
#[tokio::test]
async fn a_dead_bucket_holds_up_nobody_who_wants_to_end() {
    let stand = Stand::start().await;
    stand.fault(|_, _| Fault::Hang);
    let cache = stand.cache_with("gs", |options| {
        options.timeout = Duration::from_millis(300);
    });
    let began = Instant::now();
    begin(&cache, 8);
    cache.settled().await;
    assert!(
        began.elapsed() < Duration::from_millis(1500),
        "{:?}",
        began.elapsed()
    );
    assert!(stand.asked().len() <= 2, "it is left alone");
}

/// Who may read and not write goes on reading.
#[tokio::test]
async fn a_bucket_that_may_not_be_written_is_not_left_alone() {
    let stand = Stand::start().await;
    publish(&stand.cache("gs"), &[("saved_model.pb", b"graph".to_vec())])
        .await
        .unwrap();
    stand.fault(|method, _| match method {
        "GET" => Fault::None,
        _ => Fault::Status(403),
    });
    let cache = stand.cache("gs");
    let pending = cache.begin(&named(1)).unwrap();
    let files = || async { panic!("nobody may write them") };
    let error = cache.publish(&named(1), files, pending).await.unwrap_err();
    assert!(matches!(error, Error::Bucket(error) if error.is_denied()));
    assert!(cache.find(&handle()).await.is_some());
}

#[tokio::test]
async fn what_waits_knows_nothing_of_its_files() {
    let stand = Stand::start().await;
    stand.fault(|method, _| match method {
        "GET" => Fault::None,
        _ => Fault::Hang,
    });
    let asked = begin(&stand.cache("gs"), 50);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(asked.load(Ordering::SeqCst), 0, "none has come to its turn");
    stand.fault(|_, _| Fault::None);
    let cache = stand.cache("gs");
    let asked = begin(&cache, 50);
    cache.settled().await;
    assert_eq!(asked.load(Ordering::SeqCst), 50);
}

#[tokio::test]
async fn no_more_wait_than_there_is_room_for() {
    let stand = Stand::start().await;
    let cache = stand.cache("gs");
    let begin = |number| cache.begin(&named(number));
    let begun: Vec<_> = (0..).map_while(begin).collect();
    assert_eq!(begun.len(), 4096);
    drop(begun);
    cache.settled().await;
    let begun = cache.begin(&named(0));
    assert!(begun.is_some());
    assert!(cache.begin(&named(0)).is_none(), "a model waits once");
    assert!(cache.begin(&named(1)).is_some());
}
