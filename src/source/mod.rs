//! Knowledge of the places models come from: handle in, plan out.
//!
//! A [`Plan`] is what a source says about a handle from headers and listings alone: one archive, or files of which any
//! part can be read. Whoever fetches the bytes later reuses its answer and asks nothing twice. What goes wrong becomes an
//! [`Error`] that names the model, the URL, the answer and what to do.
//!
//! - `hosting` and `uncompressed` speak the two forms of TensorFlow Hub's protocol, `formats` its variants for TF Lite and
//!   TF.js. tensorflow_hub treats Kaggle's pages and plain archives in the same way.
//! - `kaggle` speaks Kaggle's API.
//! - `objects` makes files of models of what lies in buckets (`crate::bucket`).
//! - `web` reads a file behind redirects by ranges.

mod api;
mod archive;
mod error;
mod formats;
mod hosting;
mod kaggle;
mod listed;
mod objects;
mod plan;
#[cfg(test)]
mod tests;
mod uncompressed;
mod web;

use std::time::Instant;

use tokio::time::timeout;

pub use archive::Archive;
pub use error::Error;
pub use objects::{MAX_PAGES, endless_listing};
pub use plan::{Bytestream, Folder, Plan, Ranged, RemoteFile};

use crate::bucket::Buckets;
use crate::config::LoadFormat;
use crate::fetch::{Client, Resource};
use crate::handle::{BucketPath, Catalogue, Format, Handle, Kind};

/// How models are asked for.
#[derive(Debug, Clone)]
pub struct SourceOptions {
    /// In which form.
    pub format: LoadFormat,
    /// Where `gs://` and `s3://` are read.
    pub buckets: Buckets,
}

/// The places models come from.
#[derive(Debug, Clone)]
pub struct Source {
    client: Client,
    options: SourceOptions,
}

/// What an unversioned handle stands for at the moment.
#[derive(Debug, Clone)]
pub enum Newest {
    /// This version of the same model.
    Version(u64),
    /// A versioned model under another name, as when a hub's model went to Kaggle.
    Elsewhere(Handle),
    /// The origin gives the model without telling which version it is.
    Unnumbered,
}

impl Source {
    /// Sources that are reached through `client`.
    pub fn new(client: Client, options: SourceOptions) -> Source {
        Source { client, options }
    }

    /// The client, to download what a plan says.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// `gs://` and `s3://`.
    pub fn buckets(&self) -> &Buckets {
        &self.options.buckets
    }

    /// Where the bytes of `handle` are, in the form of the options. `auto` is the archive, as in tensorflow_hub, or the
    /// files where there is no archive. TF Lite and TF.js models have one form, and buckets are read as they are.
    pub async fn plan(&self, handle: &Handle) -> Result<Plan, Error> {
        if let Some(path) = handle.bucket() {
            return self.in_bucket(handle, &path).await;
        }
        let uncompressed = self.options.format == LoadFormat::Uncompressed;
        let of_format = handle.format() != Format::SavedModel;
        if uncompressed && (!of_format || handle.kind() == Kind::Kaggle) {
            return self.files(handle).await.map(Plan::of_files);
        }
        match formats::plan(&self.client, handle).await? {
            Some(plan) => Ok(plan),
            None => self.archived(handle).await,
        }
    }

    /// The uncompressed form alone: the files, wherever they are.
    pub async fn files(&self, handle: &Handle) -> Result<Folder, Error> {
        if let Some(path) = handle.bucket() {
            return self.bucket_folder(&path.to_string()).await;
        }
        if handle.kind() != Kind::Kaggle {
            return self.hosted_files(handle).await;
        }
        match kaggle::files(&self.client, handle).await {
            Err(error) if !error.is_timeout() => {
                // A host in Kaggle's place may speak the hosting protocol alone.
                let hosted = self.hosted_files(handle).await;
                hosted.map_err(|_| error)
            }
            told => told,
        }
    }

    /// The `gs://` folder of the uncompressed form, as `hub.resolve` gives it.
    pub async fn remote(&self, handle: &Handle) -> Result<String, Error> {
        match handle.bucket() {
            Some(path) => Ok(path.to_string()),
            None => uncompressed::walk(&self.client, handle).await.end,
        }
    }

    /// Which version a handle without one stands for: Kaggle's API tells, or the redirects do, one request per hop.
    pub async fn newest(&self, unversioned: &Handle) -> Result<Newest, Error> {
        if unversioned.kind() != Kind::Kaggle {
            return self.newest_of_host(unversioned).await;
        }
        match kaggle::newest(&self.client, unversioned).await {
            Ok(version) => Ok(Newest::Version(version)),
            Err(error) if error.is_timeout() => Err(error),
            Err(error) => {
                let told = self.newest_of_host(unversioned).await;
                told.map_err(|other| error.or(other))
            }
        }
    }

