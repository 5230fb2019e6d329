//! What names tell beside the place: Kaggle's directories, TensorFlow's formats.

use super::*;

fn tfhub() -> Names {
    names("https://tfhub.dev")
}

#[test]
fn kaggle_has_catalogues_above_its_models() {
    let words = |words: &[&str]| -> Vec<String> { words.iter().map(|w| (*w).to_owned()).collect() };
    for (path, want) in [
        ("models", None),
        ("models/g", Some("g")),
        ("models/g/n", Some("g/n")),
        ("models/g/n/frameworks", Some("g/n")),
        ("models/g/n/frameworks/TfLite", None),
        (
            "models/g/n/frameworks/TfLite/variations",
            Some("g/n/TfLite"),
        ),
        ("models/g/n/tfLite", Some("g/n/tfLite")),
    ] {
        let path = format!("www.kaggle.com/{path}");
        let found = match tfhub().place(&split(&path)).unwrap() {
            Place::Catalogue(Catalogue::Owner { owner }) => words(&[&owner]),
            Place::Catalogue(Catalogue::Model { owner, model }) => words(&[&owner, &model]),
            Place::Catalogue(Catalogue::Framework {
                owner,
                model,
                framework,
            }) => words(&[&owner, &model, &framework]),
            Place::Dir => Vec::new(),
            other => panic!("{path}: {other:?}"),
        };
        assert_eq!(found.join("/"), want.unwrap_or_default(), "{path}");
    }
}

#[test]
fn formats_are_in_the_name() {
    for (url, format) in [
        (
            "https://tfhub.dev/google/lite-model/movenet/4",
            Format::TfLite,
        ),
        (
            "https://tfhub.dev/google/tfjs-model/spice/2/default/1",
            Format::TfJs,
        ),
        ("https://tfhub.dev/google/spice/2", Format::SavedModel),
        (
            "https://www.kaggle.com/models/g/n/TfLite/v/1",
            Format::TfLite,
        ),
        (
            "https://kaggle.com/models/g/n/frameworks/tfJs/variations/v/versions/3",
            Format::TfJs,
        ),
        (
            "https://www.kaggle.com/models/g/tflite/tensorFlow2/v/1",
            Format::SavedModel,
        ),
    ] {
        assert_eq!(handle(url).format(), format, "{url}");
    }
}
