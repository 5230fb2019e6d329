//! Kaggle Models, through its REST API: files and their sizes, versions, and what there is.
//!
//! Files are read one by one from where `download` redirects to, which is a signed URL of a bucket (`web`). Kaggle limits
//! how often it may be asked, so that a listing is asked for in large pages and a redirect only when a file is read.
//! Credentials, where there are any, are added by `fetch` to what Kaggle's own host is asked.

mod files;
mod framework;
mod listings;
mod name;

use crate::fetch::Client;
use crate::handle::{Catalogue, Handle};

use super::api::{self, About, Api};
use super::{Archive, Error, Folder};
use name::Name;

/// The files of a model; of an unversioned handle, those of its newest version.
pub(super) async fn files(client: &Client, handle: &Handle) -> Result<Folder, Error> {
    let (name, about) = named(handle)?;
    let version = match name.version {
        Some(version) => version,
        None => listings::newest(client, &name, &about).await?,
    };
    files::folder(client, handle, &name, version, &about).await
}

/// The archive that the API gives for a versioned handle.
pub(super) async fn archive(client: &Client, handle: &Handle) -> Result<Archive, Error> {
    let (name, about) = named(handle)?;
    let version = match name.version {
        Some(version) => version,
        None => listings::newest(client, &name, &about).await?,
    };
    let url = api::url(&format!("{}/{version}/download", name.path()));
    let found = client.probe(&url).await;
    let found = found.map_err(|why| about.explain(&why))?;
    let media = found.content_type.as_deref().unwrap_or_default();
    if found.is_html() {
        return Err(Error::page(handle, &found.shown()));
    }
    if media.starts_with("application/json") {
        return Err(refused(client, &about, &url).await);
    }
    Ok(Archive::web(found))
}

/// The number of the newest version.
pub(super) async fn newest(client: &Client, unversioned: &Handle) -> Result<u64, Error> {
    let (name, about) = named(unversioned)?;
    listings::newest(client, &name, &about).await
}

/// The numbers of all versions, sorted.
pub(super) async fn versions(client: &Client, unversioned: &Handle) -> Result<Vec<u64>, Error> {
    let (name, about) = named(unversioned)?;
    listings::versions(client, &name, &about).await
}

/// What lies below a directory of Kaggle, sorted.
pub(super) async fn children(client: &Client, of: &Catalogue) -> Result<Vec<String>, Error> {
    let page = of.to_string();
    let about = About {
        model: page.clone(),
        page,
    };
    match of {
        Catalogue::Owner { owner } => listings::models(client, owner, &about).await,
        Catalogue::Model { owner, model } => {
            listings::frameworks(client, &format!("{owner}/{model}"), &about).await
        }
        Catalogue::Framework {
            owner,
            model,
            framework,
        } => {
            let model = format!("{owner}/{model}");
            listings::variations(client, &model, framework, &about).await
        }
    }
}

fn named(handle: &Handle) -> Result<(Name, About), Error> {
    let name = Name::of(handle).ok_or_else(|| Error::Failed {
        model: handle.url(),
        why: String::from("it is no model of Kaggle's"),
        advice: String::from("check the URL"),
    })?;
    let about = About {
        model: handle.url(),
        page: name.page(),
    };
    Ok((name, about))
}

/// What is said in place of an archive.
async fn refused(client: &Client, about: &About, url: &str) -> Error {
    let api = Api { client };
    match api.get::<serde_json::Value>(about, url).await {
        Err(error) => error,
        Ok(_) => about.broken(&client.mirrored(url), "gives no archive"),
    }
}
