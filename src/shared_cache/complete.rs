//! Whether a copy in the bucket is whole.

use std::collections::{BTreeSet, HashMap};

use super::manifest::Manifest;
use crate::source::Folder;

/// By what its writer left: names, sizes, and checksums where the bucket tells them. Keeps the files that belong to it,
/// with the checksums that the listing lacks. `Err` says what is wrong.
pub(super) fn by_manifest(text: &[u8], url: &str, folder: &mut Folder) -> Result<(), String> {
    let manifest = Manifest::parse(text).map_err(|why| format!("its manifest is none: {why}"))?;
    if manifest.handle != url {
        return Err(String::from("its manifest is another model's"));
    }
    let mut here: HashMap<_, _> = folder
        .files
        .drain(..)
        .map(|file| (file.name.clone(), file))
        .collect();
    for listed in &manifest.files {
        let name = listed.name.escape_debug();
        let Some(mut file) = here.remove(&listed.name) else {
            return Err(format!("it has no {name}"));
        };
        let sum = file.hashes.crc32c.unwrap_or(listed.crc32c);
        if (file.size, sum) != (listed.size, listed.crc32c) {
            return Err(format!("its {name} is not the one that was written"));
        }
        file.hashes.crc32c = Some(sum);
        folder.files.push(file);
    }
    folder.files.sort_by(|a, b| a.name.cmp(&b.name));
    let kept: BTreeSet<&str> = folder.files.iter().map(|file| &*file.name).collect();
    folder
        .dirs
        .retain(|dir| kept.iter().any(|name| name.starts_with(&format!("{dir}/"))));
    match folder.files.is_empty() {
        true => Err(String::from("its manifest names no file")),
        false => Ok(()),
    }
}

/// By its names alone, as tensorflow_hub leaves it: what TensorFlow cannot do without. `Err` says what is missing.
pub(super) fn by_names(folder: &Folder) -> Result<(), String> {
    let names: BTreeSet<&str> = folder.files.iter().map(|file| &*file.name).collect();
    let any = |wanted: &[&str]| wanted.iter().any(|name| names.contains(name));
    if !any(&["saved_model.pb", "saved_model.pbtxt", "tfhub_module.pb"]) {
        return Err(String::from("it has no saved_model.pb"));
    }
    let below = |name: &&&str| name.starts_with("variables/");
    let shards: Vec<_> = names
        .iter()
        .filter(below)
        .filter_map(|name| shard(name))
        .collect();
    if names.iter().any(|name| below(&name)) && !names.contains("variables/variables.index") {
        return Err(String::from("it has no variables/variables.index"));
    }
    let bundle = names.contains("variables/variables.index");
    let whole = |of: usize| shards.iter().filter(|shard| shard.1 == of).count() == of;
    match shards.first() {
        None if bundle => Err(String::from("it has no variables.data")),
        Some((_, of)) if !whole(*of) => Err(String::from("it has not all of its variables.data")),
        _ => Ok(()),
    }
}

/// Which of how many shards a name is.
fn shard(name: &str) -> Option<(usize, usize)> {
    let rest = name.strip_prefix("variables/variables.data-")?;
    let (at, of) = rest.split_once("-of-")?;
    let (at, of) = (at.parse().ok()?, of.parse().ok()?);
    (at < of).then_some((at, of))
}
