//! What Kaggle has: versions with files, found by slugs in any case.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::call::{Ask, Slugs};
use crate::origin::object::Object;
use crate::origin::script::Fault;

/// One version of a variation, and the faults of everything the API says about it.
#[derive(Debug)]
pub struct Version {
    pub id: u64,
    pub slugs: Slugs,
    pub number: u64,
    /// Known in the log as `owner/model/framework/variation/number`. It has no bytes, only faults.
    pub api: Arc<Object>,
    pub archive: Arc<Object>,
    /// Known in the log as the version's name, a slash, and the path.
    pub files: Vec<(String, Arc<Object>)>,
}

impl Version {
    /// Replaces all faults of the API's answers.
    pub fn faults(&self, faults: Vec<Fault>) -> &Version {
        self.api.faults(faults);
        self
    }

    pub fn file(&self, path: &str) -> Option<Arc<Object>> {
        let mut files = self.files.iter();
        files.find_map(|(known, file)| (known == path).then(|| Arc::clone(file)))
    }
}

/// All versions, by the lower-case form of their name.
#[derive(Debug, Default)]
pub struct Catalogue(BTreeMap<(Slugs, u64), Arc<Version>>);

fn lower(slugs: &Slugs) -> Slugs {
    slugs.clone().map(|slug| slug.to_ascii_lowercase())
}

impl Catalogue {
    pub fn insert(&mut self, version: Arc<Version>) {
        self.0
            .insert((lower(&version.slugs), version.number), version);
    }

    /// The versions whose first slugs are these; empty ones are like any.
    pub fn like<'a>(&'a self, of: &Slugs) -> impl Iterator<Item = &'a Arc<Version>> + use<'a> {
        let of = lower(of);
        let same = move |slugs: &Slugs| {
            let mut pairs = slugs.iter().zip(&of);
            pairs.all(|(slug, wanted)| wanted.is_empty() || slug == wanted)
        };
        self.0
            .iter()
            .filter(move |((slugs, _), _)| same(slugs))
            .map(|(_, version)| version)
    }

    /// One version; 0 is the newest.
    pub fn version(&self, of: &Slugs, number: u64) -> Option<Arc<Version>> {
        let newest = self.like(of).map(|version| version.number).max()?;
        let wanted = if number == 0 { newest } else { number };
        self.like(of)
            .find(|version| version.number == wanted)
            .cloned()
    }

    /// The version that a question is about: the newest one, unless a number was said.
    pub fn find(&self, ask: &Ask) -> Option<Arc<Version>> {
        match ask {
            Ask::Models { owner } => {
                let of = [owner, "", "", ""].map(str::to_owned);
                self.like(&of).next().cloned()
            }
            Ask::Model(of) | Ask::Variations(of) => self.like(of).next().cloned(),
            Ask::Variation(of) | Ask::Versions(of) => self.version(of, 0),
            Ask::Files { of, version } | Ask::Download { of, version, .. } => {
                self.version(of, *version)
            }
        }
    }
}

/// Where Kaggle keeps what the hub calls `google/a/b/1`: `models/google/a-b/tensorFlow2/a-b/1`.
pub fn page_name(name: &str, framework: &str) -> String {
    let parts: Vec<&str> = name.split('/').collect();
    match parts.as_slice() {
        [owner, middle @ .., version] => {
            let slug = middle.join("-").to_ascii_lowercase();
            format!("models/{owner}/{slug}/{framework}/{slug}/{version}")
        }
        _ => String::new(),
    }
}

/// The short form of a page's path: the long one says `frameworks/`, `variations/` and `versions/` in between.
pub fn short(path: &str) -> String {
    let words = path
        .split('/')
        .filter(|part| !matches!(*part, "frameworks" | "variations" | "versions"));
    words.collect::<Vec<_>>().join("/")
}
