//! `.tfhub_modules` and catalogs.

use super::hub::{Hub, given, model};
use super::*;
use crate::handle::{HandleList, Key};
use crate::models::testing::origin::answer;

const LINKS: &str = ".tfhub_modules";

fn link(spelled: &str) -> String {
    format!("{LINKS}/{}", Key::of(spelled))
}

async fn target(hub: &Hub, spelled: &str) -> Option<String> {
    let entry = hub.walk(&link(spelled)).await.ok()?;
    Some(hub.tree.readlink(entry.attr.node).unwrap())
}

fn catalog(hub: &Hub, text: &str) {
    let list = HandleList::parse(text, &hub.tree.shared.names).unwrap();
    hub.tree.set_catalog(&list);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_opened_has_its_name() {
    let hub = Hub::playing(given(&model())).await;
    let url = format!("{}/{MODEL}", hub.origin.base);
    assert_eq!(hub.names("").await.unwrap(), [LINKS]);
    assert!(hub.names(LINKS).await.unwrap().is_empty());
    for unknown in [
        link(&url),
        format!("{LINKS}/x"),
        format!("{}.lock", link(&url)),
    ] {
        let answer = hub.walk(&unknown).await;
        assert!(matches!(answer, Err(Error::NoEntry { .. })), "{unknown}");
    }
    hub.walk(&format!("{MODEL}?a=b")).await.unwrap();
    hub.walk(MODEL).await.unwrap();
    for ending in ["", "/", "?tfhub-redirect=true", "?a=b"] {
        let to = target(&hub, &format!("{url}{ending}")).await;
        assert_eq!(to.as_deref(), Some("../google/x/1"), "{ending}");
    }
    hub.walk(&format!("{MODEL}/?c=d")).await.unwrap();
    assert!(target(&hub, &format!("{url}/?c=d")).await.is_some());
    assert_eq!(hub.names(LINKS).await.unwrap().len(), 3, "as used");
    assert_eq!(hub.names("").await.unwrap(), [LINKS, "google"]);
    assert_eq!(hub.origin.targets().len(), 1, "names cost no request");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_has_no_name() {
    let hub = Hub::playing([answer(&["404 Not Found", "Content-Length: 0"], b"")]).await;
    hub.walk(&format!("{MODEL}?a=b")).await.unwrap();
    assert!(hub.walk(MODEL).await.is_err());
    let url = format!("{}/{MODEL}", hub.origin.base);
    assert_eq!(target(&hub, &url).await, None);
    assert_eq!(target(&hub, &format!("{url}?a=b")).await, None);
    assert!(hub.names(LINKS).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_cached_has_its_name_at_once() {
    let hub = Hub::playing([]).await;
    let spelled = format!("{}/{MODEL}?x=y", hub.origin.base);
    let entry = hub.cache.path().join(Key::of(&spelled).to_string());
    std::fs::create_dir(&entry).unwrap();
    let descriptor = format!(
        "Module: {spelled}\nDownload Time: 2024-01-01 00:00:00\nDownloader Hostname: h (PID:1)"
    );
    std::fs::write(entry.with_extension("descriptor.txt"), descriptor).unwrap();
    assert_eq!(
        target(&hub, &spelled).await.as_deref(),
        Some("../google/x/1")
    );
    assert_eq!(hub.names("google").await.unwrap(), ["x"]);
    assert_eq!(hub.names(LINKS).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_is_shown_and_replaced() {
    let hub = Hub::playing(given(&model())).await;
    let base = hub.origin.base.clone();
    catalog(
        &hub,
        &format!("{base}/{MODEL}\n{base}/google/y/2?q=1\n{base}/google/z"),
    );
    assert_eq!(hub.names("google").await.unwrap(), ["x", "y", "z"]);
    assert_eq!(hub.names(LINKS).await.unwrap().len(), 4);
    let to = target(&hub, &format!("{base}/google/y/2?q=1")).await;
    assert_eq!(to.as_deref(), Some("../google/y/2"));
    let to = target(&hub, &format!("{base}/google/z")).await;
    assert_eq!(to.as_deref(), Some("../google/z/latest"));
    assert!(hub.origin.targets().is_empty());
    hub.walk(MODEL).await.unwrap();
    catalog(&hub, "https://tfhub.dev/google/w/1");
    assert_eq!(hub.names("google").await.unwrap(), ["x"]);
    assert_eq!(hub.names("").await.unwrap(), [LINKS, "google", "tfhub.dev"]);
    assert_eq!(target(&hub, &format!("{base}/google/z")).await, None);
    assert!(target(&hub, &format!("{base}/{MODEL}")).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_begins_no_download_where_it_must_not() {
    let hub = Hub::crawled(given(&model())).await;
    assert!(hub.names(MODEL).await.unwrap().is_empty());
    assert_eq!(hub.origin.targets().len(), 1, "the stat alone");
    assert_eq!(hub.read("google/x/1/saved_model.pb").await.unwrap(), GRAPH);
    let names = hub.names(MODEL).await.unwrap();
    assert_eq!(names, ["assets", "saved_model.pb"]);
}
