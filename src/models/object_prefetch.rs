//! TensorFlow's way through a SavedModel whose files are objects of a bucket, each a model of its own here.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};

use super::Shared;
use super::bucket;
use super::model::Model;
use crate::handle::BucketPath;
use crate::savedmodel::{self, Part};

/// Where TensorFlow goes on from one of these names, as paths in the model's directory.
const GRAPH: &str = "saved_model.pb";
const INDEX: &str = "variables.index";

/// Has the objects fetched that TensorFlow reads after `path`. What cannot be had is not missed before it is read.
pub(super) fn fetch_ahead(shared: Arc<Shared>, path: BucketPath) -> BoxFuture<'static, ()> {
    follow(shared, path).boxed()
}

async fn follow(shared: Arc<Shared>, path: BucketPath) {
    let Some((dir, name)) = path.split() else {
        return;
    };
    // Of the files that may follow, those in the same directory, and those beside the index.
    let (root, dirs) = match name {
        GRAPH => (dir.clone(), vec![dir.join("variables"), Ok(dir)]),
        INDEX => match dir.split() {
            Some((root, "variables")) => (root, vec![Ok(dir.clone())]),
            _ => return,
        },
        _ => return,
    };
    let prefix = format!("{root}/");
    let mut siblings = Vec::new();
    for dir in dirs.into_iter().flatten() {
        let Ok(names) = bucket::list(&shared, &dir).await else {
            continue;
        };
        let files = names.files.values().filter_map(|file| {
            let path = dir.join(&file.name).ok()?;
            Some((path, file.clone()))
        });
        siblings.extend(files);
    }
    let inside = |path: &BucketPath| {
        let path = path.to_string();
        path.strip_prefix(&prefix).unwrap_or_default().to_owned()
    };
    let names: Vec<String> = siblings.iter().map(|(path, _)| inside(path)).collect();
    let start = inside(&path);
    let next = savedmodel::next(&start, names.iter().map(String::as_str));
    let hints = next.filter_map(|(name, part)| {
        let at = names.iter().position(|known| known == name)?;
        let (path, file) = siblings.get(at)?;
        Some(hint(shared.object(path, file.clone())?, part))
    });
    join_all(hints).await;
}

/// A part of the model's one file will be wanted soon.
async fn hint(model: Arc<Model>, part: Part) {
    let Some((_, name)) = model.object().and_then(|object| object.path().split()) else {
        return;
    };
    if model.content().await.is_ok()
        && let Some(streamer) = model.streamer()
    {
        streamer.hint(name, part);
    }
}
