//! What there is at Kaggle: versions of a variation, models of an owner, frameworks and variations of a model.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::framework;
use super::name::Name;
use crate::fetch::Client;
use crate::source::Error;
use crate::source::api::{About, Api, Page, encoded, url};

/// A variation, as `get` and `list` tell of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Variation {
    pub slug: Option<String>,
    pub framework: Option<String>,
    /// The newest.
    pub version_number: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Variations {
    #[serde(default)]
    instances: Option<Vec<Variation>>,
    next_page_token: Option<String>,
}

impl Page for Variations {
    type Item = Variation;

    fn into_parts(self) -> (Vec<Variation>, Option<String>) {
        (self.instances.unwrap_or_default(), self.next_page_token)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Versions {
    version_list: Option<VersionList>,
    next_page_token: Option<String>,
}

#[derive(Debug, Deserialize)]
struct VersionList {
    #[serde(default)]
    versions: Option<Vec<Version>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    version_number: Option<u64>,
}

impl Page for Versions {
    type Item = Version;

    fn into_parts(self) -> (Vec<Version>, Option<String>) {
        let versions = self.version_list.and_then(|list| list.versions);
        (versions.unwrap_or_default(), self.next_page_token)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Models {
    #[serde(default)]
    models: Option<Vec<Model>>,
    next_page_token: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Model {
    #[serde(rename = "ref")]
    reference: Option<String>,
    slug: Option<String>,
}

impl Page for Models {
    type Item = Model;

    fn into_parts(self) -> (Vec<Model>, Option<String>) {
        (self.models.unwrap_or_default(), self.next_page_token)
    }
}

/// The number of the newest version.
pub(super) async fn newest(client: &Client, name: &Name, about: &About) -> Result<u64, Error> {
    let url = url(&format!("{}/get", name.path()));
    let variation: Variation = Api { client }.get(about, &url).await?;
    let number = variation.version_number.filter(|number| *number > 0);
    number.ok_or_else(|| about.broken(&client.mirrored(&url), "tells no version"))
}

/// The numbers of all versions, sorted.
pub(super) async fn versions(
    client: &Client,
    name: &Name,
    about: &About,
) -> Result<Vec<u64>, Error> {
    let path = format!("{}/list", name.path());
    let listed = Api { client }.all::<Versions>(about, &path, "").await?;
    let numbers = listed
        .into_iter()
        .filter_map(|version| version.version_number);
    let numbers: BTreeSet<u64> = numbers.filter(|number| *number > 0).collect();
    Ok(numbers.into_iter().collect())
}

/// The models of an owner, sorted.
pub(super) async fn models(
    client: &Client,
    owner: &str,
    about: &About,
) -> Result<Vec<String>, Error> {
    let query = format!("owner={}&", encoded(owner));
    let listed = Api { client }
        .all::<Models>(about, "/models/list", &query)
        .await?;
    let slugs = listed
        .into_iter()
        .filter_map(|model| match model.reference {
            Some(reference) => {
                let (of, slug) = reference.rsplit_once('/')?;
                of.eq_ignore_ascii_case(owner).then(|| slug.to_owned())
            }
            None => model.slug,
        });
    Ok(sorted(slugs))
}

/// The frameworks of a model, sorted, as URLs have them.
pub(super) async fn frameworks(
    client: &Client,
    model: &str,
    about: &About,
) -> Result<Vec<String>, Error> {
    let listed = variations_of(client, model, about).await?;
    let frameworks = listed
        .into_iter()
        .filter_map(|variation| variation.framework);
    Ok(sorted(
        frameworks.map(|name| framework::slug(&name).to_owned()),
    ))
}

/// The variations of a model (`OWNER/MODEL`) in a framework, sorted.
pub(super) async fn variations(
    client: &Client,
    model: &str,
    framework: &str,
    about: &About,
) -> Result<Vec<String>, Error> {
    let listed = variations_of(client, model, about).await?;
    let same = |variation: &Variation| {
        let name = variation.framework.as_deref();
        name.is_some_and(|name| framework::same(name, framework))
    };
    let slugs = listed.into_iter().filter(same);
    Ok(sorted(slugs.filter_map(|variation| variation.slug)))
}

async fn variations_of(
    client: &Client,
    model: &str,
    about: &About,
) -> Result<Vec<Variation>, Error> {
    let path = format!("/models/{model}/list");
    Api { client }.all::<Variations>(about, &path, "").await
}

/// Each name once, in order; what can be no part of a handle is left out.
fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let names: BTreeSet<String> = names.filter(|name| is_slug(name)).collect();
    names.into_iter().collect()
}

fn is_slug(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= 255 && !name.starts_with('.') && name.chars().all(fits)
}
