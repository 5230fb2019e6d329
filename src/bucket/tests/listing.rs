//! What is made of listings, honest, odd and hostile ones.

use super::stand::{Asked, Reply, Stand, amazon, google, item, reply};
use super::{at, buckets, reached};
use crate::bucket::buckets::NameEntry;
use crate::bucket::{BucketOptions, Error, ErrorKind, ObjectInfo, ObjectTree};

fn names(folder: &ObjectTree) -> Vec<&str> {
    let files = folder.files.iter();
    files.map(|file| file.name.as_str()).collect()
}

fn info(folder: &ObjectTree, number: usize) -> &ObjectInfo {
    folder.files[number].object.info()
}

async fn refused(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> (Stand, Error) {
    let stand = Stand::start(answer).await;
    let error = buckets(&stand.base).folder(&at("gs://bucket/m")).await;
    (stand, error.unwrap_err())
}

#[tokio::test]
async fn a_folder_is_all_its_pages() {
    let stand = Stand::start(|asked| match asked.query("pageToken") {
        "" => google(&[("m/b", 1, 7), ("m/a/x", 2, 8)], &[], "2 +/"),
        "2 +/" => google(&[], &[], "3"),
        "3" => google(&[("m/c/", 0, 9), ("m/", 0, 1), ("m/d", 3, 10)], &[], ""),
        _ => reply(400, ""),
    })
    .await;
    let folder = buckets(&stand.base)
        .folder(&at("gs://bucket/m/"))
        .await
        .unwrap();
    assert_eq!(names(&folder), ["a/x", "b", "d"]);
    assert_eq!(folder.dirs, ["c"]);
    assert_eq!(
        (info(&folder, 0).size, &*info(&folder, 0).version),
        (2, "8")
    );
    let asked = stand.asked();
    assert_eq!(asked.len(), 3);
    assert!(
        asked
            .iter()
            .all(|asked| asked.path == "/storage/v1/b/bucket/o"
                && asked.query("prefix") == "m/"
                && asked.query("maxResults") == "1000"
                && !asked.headers.contains_key("authorization"))
    );
}

#[tokio::test]
async fn a_folder_of_amazons_too() {
    let stand = Stand::start(|asked| match asked.query("continuation-token") {
        "" => amazon(&[("m/a b+c", 1, "&quot;e&quot;")], &[], "n&#61;"),
        "n=" => amazon(&[("m/d/e", 2, "bare")], &[], ""),
        _ => reply(400, ""),
    })
    .await;
    let folder = buckets(&stand.base)
        .folder(&at("s3://bucket/m"))
        .await
        .unwrap();
    assert_eq!(names(&folder), ["a b+c", "d/e"]);
    assert_eq!(info(&folder, 1).version, "\"bare\"");
    assert!(stand.asked().iter().all(|asked| asked.path == "/bucket"));
}

#[tokio::test]
async fn keys_that_are_no_paths_are_left_out() {
    let long = format!("m/{}", "a".repeat(256));
    let odd = [
        "m/../x",
        "m//y",
        "m/a/./b",
        "m/new\nline",
        "/m/x",
        "m2/x",
        "m",
        "m/z//",
        "x",
        &long,
    ];
    let objects: Vec<_> = odd.iter().map(|key| (key.to_string(), 1, 1)).collect();
    let stand = Stand::start(move |_| {
        let mut all: Vec<_> = objects
            .iter()
            .map(|(key, s, g)| (key.as_str(), *s, *g))
            .collect();
        all.push(("m/good \u{fc}%2e*", 1, 1));
        google(&all, &["m/p/q/", "m/p/", "n/", "m/../"], "")
    })
    .await;
    let folder = buckets(&stand.base)
        .folder(&at("gs://bucket/m"))
        .await
        .unwrap();
    assert_eq!(names(&folder), ["good \u{fc}%2e*"]);
    let page = buckets(&stand.base).page(&at("gs://bucket/m"), None).await;
    let page = page.unwrap();
    assert_eq!(page.dirs, ["p"], "names of a directory are no paths");
    assert_eq!(page.files.len(), 1);
}

/// No name twice, none below another: also where only a placeholder makes a directory of it.
#[tokio::test]
async fn directories_hide_objects_of_their_name() {
    let stand = Stand::start(|_| {
        let objects = [
            ("m/a", 1, 1),
            ("m/a/b", 1, 2),
            ("m/c", 1, 3),
            ("m/c/d/", 0, 4),
            ("m/e", 1, 5),
            ("m/e", 1, 6),
        ];
        google(&objects, &[], "")
    })
    .await;
    let folder = buckets(&stand.base)
        .folder(&at("gs://bucket/m"))
        .await
        .unwrap();
    assert_eq!(names(&folder), ["a/b", "e"]);
    assert_eq!(folder.dirs, ["c/d"]);
}

#[tokio::test]
async fn a_folder_without_a_file_is_unknown() {
    for reply in [
        (|| google(&[], &[], "")) as fn() -> Reply,
        || google(&[("m/", 0, 1), ("m/d/", 0, 1)], &[], ""),
        || reply(404, r#"{"error":{"code":404,"message":"no such bucket"}}"#),
    ] {
        let (_stand, error) = refused(move |_| reply()).await;
        assert!(error.is_not_found(), "{error}");
        assert!(error.to_string().contains("gs://bucket/m"), "{error}");
    }
}

#[tokio::test]
async fn no_listing_goes_on_for_ever() {
    let (stand, error) = refused(|asked| match asked.query("pageToken") {
        "1" => google(&[("m/a", 1, 1)], &[], "2"),
        _ => google(&[("m/a", 1, 1)], &[], "1"),
    })
    .await;
    assert!(error.to_string().contains("where it was before"), "{error}");
    assert_eq!(stand.asked().len(), 3);

    let next = |asked: &Asked| format!("{}x", asked.query("pageToken"));
    let (_stand, error) = refused(move |asked| google(&[], &[], &next(asked))).await;
    assert!(error.to_string().contains("1000 pages in a row"), "{error}");
}

#[tokio::test]
async fn a_listing_has_only_so_many_names() {
    let count = |asked: &Asked| asked.query("pageToken").parse().unwrap_or(0u64);
    // Names that are left out count too.
    let answer = move |asked: &Asked| {
        let (good, next) = (format!("m/{}", count(asked)), count(asked) + 1);
        google(&[(&good, 1, 1), ("m//", 0, 1)], &[], &next.to_string())
    };
    let stand = Stand::start(answer).await;
    let reached = reached(BucketOptions {
        gcs_endpoint: Some(stand.base.clone()),
        max_objects: Some(10),
        ..BucketOptions::default()
    });
    let error = reached
        .folder(&at("gs://bucket/m"))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("more than 10 objects") && error.contains("--max-archive-entries"),
        "{error}"
    );
    assert_eq!(stand.asked().len(), 6);
}

#[tokio::test]
async fn what_is_no_listing_is_told() {
    for body in [
        "<html>",
        r#"{"error":{"message":"no"}}"#,
        r#"{"items":[{"name":"m/a"}]}"#,
    ] {
        let (_stand, error) = refused(move |_| reply(200, body)).await;
        let text = error.to_string();
        assert!(
            matches!(
                error,
                Error {
                    kind: ErrorKind::Failed,
                    ..
                }
            ),
            "{text}"
        );
        assert!(text.contains("cannot be read"), "{text}");
    }
    let (_stand, error) = refused(|_| reply(200, "x".repeat(9 << 20))).await;
    assert!(
        matches!(
            error,
            Error {
                kind: ErrorKind::Failed,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_directory_is_told_page_by_page() {
    let stand = Stand::start(|asked| match asked.query("pageToken") {
        "" => google(&[], &[], "1"),
        "1" => google(&[("d/a", 1, 1), ("d/", 0, 1)], &["d/b/"], "2 2"),
        "2 2" => google(&[], &[], "3"),
        "3" => google(&[("d/c", 1, 1)], &[], ""),
        _ => reply(400, ""),
    })
    .await;
    let (buckets, dir) = (buckets(&stand.base), at("gs://bucket/d"));
    let first = buckets.page(&dir, None).await.unwrap();
    assert_eq!(
        (first.dirs, first.files.len()),
        (vec![String::from("b")], 1)
    );
    let second = buckets.page(&dir, first.next).await.unwrap();
    assert_eq!((second.files[0].name.as_str(), second.next), ("c", None));
    let asked = stand.asked();
    assert!(asked.iter().all(|asked| asked.query("delimiter") == "/"));
}

#[tokio::test]
async fn an_empty_directory_is_none_and_an_empty_bucket_is_one() {
    let stand = Stand::start(|asked| match asked.query("pageToken") {
        "" => google(&[], &[], "1"),
        _ => google(&[], &[], ""),
    })
    .await;
    let buckets = buckets(&stand.base);
    let error = buckets.page(&at("gs://bucket/d"), None).await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
    let page = buckets.page(&at("gs://bucket"), None).await.unwrap();
    assert!(page.files.is_empty() && page.dirs.is_empty());
}

/// Answers to the question for the object, and to the one for what is below it.
async fn seen(object: fn() -> Reply, below: fn() -> Reply) -> Result<NameEntry, Error> {
    let answer = move |asked: &Asked| match asked.is_list() {
        true => below(),
        false => object(),
    };
    let stand = Stand::start(answer).await;
    buckets(&stand.base).look_up(&at("gs://bucket/d/a b")).await
}

#[tokio::test]
async fn a_name_is_an_object_a_directory_both_or_nothing() {
    let there = || reply(200, item(("d/a b", 3, 7)).to_string());
    let gone = || reply(404, "");
    let denied = || reply(403, "");
    let some = || google(&[("d/a b/", 0, 1)], &[], "");
    let none = || google(&[], &[], "");

    for (object, below, file, dir) in [
        (there as fn() -> Reply, none as fn() -> Reply, true, false),
        (there, some, true, true),
        (gone, some, false, true),
        (gone, none, false, false),
        (gone, gone, false, false),
        // Allowed to read and not to list, and the other way round.
        (there, denied, true, false),
        (denied, some, false, true),
    ] {
        let seen = seen(object, below).await.unwrap();
        assert_eq!((seen.file.is_some(), seen.dir), (file, dir));
        let file = seen.file.map(|file| {
            let info = file.object.info();
            (file.name.clone(), info.size, info.version.clone())
        });
        let wanted = (String::from("a b"), 3, String::from("7"));
        assert!(file.is_none_or(|file| file == wanted));
    }
    let garbage = || reply(200, "<html>");
    for (object, below, is_denied) in [
        (denied as fn() -> Reply, none as fn() -> Reply, true),
        (gone, denied, true),
        (gone, garbage, false),
        (there, garbage, false),
        (garbage, none, false),
    ] {
        let error = seen(object, below).await.unwrap_err();
        assert_eq!(error.is_denied(), is_denied, "{error}");
        assert!(!error.is_not_found(), "trouble is not absence: {error}");
    }
}

#[tokio::test]
async fn a_bucket_itself_is_a_directory() {
    let stand = Stand::start(|_| google(&[], &[], "")).await;
    let seen = buckets(&stand.base)
        .look_up(&at("gs://bucket"))
        .await
        .unwrap();
    assert!(seen.dir && seen.file.is_none());
    let stand = Stand::start(|_| reply(404, "")).await;
    let seen = buckets(&stand.base)
        .look_up(&at("gs://bucket"))
        .await
        .unwrap();
    assert!(!seen.dir && seen.file.is_none());
}

#[tokio::test]
async fn an_object_of_amazons_is_told_by_its_headers() {
    let stand = Stand::start(|asked| match asked.is_list() {
        true => amazon(&[], &[], ""),
        false => {
            let mut head = reply(200, vec![0; 10]);
            let etag = "\"e\"".parse().unwrap();
            head.headers_mut().insert("etag", etag);
            head
        }
    })
    .await;
    let seen = buckets(&stand.base).look_up(&at("s3://bucket/d/a b")).await;
    let file = seen.unwrap().file.unwrap();
    assert_eq!(
        (file.object.info().size, file.object.info().version.as_str()),
        (10, "\"e\"")
    );
    let asked = stand.asked();
    let head = asked.iter().find(|asked| !asked.is_list()).unwrap();
    assert_eq!(
        (head.method.as_str(), head.path.as_str()),
        ("HEAD", "/bucket/d/a%20b")
    );
}
