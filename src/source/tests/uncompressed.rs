//! The hub's uncompressed form.

use super::*;

const SPICE: &str = "https://tfhub.dev/google/spice/2";
const FOLDER: &str =
    "gs://kaggle-tfhub-models-uncompressed/tfhub-modules/google/spice/2/uncompressed";

fn see_other(headers: &[&str], body: &str) -> Answer {
    let length = format!("Content-Length: {}", body.len());
    answer(
        &[&["303 See Other", &length], headers].concat(),
        body.as_bytes(),
    )
}

async fn remote(answers: Vec<Answer>) -> (Origin, Result<String, Error>) {
    let (origin, source) = world(LoadFormat::Uncompressed, answers).await;
    let told = source.remote(&handle(SPICE)).await;
    (origin, told)
}

#[tokio::test]
async fn the_folder_is_in_the_body_of_a_303() {
    let location = format!("Location: {FOLDER}");
    let kaggle = format!("{KAGGLE}/3?tf-hub-format=uncompressed&tfhub-redirect=true");
    for answers in [
        vec![see_other(&[], FOLDER)],
        vec![see_other(&[], &format!("{FOLDER}/\n"))],
        vec![see_other(&[&location], FOLDER)],
        vec![see_other(&[&location], "")],
        vec![redirect(302, &kaggle), see_other(&[], FOLDER)],
        vec![redirect(303, "2/?again"), see_other(&[], FOLDER)],
    ] {
        let (origin, told) = remote(answers).await;
        assert_eq!(told.unwrap(), FOLDER);
        assert!(origin.is_done());
        let targets = origin.targets();
        assert_eq!(targets[0], "/hub/google/spice/2?tf-hub-format=uncompressed");
        let second = targets.get(1).map_or("", |target| target);
        // Redirects are followed as they are, to mirrors where there are any.
        assert!(
            [
                "",
                "/hub/google/spice/2/?again",
                "/kaggle/models/google/x/tensorFlow2/y/3?tf-hub-format=uncompressed&tfhub-redirect=true"
            ]
            .contains(&second),
            "{second}"
        );
    }
}

#[tokio::test]
async fn any_other_answer_is_told() {
    for (answers, part) in [
        (vec![full(b"\x1f\x8b archive", &[])], "answered 200"),
        (vec![empty("404 Not Found")], "answered 404"),
        (vec![empty("403 Forbidden")], "answered 403"),
        (vec![see_other(&[], "https://h/x")], "names no gs:// folder"),
        (vec![see_other(&[], "")], "names no gs:// folder"),
        (
            vec![redirect(303, "/hub/page"), full(b"<html>", &[HTML])],
            "answered 200",
        ),
    ] {
        let (_origin, told) = remote(answers).await;
        let error = told.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(part), "{text}");
        assert!(
            text.ends_with("does not offer the uncompressed form; use --load-format auto"),
            "{text}"
        );
        assert_eq!(error.is_not_found(), part.contains("404"), "{text}");
        assert_eq!(error.is_denied(), part.contains("403"), "{text}");
    }
}

#[tokio::test]
async fn kaggles_start_page_is_an_unknown_model() {
    let start = "https://www.kaggle.com/models?tfhub-redirect=true";
    let (_origin, told) = remote(vec![redirect(302, start), full(b"<html>", &[HTML])]).await;
    assert!(told.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_walk_has_an_end() {
    let circle = || redirect(302, "/hub/google/spice/2?tf-hub-format=uncompressed");
    let (_origin, told) = remote(vec![circle(), circle()]).await;
    assert!(told.unwrap_err().to_string().contains("circle"));
    let hops = (0..20).map(|n| redirect(302, format!("/hub/{n}")));
    let (origin, told) = remote(hops.collect()).await;
    assert!(told.unwrap_err().to_string().contains("10 redirects"));
    assert_eq!(origin.asked().len(), 11);
    let (_origin, told) = remote(vec![redirect(302, "http://elsewhere.example/x")]).await;
    assert!(told.unwrap_err().to_string().contains("--allow-http"));
    let down = (0..20).map(|_| empty("503 Down"));
    let (_origin, told) = remote(down.collect()).await;
    let text = told.unwrap_err().to_string();
    assert!(
        text.contains("503") && !text.contains("does not offer"),
        "{text}"
    );
}

#[tokio::test]
async fn each_load_format_asks_for_its_own() {
    let listing = || {
        let key = "tfhub-modules/google/spice/2/uncompressed/saved_model.pb";
        let item = format!(r#"{{"items":[{{"name":"{key}","size":"3","generation":"1"}}]}}"#);
        full(item.as_bytes(), &[])
    };
    let answers = vec![see_other(&[], FOLDER), listing()];
    let (origin, source) = world(LoadFormat::Uncompressed, answers).await;
    let plan = source.plan(&handle(SPICE)).await;
    assert!(
        matches!(&plan, Ok(Plan::Files(folder)) if folder.files[0].name == "saved_model.pb"),
        "{plan:?}"
    );
    assert_eq!(origin.asked().len(), 2, "the folder, and what is in it");

    let missing = || empty("404 Not Found");
    let (_origin, source) = world(
        LoadFormat::Auto,
        vec![missing(), see_other(&[], FOLDER), listing()],
    )
    .await;
    let plan = source.plan(&handle(SPICE)).await;
    assert!(matches!(plan, Ok(Plan::Files(_))), "{plan:?}");

    let (origin, source) = world(LoadFormat::Compressed, vec![missing()]).await;
    let error = source.plan(&handle(SPICE)).await.unwrap_err();
    assert!(error.is_not_found() && origin.asked().len() == 1);
    // What was said of the archive is what is wrong.
    let (_origin, source) = world(LoadFormat::Auto, vec![missing(), empty("403 No")]).await;
    let error = source.plan(&handle(SPICE)).await.unwrap_err();
    assert!(error.to_string().contains("answered 404"), "{error}");
}

#[tokio::test]
async fn redirects_tell_the_newest_version_of_this_form_too() {
    let (_origin, source) = world(
        LoadFormat::Uncompressed,
        vec![redirect(302, format!("{HUB}/12")), see_other(&[], FOLDER)],
    )
    .await;
    let newest = source.newest(&handle(HUB)).await.unwrap();
    assert!(matches!(newest, Newest::Version(12)), "{newest:?}");
}
