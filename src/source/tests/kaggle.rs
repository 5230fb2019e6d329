//! Kaggle's API.

use super::*;

const PLACE: &str = "/kaggle/api/v1/models/google/x/tensorFlow2/y";

async fn files(answers: Vec<Answer>) -> (Origin, Result<Folder, Error>) {
    let (origin, source) = world(LoadFormat::Uncompressed, answers).await;
    // The framework in another case, as it is often pasted.
    let long = "https://kaggle.com/models/google/x/frameworks/TensorFlow2/variations/y/versions/3";
    let told = source.files(&handle(long)).await;
    (origin, told)
}

#[tokio::test]
async fn files_are_listed_page_by_page() {
    let first = r#"{"files":[
        {"name":"variables/variables.index","size":"7","creationDate":"1970-01-01T00:00:02.5Z"},
        {"name":"../x","size":1},{"name":"a//b","size":1},{"name":"a\nb","size":1}
    ],"nextPageToken":"a b/c"}"#;
    let second = r#"{"files":null,"nextPageToken":"d"}"#;
    let third = r#"{"files":[{"name":"saved_model.pb","size":5}]}"#;
    let pages = [first, second, third].map(|page| json("200 OK", page));
    let (origin, folder) = files(pages.into()).await;
    let folder = folder.unwrap();
    let listed: Vec<_> = folder
        .files
        .iter()
        .map(|f| (f.name.as_str(), f.size))
        .collect();
    assert_eq!(
        listed,
        [("saved_model.pb", 5), ("variables/variables.index", 7)]
    );
    let version = "kaggle /models/google/x/tensorFlow2/y/3";
    assert!(folder.files.iter().all(|file| file.version == version));
    assert_eq!(
        origin.targets(),
        [
            format!("{PLACE}/3/files?pageSize=200"),
            format!("{PLACE}/3/files?pageSize=200&pageToken=a%20b%2Fc"),
            format!("{PLACE}/3/files?pageSize=200&pageToken=d"),
        ]
    );
}

#[tokio::test]
async fn an_unversioned_handle_is_its_newest_version() {
    let newest = r#"{"slug":"y","framework":"MODEL_FRAMEWORK_TENSOR_FLOW_2","versionNumber":4}"#;
    let files = r#"{"files":[{"name":"saved_model.pb","size":5}],"nextPageToken":""}"#;
    let answers = [newest, files].map(|body| json("200 OK", body));
    let (origin, source) = world(LoadFormat::Uncompressed, answers.into()).await;
    let plan = source.plan(&handle(KAGGLE)).await;
    assert!(matches!(plan, Ok(Plan::Files(_))), "{plan:?}");
    let asked = [
        format!("{PLACE}/get"),
        format!("{PLACE}/4/files?pageSize=200"),
    ];
    assert_eq!(origin.targets(), asked);
}

