//! Whether a copy in the bucket is whole.

use std::collections::{BTreeSet, HashMap};
use std::io::{Cursor, Read, Seek};

use super::manifest::Manifest;
use crate::savedmodel;
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

/// By its names alone, as tensorflow_hub leaves it: what TensorFlow cannot do without.
///
/// # Errors
///
/// What is missing.
pub(super) fn by_names(folder: &Folder) -> Result<(), savedmodel::Flaw> {
    savedmodel::flaw(&Names(folder)).map_or(Ok(()), Err)
}

/// A folder in which nothing is opened.
struct Names<'a>(&'a Folder);

impl savedmodel::Files for Names<'_> {
    fn files_in(&self, dir: &str) -> Option<Vec<(&str, u64)>> {
        let inside = self.0.files.iter().filter_map(|file| {
            let (parent, name) = file.name.rsplit_once('/').unwrap_or(("", &file.name));
            (parent == dir).then_some((name, file.size))
        });
        Some(inside.collect()).filter(|files: &Vec<_>| !files.is_empty())
    }

    fn size(&self, path: &str) -> Option<u64> {
        let file = self.0.files.iter().find(|file| file.name == path)?;
        Some(file.size)
    }

    fn open(&self, _: &str) -> Option<impl Read + Seek> {
        None::<Cursor<&[u8]>>
    }
}