    /// The numbers of all versions, sorted; empty where the origin tells of none.
    pub async fn versions(&self, unversioned: &Handle) -> Result<Vec<u64>, Error> {
        match unversioned.kind() {
            Kind::Kaggle => kaggle::versions(&self.client, unversioned).await,
            _ => Ok(Vec::new()),
        }
    }

    /// What lies below a directory of Kaggle: an owner's models, a model's frameworks, their variations; sorted.
    pub async fn children(&self, of: &Catalogue) -> Result<Vec<String>, Error> {
        kaggle::children(&self.client, of).await
    }

    /// What is told of an unversioned handle by the redirects of the form that is asked for, or else of the archive.
    async fn newest_of_host(&self, unversioned: &Handle) -> Result<Newest, Error> {
        let client = &self.client;
        let told = |hops| match hosting::version_told(client, unversioned, hops) {
            Some(hosting::Told::Version(version)) => Newest::Version(version),
            Some(hosting::Told::Handle(handle)) => Newest::Elsewhere(handle),
            None => Newest::Unnumbered,
        };
        let plain = unversioned.format() == Format::SavedModel;
        if plain && self.options.format == LoadFormat::Uncompressed {
            let walk = uncompressed::walk(client, unversioned).await;
            if walk.end.is_ok() {
                return Ok(told(walk.hops));
            }
        }
        if let Some(resource) = formats::found(client, unversioned).await? {
            return Ok(told(targets(&resource)));
        }
        match hosting::probe(client, unversioned).await {
            Ok(resource) => Ok(told(targets(&resource))),
            Err(error) if plain && error.is_not_found() => {
                let walk = uncompressed::walk(client, unversioned).await;
                walk.end.map(|_| told(walk.hops)).map_err(|_| error)
            }
            Err(error) => Err(error),
        }
    }

    /// The archive; where there is none and any form is welcome, the files.
    async fn archived(&self, handle: &Handle) -> Result<Plan, Error> {
        let began = Instant::now();
        let error = match hosting::probe(&self.client, handle).await {
            Ok(resource) => return Ok(Plan::Archive(Archive::web(resource))),
            Err(error) => error,
        };
        // All of it within one timeout; if nothing helps, what was told first is what is wrong.
        let left = self.client.options().timeout;
        let left = left.saturating_sub(began.elapsed());
        match timeout(left, self.otherwise(handle, &error)).await {
            Ok(told) => told,
            Err(_) => Err(error),
        }
    }

    /// What else there may be where the hosting protocol's archive is not to be had.
    async fn otherwise(&self, handle: &Handle, error: &Error) -> Result<Plan, Error> {
        let any = self.options.format == LoadFormat::Auto;
        match handle.kind() {
            Kind::Kaggle if error.is_not_found() || error.is_denied() => {
                match kaggle::archive(&self.client, handle).await {
                    Ok(archive) => return Ok(Plan::Archive(archive)),
                    Err(other) if other.is_denied() => return Err(other),
                    Err(_) => {}
                }
            }
            Kind::Hosted if error.is_not_found() => {}
            _ => return Err(error.clone()),
        }
        let files = match any {
            true => self.files(handle).await.ok(),
            false => None,
        };
        files.map(Plan::of_files).ok_or_else(|| error.clone())
    }

    /// The files of the folder that a host names; of a model that went to Kaggle without its folder, what Kaggle lists.
    async fn hosted_files(&self, handle: &Handle) -> Result<Folder, Error> {
        let walk = uncompressed::walk(&self.client, handle).await;
        let error = match walk.end {
            Ok(folder) => return self.bucket_folder(&folder).await,
            Err(error) => error,
        };
        match hosting::version_told(&self.client, handle, walk.hops) {
            Some(hosting::Told::Handle(told))
                if told.kind() == Kind::Kaggle && !error.is_timeout() =>
            {
                let files = kaggle::files(&self.client, &told).await;
                files.map_err(|_| error)
            }
            _ => Err(error),
        }
    }

    /// A bucket's archive, or a folder of one.
    async fn in_bucket(&self, handle: &Handle, path: &BucketPath) -> Result<Plan, Error> {
        if handle.kind() != Kind::Archive {
            return self.files(handle).await.map(Plan::of_files);
        }
        let entry = self.bucket_name(path).await?;
        let archive = entry.file.map(|file| Plan::Archive(Archive::Object(file)));
        archive.ok_or_else(|| Error::Unknown {
            model: handle.url(),
            why: String::from("the bucket has no such object"),
            advice: String::from("check the name"),
        })
    }
}

fn targets(resource: &Resource) -> Vec<String> {
    resource.hops().iter().map(|hop| hop.target()).collect()
}
