//! The whole filesystem without a mount, against a scripted origin.

mod hub;
mod invalidate;
mod modules;

use std::time::Duration;

use self::hub::{Hub, archive, given, model, noise};
use super::nodes::ROOT;
use super::*;
use crate::models;
use crate::models::testing::origin::{answer, full, probed, redirect};

const GRAPH: &[u8] = b"a graph";
const MODEL: &str = "google/x/1";

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_asked_for_once_fetched_once_and_sealed() {
    let hub = Hub::playing(given(&model())).await;
    assert_eq!(hub.walk(MODEL).await.unwrap().ttl, Ttl::Short);
    assert_eq!(hub.origin.targets().len(), 1, "a stat is one request");
    assert_eq!(hub.read("google/x/1/saved_model.pb").await.unwrap(), GRAPH);
    assert_eq!(
        hub.names(MODEL).await.unwrap(),
        ["assets", "saved_model.pb"]
    );
    hub.sealed().await;
    let root = hub.walk(MODEL).await.unwrap();
    assert_eq!(root.ttl, Ttl::Forever, "nothing in it changes any more");
    assert_eq!(hub.tree.getattr(root.attr.node).unwrap(), root);
    let file = hub.walk("google/x/1/saved_model.pb").await.unwrap();
    assert_eq!((file.attr.size, file.ttl), (7, Ttl::Forever));
    let absent = hub.walk("google/x/1/fingerprint.pb").await;
    assert!(matches!(absent, Err(Error::NoEntry { forever: true })));
    let opened = hub.tree.open(file.attr.node).get().await.unwrap();
    assert!(opened.sealed.is_some());
    let rest = hub.tree.read(opened.handle, 2, 100).get().await.unwrap();
    assert_eq!(*rest, GRAPH[2..]);
    assert_eq!(hub.tree.open_files(), 1);
    hub.tree.close(opened.handle);
    assert_eq!(hub.names("google/x").await.unwrap(), ["1", "latest"]);
    assert_eq!(hub.names("google").await.unwrap(), ["x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_model_is_asked_for_once_in_a_while() {
    let hub = Hub::playing([answer(&["404 Not Found", "Content-Length: 0"], b"")]).await;
    for _ in 0..3 {
        let answer = hub.walk(MODEL).await;
        assert!(matches!(answer, Err(Error::Model(why)) if why.is_not_found()));
    }
    // Once in either form.
    assert_eq!(
        hub.origin.targets(),
        ["compressed", "uncompressed"].map(|form| format!("/{MODEL}?tf-hub-format={form}"))
    );
    assert!(hub.names("google/x").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_can_be_no_handle_cost_no_request() {
    let hub = Hub::playing([]).await;
    for path in [
        ".git",
        "google/.Trash",
        "saved_model.pb",
        "gs:/b",
        "google/x/variables.index",
    ] {
        let answer = hub.walk(path).await;
        assert!(
            matches!(answer, Err(Error::NoEntry { forever: true })),
            "{path}"
        );
    }
    let long = hub.walk(&"a".repeat(256)).await;
    assert!(matches!(long, Err(Error::NameTooLong)));
    let deep = hub.walk(&["a"; 4096].join("/")).await;
    assert!(matches!(deep, Err(Error::NameTooLong)), "{deep:?}");
    assert!(hub.names("google/x").await.is_ok());
    let other = hub.tree.xattr(ROOT, "security.selinux").get().await;
    assert!(matches!(other, Err(Error::NoAttribute)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_archive_is_an_error_for_every_reader_and_the_next_open_tries_again() {
    let whole = archive(&[("saved_model.pb", GRAPH), ("big", &noise(1 << 20))]);
    let mut broken = whole.clone();
    let middle = broken.len() / 2;
    broken[middle..].fill(0);
    let hub = Hub::playing(given(&broken)).await;
    let (absent, listed) = tokio::join!(hub.walk("google/x/1/not_there"), hub.names(MODEL));
    for error in [absent.unwrap_err(), listed.unwrap_err()] {
        let Error::Model(models::Error::Archive { .. }) = error else {
            panic!("{error:?}");
        };
    }
    hub.origin.play(given(&whole));
    assert_eq!(hub.read("google/x/1/saved_model.pb").await.unwrap(), GRAPH);
    hub.sealed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_origin_is_a_timeout_and_not_an_abandoned_fill() {
    let whole = archive(&[("saved_model.pb", GRAPH), ("big", &noise(1 << 20))]);
    let stall = full(&whole, &[]).hang(whole.len() / 2);
    let patience = Duration::from_millis(500);
    let hub = Hub::patient([probed(&whole, &[]), stall], patience).await;
    match hub.walk("google/x/1/not_there").await.unwrap_err() {
        Error::Model(models::Error::Stalled { .. }) => {}
        Error::Model(models::Error::Source(why)) => assert!(why.is_timeout(), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn latest_is_asked_for_once_a_minute_and_leads_to_a_version() {
    let model = model();
    let hub = Hub::playing([redirect(302, "/google/x/3"), probed(&model, &[])]).await;
    for _ in 0..3 {
        let latest = hub.walk("google/x/latest").await.unwrap();
        assert_eq!((latest.attr.kind, latest.ttl), (Kind::Link, Ttl::Short));
        assert_eq!(hub.tree.readlink(latest.attr.node).unwrap(), "3");
        assert_eq!(hub.names("google/x").await.unwrap(), ["3", "latest"]);
    }
    assert_eq!(hub.origin.targets().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_on_the_way_to_a_known_model_is_a_directory_without_a_request() {
    let hub = Hub::playing([]).await;
    hub.tree
        .shared
        .known
        .insert("google/tfjs-model/spice/2/default/1");
    let way = hub.walk("google/tfjs-model/spice/2").await.unwrap();
    assert_eq!((way.attr.kind, way.ttl), (Kind::Directory, Ttl::Forever));
    assert_eq!(
        hub.names("google/tfjs-model/spice/2").await.unwrap(),
        ["default"]
    );
    assert_eq!(hub.origin.targets(), [""; 0]);
    assert!(
        hub.walk("google/tfjs-model/other/2").await.is_err(),
        "nothing is known below it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pasted_query_is_a_link_wherever_it_stands() {
    let hub = Hub::playing(given(&model())).await;
    for (path, target) in [
        ("google/x/1?tfhub-redirect=true", "1"),
        ("google/x/1/?tfhub-redirect=true", "."),
    ] {
        let link = hub.walk(path).await.unwrap();
        assert_eq!(hub.tree.readlink(link.attr.node).unwrap(), target, "{path}");
    }
    assert_eq!(hub.origin.targets().len(), 1, "and fetches nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_copy_is_fetched_again() {
    let hub = Hub::playing(given(&model())).await;
    assert_eq!(hub.read("google/x/1/saved_model.pb").await.unwrap(), GRAPH);
    hub.sealed().await;
    std::fs::remove_file(hub.file_in_cache("assets/vocab.txt")).unwrap();
    hub.origin.play(given(&model()));
    assert_eq!(
        hub.read("google/x/1/assets/vocab.txt").await.unwrap(),
        b"words"
    );
    hub.sealed().await;
    assert!(hub.origin.is_done());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_shrinks_while_open_is_an_error_and_never_a_short_read() {
    let hub = Hub::playing(given(&model())).await;
    hub.read("google/x/1/saved_model.pb").await.unwrap();
    hub.sealed().await;
    let node = hub
        .walk("google/x/1/saved_model.pb")
        .await
        .unwrap()
        .attr
        .node;
    let opened = hub.tree.open(node).get().await.unwrap();
    std::fs::write(hub.file_in_cache("saved_model.pb"), b"a").unwrap();
    let short = hub.tree.read(opened.handle, 0, 100).get().await;
    assert!(matches!(short, Err(Error::Disk { .. })), "{short:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_kernel_has_forgotten_is_stale() {
    let hub = Hub::playing([]).await;
    let google = hub.walk("google").await.unwrap().attr.node;
    hub.walk("google").await.unwrap();
    hub.tree.forget(google, 1);
    assert!(hub.tree.getattr(google).is_ok());
    hub.tree.forget(google, 1);
    for answer in [
        hub.tree.getattr(google),
        hub.tree.lookup(google, "x").get().await,
    ] {
        assert!(matches!(answer, Err(Error::Stale)));
    }
    assert!(matches!(
        hub.tree.read(1, 0, 1).get().await,
        Err(Error::Stale)
    ));
}
