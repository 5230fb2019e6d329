//! Single files behind redirects: TF Lite models, and what Kaggle's downloads lead to.

use super::*;

const LITE: &str = "https://tfhub.dev/google/lite-model/x/tflite/4";
const MODEL: &[u8] = b"\x1c\0\0\0TFL3 and so on";
const SIGNED: &str = "https://storage.googleapis.com/b/1/2";

async fn lite(answers: Vec<Answer>) -> (Origin, Result<Plan, Error>) {
    let (origin, source) = world(LoadFormat::Auto, answers).await;
    let plan = source.plan(&handle(LITE)).await;
    (origin, plan)
}

#[tokio::test]
async fn a_lite_model_is_one_file() {
    let hash = "x-goog-hash: crc32c=AAAAAQ==";
    let (origin, plan) = lite(vec![
        redirect(302, format!("{SIGNED}/model.tflite?s=1")),
        probed(MODEL, &[hash, "ETag: \"e\""]),
        span(MODEL, 4..8),
        span(MODEL, 9..12),
    ])
    .await;
    let Ok(Plan::Files(folder)) = plan else {
        panic!("files: {plan:?}");
    };
    assert_eq!(
        origin.targets()[0],
        "/hub/google/lite-model/x/tflite/4?lite-format=tflite"
    );
    let Folder { files, .. } = &*folder;
    let file = &files[0];
    assert_eq!((files.len(), file.name.as_str()), (1, "model.tflite"));
    assert_eq!(file.size, MODEL.len() as u64);
    assert_eq!((file.hashes.crc32c, &*file.version), (Some(1), "\"e\""));
    assert_eq!(read(file, 9..12).await.unwrap(), b"and");
}

#[tokio::test]
async fn a_host_that_gives_no_such_file_gives_an_archive() {
    const ARCHIVE: &[u8] = b"\x1f\x8b archive";
    for (answers, asked) in [
        (vec![empty("404 Not Found")], 2),
        (vec![full(b"<html>", &[HTML])], 2),
        // It ignores the query, or knows no ranges.
        (vec![probed(ARCHIVE, &[]), span(ARCHIVE, 4..8)], 3),
        (vec![full(MODEL, &[])], 2),
    ] {
        let answers = answers.into_iter().chain([probed(ARCHIVE, &[])]);
        let (origin, plan) = lite(answers.collect()).await;
        assert_eq!(web(&plan.unwrap()).size, Some(ARCHIVE.len() as u64));
        let targets = origin.targets();
        assert_eq!(targets.len(), asked);
        assert!(targets[asked - 1].ends_with("4?tf-hub-format=compressed"));
    }
}

#[tokio::test]
async fn a_tfjs_model_is_an_archive_of_its_own() {
    const JS: &str = "https://tfhub.dev/google/tfjs-model/spice/2/default/1";
    let (origin, source) = world(LoadFormat::Auto, vec![full(b"\x1f\x8b", &[])]).await;
    web(&source.plan(&handle(JS)).await.unwrap());
    assert!(origin.targets()[0].ends_with("/1?tfjs-format=compressed"));
    let answers = vec![empty("404 Not Found"), full(b"\x1f\x8b", &[])];
    let (origin, source) = world(LoadFormat::Uncompressed, answers).await;
    web(&source.plan(&handle(JS)).await.unwrap());
    assert!(origin.targets()[1].ends_with("/1?tf-hub-format=compressed"));
}

/// A listed file of this many bytes, and what its origin answers.
async fn listed(size: usize, answers: Vec<Answer>) -> (Origin, Source, RemoteFile) {
    let listing = format!(r#"{{"files":[{{"name":"a/x.bin","size":{size}}}],"nextPageToken":""}}"#);
    let answers = [json("200 OK", &listing)].into_iter().chain(answers);
    let (origin, source) = world(LoadFormat::Uncompressed, answers.collect()).await;
    let folder = source.files(&handle(&format!("{KAGGLE}/3"))).await.unwrap();
    let file = folder.files[0].clone();
    (origin, source, file)
}

#[tokio::test]
async fn a_redirect_is_followed_once_for_all_readers() {
    let (origin, _source, file) = listed(
        MODEL.len(),
        vec![
            redirect(302, format!("{SIGNED}/x.bin?s=1")),
            probed(MODEL, &["x-goog-hash: crc32c=AAAAAQ=="]),
            span(MODEL, 0..4),
            span(MODEL, 4..8),
        ],
    )
    .await;
    assert!(file.hashes.is_empty());
    assert_eq!(read(&file, 5..5).await.unwrap(), b"");
    assert_eq!(origin.asked().len(), 1);
    assert_eq!(read(&file, 0..4).await.unwrap(), &MODEL[..4]);
    assert_eq!(read(&file.clone(), 4..8).await.unwrap(), &MODEL[4..8]);
    assert_eq!(file.from.hashes().await.unwrap().crc32c, Some(1));
    assert_eq!(
        origin.targets()[1..],
        [
            "/kaggle/api/v1/models/google/x/tensorFlow2/y/3/download/a/x.bin",
            "/gcs/b/1/2/x.bin?s=1",
            "/gcs/b/1/2/x.bin?s=1",
            "/gcs/b/1/2/x.bin?s=1",
        ]
    );
    assert_eq!(origin.header(3, "range").unwrap(), "bytes=0-3");
}

#[tokio::test]
async fn a_signature_that_ends_is_renewed() {
    let (origin, _source, file) = listed(
        MODEL.len(),
        vec![
            redirect(302, format!("{SIGNED}/x.bin?s=1")),
            probed(MODEL, &[]),
            empty("403 Forbidden"),
            redirect(302, format!("{SIGNED}/x.bin?s=2")),
            probed(MODEL, &[]),
            span(MODEL, 0..4),
            span(MODEL, 4..8),
        ],
    )
    .await;
    assert_eq!(read(&file, 0..4).await.unwrap(), &MODEL[..4]);
    assert_eq!(read(&file, 4..8).await.unwrap(), &MODEL[4..8]);
    assert!(origin.is_done());
}

#[tokio::test]
async fn what_is_not_as_listed_is_told_and_not_read() {
    let signed = || redirect(302, format!("{SIGNED}/x.bin?s=S3CR3T"));
    let zipped = redirect(302, format!("{SIGNED}/x.bin.zip?s=S3CR3T"));
    for (answers, part) in [
        (vec![zipped, probed(MODEL, &[])], "is zipped"),
        (
            vec![signed(), probed(&MODEL[1..], &[])],
            "its listing says 18 bytes, but",
        ),
        (vec![signed(), full(MODEL, &[])], "does not give parts"),
        (vec![empty("404 Not Found")], "has changed"),
        (
            vec![signed(), probed(MODEL, &[]), empty("404 Not Found")],
            "has changed",
        ),
    ] {
        let (_origin, _source, file) = listed(MODEL.len(), answers).await;
        let error = read(&file, 0..4).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(part) && !text.contains("S3CR3T"), "{text}");
        assert_eq!(error.is_changed(), part == "has changed", "{text}");
        assert!(
            error.is_changed() || text.ends_with("use --load-format compressed"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_refusal_within_a_200_is_one() {
    let consent = r#"{"code":403,"message":"User has not consented to terms of use."}"#;
    let said = || json("200 OK", consent);
    let (_origin, _source, file) = listed(MODEL.len(), vec![said(), said()]).await;
    let error = read(&file, 0..4).await.unwrap_err();
    assert!(error.is_denied(), "{error}");
    assert!(error.to_string().contains("accept its terms"), "{error}");
}
