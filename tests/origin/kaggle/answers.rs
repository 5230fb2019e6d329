//! The documents of the Models API.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::call::{Ask, Call, Form, enumerated};
use super::catalogue::{Catalogue, Version};
use crate::origin::object::UPDATED;
use crate::origin::wire::Reply;

/// The answer to anything but a download; `None` where there is no such thing.
pub fn document(catalogue: &Catalogue, call: &Call) -> Option<Reply> {
    let value = match &call.ask {
        Ask::Models { owner } => {
            let of = [owner.as_str(), "", "", ""].map(str::to_owned);
            let models = groups(catalogue.like(&of), 2);
            let count = models.len();
            let mut page = call.page(
                "models",
                models.iter().map(|versions| model(versions)).collect(),
            );
            page["totalResults"] = count.into();
            page
        }
        Ask::Model(of) => {
            let versions: Vec<_> = catalogue.like(of).collect();
            let variations = groups(catalogue.like(of), 4);
            let mut found = model(versions.get(..1)?);
            found["instances"] = variations
                .iter()
                .map(|versions| variation(versions, call.form))
                .collect();
            found
        }
        Ask::Variations(of) => {
            let found = groups(catalogue.like(of), 4);
            found.first()?;
            call.page(
                "instances",
                found
                    .iter()
                    .map(|versions| variation(versions, call.form))
                    .collect(),
            )
        }
        Ask::Variation(of) => variation(groups(catalogue.like(of), 4).first()?, call.form),
        Ask::Versions(of) => {
            let mut found: Vec<_> = catalogue
                .like(of)
                .map(|version| one(version, call.form))
                .collect();
            found.first()?;
            // Newest first, as people want to see them.
            found.reverse();
            let mut page = call.page("versions", found);
            let next = page["nextPageToken"].take();
            page.as_object_mut()?.remove("nextPageToken");
            json!({"versionList": page, "nextPageToken": next})
        }
        Ask::Files { of, version } => {
            let version = catalogue.version(of, *version)?;
            let file = |(name, object): &(String, Arc<crate::origin::Object>)| json!({"name": name, "size": object.listed_size(), "creationDate": "2025-10-18T13:30:13.123456789Z"});
            call.page("files", version.files.iter().map(file).collect())
        }
        Ask::Download { .. } => return None,
    };
    let mut reply = Reply::json(200, &value);
    reply.object = true;
    Some(reply)
}

impl Call {
    /// One page of a list; an empty token says that it was the last.
    fn page(&self, name: &str, entries: Vec<Value>) -> Value {
        let (size, first) = self.page;
        let next = match first + size < entries.len() {
            true => format!("page-{}", first + size),
            false => String::new(),
        };
        let entries: Vec<Value> = entries.into_iter().skip(first).take(size).collect();
        json!({name: entries, "nextPageToken": next})
    }
}

/// Versions that have the first so many slugs in common.
fn groups<'a>(
    versions: impl Iterator<Item = &'a Arc<Version>>,
    slugs: usize,
) -> Vec<Vec<&'a Arc<Version>>> {
    let mut groups: BTreeMap<Vec<String>, Vec<&Arc<Version>>> = BTreeMap::new();
    for version in versions {
        groups
            .entry(version.slugs[..slugs].to_vec())
            .or_default()
            .push(version);
    }
    groups.into_values().collect()
}

fn model(versions: &[&Arc<Version>]) -> Value {
    let version = versions[0];
    let [owner, model, ..] = &version.slugs;
    json!({
        "id": version.id, "ref": format!("{owner}/{model}"), "title": model, "author": owner, "slug": model,
        "isPrivate": false, "updateTime": UPDATED,
    })
}

/// The two forms spell frameworks differently; the SDK takes both, and so must everyone.
fn framework(slug: &str, form: Form) -> String {
    match form {
        Form::Rpc => enumerated(slug),
        Form::Rest => slug[..1].to_uppercase() + &slug[1..],
    }
}

fn variation(versions: &[&Arc<Version>], form: Form) -> Value {
    let newest = versions
        .iter()
        .max_by_key(|version| version.number)
        .unwrap();
    let [owner, model, slug, name] = &newest.slugs;
    let bytes: usize = newest
        .files
        .iter()
        .map(|(_, file)| file.archive().len())
        .sum();
    json!({
        "id": newest.id, "ownerSlug": owner, "modelSlug": model, "slug": name, "framework": framework(slug, form),
        "versionId": newest.id + 133, "versionNumber": newest.number, "licenseName": "Apache 2.0",
        "url": format!("https://www.kaggle.com/models/{owner}/{model}/{slug}/{name}"),
        "downloadUrl": format!("https://www.kaggle.com/api/v1/models/{owner}/{model}/{slug}/{name}/{}/download", newest.number),
        "totalUncompressedBytes": bytes,
    })
}

fn one(version: &Version, form: Form) -> Value {
    json!({
        "id": version.id + 133, "modelInstanceId": version.id, "versionNumber": version.number,
        "framework": framework(&version.slugs[2], form), "variationSlug": version.slugs[3], "isTfhubModel": true,
    })
}
