//! Many models at once, and a bucket that does not answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::stand::{Fault, Stand, handle, publish, uploads};
use crate::handle::Handle;
use crate::source::tier::{Tier, Unsent};

const SMALL: [(&str, &[u8]); 1] = [("saved_model.pb", b"graph")];

fn named(number: usize) -> Handle {
    Handle::parse(&format!("https://tfhub.dev/google/m{number}/1")).unwrap()
}

/// So many uploads at once; how often files were asked for.
fn begin(tier: &Tier, models: usize) -> Arc<AtomicUsize> {
    let asked: Arc<AtomicUsize> = Arc::default();
    for number in 0..models {
        let (tier, asked) = (tier.clone(), asked.clone());
        let under_way = tier.begin().unwrap();
        tokio::spawn(async move {
            let files = || async move {
                asked.fetch_add(1, Ordering::SeqCst);
                Some(uploads(&SMALL.map(|(name, bytes)| (name, bytes.to_vec()))))
            };
            tier.publish(&named(number), files, under_way).await
        });
    }
    asked
}

/// The end of a command is held up once, and not by every model.
#[tokio::test]
async fn a_dead_bucket_holds_up_nobody_who_wants_to_end() {
    let stand = Stand::start().await;
    stand.fault(|_, _| Fault::Hang);
    let tier = stand.tier_with("gs", |options| {
        options.patience = Duration::from_millis(300);
    });
    let began = Instant::now();
    begin(&tier, 8);
    tier.settled().await;
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
    publish(&stand.tier("gs"), &[("saved_model.pb", b"graph".to_vec())])
        .await
        .unwrap();
    stand.fault(|method, _| match method {
        "GET" => Fault::None,
        _ => Fault::Status(403),
    });
    let tier = stand.tier("gs");
    let under_way = tier.begin().unwrap();
    let files = || async { panic!("nobody may write them") };
    let error = tier.publish(&named(1), files, under_way).await.unwrap_err();
    assert!(matches!(error, Unsent::Bucket(error) if error.is_denied()));
    assert!(tier.find(&handle()).await.is_some());
}

#[tokio::test]
async fn what_waits_knows_nothing_of_its_files() {
    let stand = Stand::start().await;
    stand.fault(|method, _| match method {
        "GET" => Fault::None,
        _ => Fault::Hang,
    });
    let asked = begin(&stand.tier("gs"), 50);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(asked.load(Ordering::SeqCst), 0, "none has come to its turn");
    stand.fault(|_, _| Fault::None);
    let tier = stand.tier("gs");
    let asked = begin(&tier, 50);
    tier.settled().await;
    assert_eq!(asked.load(Ordering::SeqCst), 50);
}

#[tokio::test]
async fn no_more_wait_than_there_is_room_for() {
    let stand = Stand::start().await;
    let tier = stand.tier("gs");
    let begun: Vec<_> = std::iter::from_fn(|| tier.begin()).collect();
    assert_eq!(begun.len(), 4096);
    drop(begun);
    tier.settled().await;
    assert!(tier.begin().is_some());
}
