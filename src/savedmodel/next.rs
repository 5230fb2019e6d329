//! TensorFlow's way through a SavedModel, so that it can be gone before TensorFlow does.
//!
//! Traced with TensorFlow 2.21: `saved_model.pb` whole; `variables/variables.index` whole; of `variables/variables.data-*`
//! first about a kilobyte near the end (the object graph is the last tensor), then the tensors from the start in order; then
//! `fingerprint.pb`, and the assets when tables are initialised.

use super::names::{INDEX, is_shard};

/// What of another file is wanted soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of it, if it is small.
    Small,
    /// Its end, and then its start in order.
    Tensors,
    /// It in order, from the start.
    InOrder,
}

/// What TensorFlow reads next once it reads `file` of a model, of all its `files`: names and parts.
pub fn next<'a>(
    file: &str,
    files: impl Iterator<Item = &'a str>,
) -> impl Iterator<Item = (&'a str, Part)> {
    let graph = file.strip_suffix("saved_model.pb").map(str::to_owned);
    let index = file.strip_suffix(INDEX).map(str::to_owned);
    files.filter_map(move |name| {
        if let Some(rest) = graph.as_deref().and_then(|root| name.strip_prefix(root)) {
            return of_graph(rest).map(|part| (name, part));
        }
        let rest = index.as_deref().and_then(|root| name.strip_prefix(root))?;
        is_shard(rest).then_some((name, Part::InOrder))
    })
}

fn of_graph(rest: &str) -> Option<Part> {
    match rest {
        INDEX | "fingerprint.pb" => Some(Part::Small),
        _ if is_shard(rest) => Some(Part::Tensors),
        _ if rest.starts_with("assets/") => Some(Part::Small),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [&str; 7] = [
        "assets/vocabulary.txt",
        "fingerprint.pb",
        "keras_metadata.pb",
        "saved_model.pb",
        "variables/variables.data-00000-of-00001",
        "variables/variables.index",
        "other/variables/variables.index",
    ];

    fn after(file: &str) -> Vec<(&str, Part)> {
        next(file, FILES.into_iter()).collect()
    }

    #[test]
    fn the_graph_is_followed_by_index_variables_and_assets() {
        assert_eq!(
            after("saved_model.pb"),
            [
                ("assets/vocabulary.txt", Part::Small),
                ("fingerprint.pb", Part::Small),
                ("variables/variables.data-00000-of-00001", Part::Tensors),
                ("variables/variables.index", Part::Small),
            ]
        );
        assert_eq!(
            after("variables/variables.index"),
            [("variables/variables.data-00000-of-00001", Part::InOrder)]
        );
        assert_eq!(after("fingerprint.pb"), []);
    }

    #[test]
    fn a_model_within_a_model_has_files_of_its_own() {
        let files = [
            "a/saved_model.pb",
            "a/variables/variables.index",
            "variables/variables.index",
        ];
        let next: Vec<_> = next("a/saved_model.pb", files.into_iter()).collect();
        assert_eq!(next, [("a/variables/variables.index", Part::Small)]);
    }
}