#[tokio::test]
async fn a_listing_that_makes_no_sense_is_refused() {
    let ok = |body: &str| json("200 OK", body);
    for (answers, part) in [
        (vec![ok("<html>")], "gave no such answer"),
        (
            vec![ok(r#"{"files":[{"name":"a"}]}"#)],
            "gave no such answer",
        ),
        (
            vec![ok(r#"{"files":[{"name":"a","size":-1}]}"#)],
            "gave no such answer",
        ),
        (
            vec![ok(r#"{"files":[{"name":"a","size":"many"}]}"#)],
            "without its size",
        ),
        (vec![ok(r#"{"files":[]}"#)], "lists no files"),
        (
            vec![ok(r#"{"files":[{"name":"../a","size":1}]}"#)],
            "lists no files",
        ),
        (
            vec![ok(
                r#"{"files":[{"name":"a","size":1},{"name":"a","size":2}]}"#,
            )],
            "\"a\" twice",
        ),
        (
            vec![ok(
                r#"{"files":[{"name":"a/b","size":1},{"name":"a","size":2}]}"#,
            )],
            "below a file",
        ),
        (
            vec![
                ok(r#"{"files":[],"nextPageToken":"t"}"#),
                ok(r#"{"files":[],"nextPageToken":"u"}"#),
                ok(r#"{"files":[],"nextPageToken":"t"}"#),
            ],
            "in a circle",
        ),
    ] {
        let (_origin, told) = files(answers).await;
        let error = told.unwrap_err();
        assert!(matches!(error, Error::Failed { .. }), "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
async fn refusals_are_told_apart_in_either_shape() {
    let consent = r#"{"code":403,"message":"User has not consented to terms of use."}"#;
    let page = "https://www.kaggle.com/models/google/x";
    for (status, body, part) in [
        (
            "403 Forbidden",
            consent,
            format!("accept its terms at {page},"),
        ),
        ("200 OK", consent, format!("accept its terms at {page},")),
        ("403 Forbidden", "", format!("or not exist: see {page}")),
        ("401 Unauthorized", "", String::from("KAGGLE_API_TOKEN")),
        (
            "200 OK",
            r#"{"error":{"code":403,"message":"no"}}"#,
            format!("or not exist: see {page}"),
        ),
    ] {
        let (_origin, told) = files(vec![json(status, body)]).await;
        let error = told.unwrap_err();
        assert!(
            error.is_denied() && error.to_string().contains(&part),
            "{error}"
        );
    }
    for (status, body) in [
        ("404 Not Found", r#"{"code":404,"message":"NotFound"}"#),
        ("200 OK", r#"{"code":404,"message":"NotFound"}"#),
    ] {
        let (_origin, told) = files(vec![json(status, body)]).await;
        let error = told.unwrap_err();
        let text = error.to_string();
        assert!(error.is_not_found() && text.contains("NotFound"), "{text}");
        assert!(text.ends_with(&format!("listed at {page}")), "{text}");
    }
}

#[tokio::test]
async fn a_limit_is_waited_out_within_the_timeout() {
    let limit = |after: u32| {
        let after = format!("Retry-After: {after}");
        answer(&["429 Too Many", &after, "Content-Length: 0"], b"")
    };
    let listing = r#"{"files":[{"name":"a","size":1}]}"#;
    let (_origin, told) = files(vec![limit(0), json("200 OK", listing)]).await;
    assert_eq!(told.unwrap().files.len(), 1);
    let said = r#"{"code":429,"message":"TooManyRequests"}"#;
    let (_origin, told) = files(vec![json("200 OK", said), json("200 OK", listing)]).await;
    assert_eq!(told.unwrap().files.len(), 1);
    let (origin, told) = files(vec![limit(999)]).await;
    let error = told.unwrap_err();
    assert!(
        error.is_timeout() && error.to_string().contains("429"),
        "{error}"
    );
    assert_eq!(origin.asked().len(), 1);
}

#[tokio::test]
async fn what_there_is_comes_from_the_api() {
    let versions = r#"{"versionList":{"versions":[{"versionNumber":3},{"versionNumber":1},{}]},"nextPageToken":""}"#;
    let models = r#"{"models":[{"ref":"google/yamnet"},{"ref":"Google/a.b"},{"ref":"other/x"},{"slug":"spice"},
        {"ref":"google/.x"},{"ref":"google/a b"},{"id":1}]}"#;
    let variations = || {
        json(
            "200 OK",
            r#"{"instances":[{"slug":"y","framework":"TensorFlow2"},{"slug":"z","framework":"tensorFlow2"},
            {"slug":"lite","framework":"MODEL_FRAMEWORK_TF_LITE"},{"slug":"odd"}]}"#,
        )
    };
    let answers = vec![
        json("200 OK", versions),
        json("200 OK", models),
        variations(),
        variations(),
    ];
    let (origin, source) = world(LoadFormat::Auto, answers).await;
    assert_eq!(source.versions(&handle(KAGGLE)).await.unwrap(), [1, 3]);
    assert!(source.versions(&handle(HUB)).await.unwrap().is_empty());
    let owner = String::from("google");
    let model = String::from("x");
    let of = Catalogue::Owner {
        owner: owner.clone(),
    };
    let told = source.children(&of).await.unwrap();
    assert_eq!(told, ["a.b", "spice", "yamnet"]);
    let of = Catalogue::Model {
        owner: owner.clone(),
        model: model.clone(),
    };
    let told = source.children(&of).await.unwrap();
    assert_eq!(told, ["tensorFlow2", "tfLite"]);
    let of = Catalogue::Framework {
        owner,
        model,
        framework: String::from("TENSORFLOW2"),
    };
    assert_eq!(source.children(&of).await.unwrap(), ["y", "z"]);
    assert_eq!(
        origin.targets(),
        [
            format!("{PLACE}/list?pageSize=200"),
            String::from("/kaggle/api/v1/models/list?owner=google&pageSize=200"),
            String::from("/kaggle/api/v1/models/google/x/list?pageSize=200"),
            String::from("/kaggle/api/v1/models/google/x/list?pageSize=200"),
        ]
    );
}

#[tokio::test]
async fn the_api_tells_the_newest_version_first() {
    let newest = json("200 OK", r#"{"versionNumber":4}"#);
    let (origin, source) = world(LoadFormat::Auto, vec![newest]).await;
    let told = source.newest(&handle(KAGGLE)).await.unwrap();
    assert!(matches!(told, Newest::Version(4)), "{told:?}");
    assert_eq!(origin.targets(), [format!("{PLACE}/get")]);
}

#[tokio::test]
async fn the_archive_and_then_the_files_are_taken_where_the_page_gives_none() {
    let page = || full(b"<html>", &[HTML]);
    let versioned = format!("{KAGGLE}/3");
    let archive = full(b"\x1f\x8b archive", &[]);
    let (origin, source) = world(LoadFormat::Compressed, vec![page(), archive]).await;
    web(&source.plan(&handle(&versioned)).await.unwrap());
    assert_eq!(origin.targets()[1], format!("{PLACE}/3/download"));

    let error = json("200 OK", r#"{"code":500,"message":"Oops"}"#);
    let again = json("200 OK", r#"{"code":500,"message":"Oops"}"#);
    let listing = json("200 OK", r#"{"files":[{"name":"a","size":1}]}"#);
    let (_origin, source) = world(LoadFormat::Auto, vec![page(), error, again, listing]).await;
    let plan = source.plan(&handle(&versioned)).await;
    assert!(matches!(plan, Ok(Plan::Files(_))), "{plan:?}");

    let consent = r#"{"code":403,"message":"User has not consented to terms of use."}"#;
    let gated = json("403 Forbidden", consent);
    let (_origin, source) = world(LoadFormat::Auto, vec![page(), gated]).await;
    let error = source.plan(&handle(&versioned)).await.unwrap_err();
    assert!(error.to_string().contains("accept its terms"), "{error}");
}

/// tfhub.dev sends its visitors to Kaggle; where that names no folder, the files are Kaggle's.
#[tokio::test]
async fn a_hubs_model_that_went_to_kaggle_is_listed_there() {
    let answers = vec![
        redirect(302, format!("{KAGGLE}/3?tf-hub-format=uncompressed")),
        empty("404 Not Found"),
        json("200 OK", r#"{"files":[{"name":"a","size":1}]}"#),
    ];
    let (origin, source) = world(LoadFormat::Uncompressed, answers).await;
    let plan = source.plan(&handle(&format!("{HUB}/1"))).await;
    assert!(matches!(plan, Ok(Plan::Files(_))), "{plan:?}");
    assert_eq!(origin.targets()[2], format!("{PLACE}/3/files?pageSize=200"));
}
