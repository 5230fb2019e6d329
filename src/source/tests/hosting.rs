//! The hosting protocol: archives, refusals, versions.

use super::*;

const ARCHIVE: &[u8] = b"\x1f\x8b archive";

fn archive() -> Answer {
    full(ARCHIVE, &[])
}

async fn refused(url: &str, answers: Vec<Answer>) -> Error {
    let (_origin, source) = world(LoadFormat::Auto, answers).await;
    source.plan(&handle(url)).await.unwrap_err()
}

#[tokio::test]
async fn a_plan_costs_one_request_per_hop() {
    let signed = "https://storage.googleapis.com/b/archive.tar.gz?X-Goog-Signature=S3CR3T";
    let (origin, source) = world(
        LoadFormat::Auto,
        vec![
            redirect(
                302,
                format!("{KAGGLE}/3?tf-hub-format=compressed&tfhub-redirect=true"),
            ),
            redirect(302, signed),
            archive(),
        ],
    )
    .await;
    let asked = handle("https://tfhub.dev/google/x/1?pasted=1");
    let resource = web(&source.plan(&asked).await.unwrap());
    assert_eq!(resource.size, Some(ARCHIVE.len() as u64));
    assert_eq!(
        resource.start(),
        "https://tfhub.dev/google/x/1?tf-hub-format=compressed"
    );
    assert_eq!(
        origin.targets(),
        [
            "/hub/google/x/1?tf-hub-format=compressed",
            "/kaggle/models/google/x/tensorFlow2/y/3?tf-hub-format=compressed&tfhub-redirect=true",
            "/gcs/b/archive.tar.gz?X-Goog-Signature=S3CR3T",
        ]
    );
}

#[tokio::test]
async fn an_unknown_model_points_to_kaggle() {
    let missing = || answer(&["404 Not Found", "Content-Length: 0"], b"");
    let start_page = redirect(302, "https://www.kaggle.com/models?tfhub-redirect=true");
    for answers in [
        vec![missing()],
        vec![answer(&["410 Gone", "Content-Length: 0"], b"")],
        vec![start_page, full(b"<!doctype html>", &[HTML])],
        vec![full(b"<html>", &[HTML])],
    ] {
        let error = refused("https://tfhub.dev/silero/silero-stt/en/1", answers).await;
        let text = error.to_string();
        assert!(error.is_not_found(), "{text}");
        assert!(
            text.starts_with("https://tfhub.dev/silero/silero-stt/en/1 is unknown: http"),
            "{text}"
        );
        assert!(
            text.contains("answered 4") || text.contains("answered 200"),
            "{text}"
        );
        assert!(
            text.ends_with("look at https://www.kaggle.com/models/silero"),
            "{text}"
        );
    }
    let text = refused(&format!("{KAGGLE}/9"), vec![missing()])
        .await
        .to_string();
    assert!(
        text.ends_with("listed at https://www.kaggle.com/models/google/x"),
        "{text}"
    );
}

/// Kaggle's start page is no model even where its type is not told.
#[tokio::test]
async fn kaggles_start_page_is_no_archive() {
    let start_page = redirect(302, "https://www.kaggle.com/models?tfhub-redirect=true");
    assert!(
        refused("https://tfhub.dev/a/b/1", vec![start_page, archive()])
            .await
            .is_not_found()
    );
}

#[tokio::test]
async fn a_refusal_says_what_it_may_need() {
    let consent = br#"{"code":403,"message":"User has not consented to terms of use."}"#;
    for status in ["403 Forbidden", "401 Unauthorized"] {
        let error = refused(&format!("{KAGGLE}/1"), vec![answer(&[status], consent)]).await;
        let text = error.to_string();
        assert!(error.is_denied(), "{text}");
        assert!(
            text.contains("User has not consented to terms of use.") && text.contains(&status[..3]),
            "{text}"
        );
        assert!(
            text.contains("accept its terms at https://www.kaggle.com/models/google/x,"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn trouble_is_told_apart_from_absence() {
    let down = || {
        (0..20)
            .map(|_| answer(&["500 Oops", "Content-Length: 0"], b""))
            .collect::<Vec<_>>()
    };
    let error = refused("https://tfhub.dev/a/b/1", down()).await;
    assert!(matches!(error, Error::Failed { .. }), "{error}");
    assert!(
        error.to_string().contains("answered 500 (") && error.to_string().contains("--mirror"),
        "{error}"
    );

    let later = answer(
        &["429 Slow down", "Retry-After: 999", "Content-Length: 0"],
        b"",
    );
    let error = refused("https://tfhub.dev/a/b/1", vec![later]).await;
    assert!(
        error.is_timeout() && error.to_string().contains("429"),
        "{error}"
    );

    let error = refused(
        "https://tfhub.dev/a/b/1",
        vec![archive().headless().hanging()],
    )
    .await;
    assert!(error.is_timeout(), "{error}");

    let plain = redirect(302, "http://elsewhere.example/x?token=S3CR3T");
    let error = refused("https://tfhub.dev/a/b/1", vec![plain]).await;
    assert!(
        matches!(error, Error::Failed { .. }) && !error.to_string().contains("S3CR3T"),
        "{error}"
    );
}

#[tokio::test]
async fn the_newest_version_is_told_by_the_redirects() {
    let compressed = "tf-hub-format=compressed";
    let signed = || {
        redirect(
            302,
            "https://storage.googleapis.com/b/630/763/archive.tar.gz?s=1",
        )
    };
    // What redirects to, and what that means.
    for (location, version) in [
        (format!("{HUB}/12?{compressed}"), Some(12)),
        (format!("/hub/google/x/3?{compressed}"), Some(3)),
        (format!("x/4?{compressed}"), Some(4)),
        (format!("{HUB}/007"), None),
        (format!("{HUB}y/3"), None),
        (format!("{KAGGLE}/5?{compressed}&tfhub-redirect=true"), None),
        (
            String::from("/kaggle/models/google/x/tensorFlow2/y/5"),
            None,
        ),
    ] {
        let (origin, source) = world(
            LoadFormat::Auto,
            vec![redirect(302, &location), signed(), archive()],
        )
        .await;
        let newest = source.newest(&handle(HUB)).await.unwrap();
        assert_eq!(origin.asked().len(), 3);
        match (&newest, version) {
            (Newest::Version(told), Some(version)) => assert_eq!(*told, version, "{location}"),
            (Newest::Elsewhere(told), None) if location.contains("models") => {
                assert_eq!(told.url(), format!("{KAGGLE}/5"), "{location}");
            }
            (Newest::Elsewhere(told), None) => assert_eq!(told.url(), location),
            _ => panic!("{location}: {newest:?}"),
        }
    }
    for answers in [vec![archive()], vec![signed(), archive()]] {
        let (_origin, source) = world(LoadFormat::Auto, answers).await;
        assert!(matches!(
            source.newest(&handle(HUB)).await.unwrap(),
            Newest::Unnumbered
        ));
    }
}

#[tokio::test]
async fn an_unversioned_kaggle_handle_tells_its_version_by_redirects_too() {
    let no_api = answer(&["404 Not Found", "Content-Length: 0"], b"");
    let found = redirect(302, format!("{KAGGLE}/5"));
    let (_origin, source) = world(LoadFormat::Auto, vec![no_api, found, archive()]).await;
    let newest = source.newest(&handle(KAGGLE)).await.unwrap();
    assert!(matches!(newest, Newest::Version(5)), "{newest:?}");
}
