//! Knowledge of the places models come from: handle in, plan out.
//!
//! A [`Plan`] is what a source says about a handle from headers alone; whoever fetches the bytes later reuses its
//! answer and asks nothing twice. What goes wrong becomes an [`Error`] that names the model, the URL, the answer and
//! what to do. [`hosting`] speaks TensorFlow Hub's protocol, and so far every handle goes through it: tensorflow_hub
//! treats Kaggle's pages and plain archives in the same way.

mod bucket;
mod error;
mod hosting;
mod plan;
#[cfg(test)]
mod tests;

pub use bucket::{Buckets, Seen};
pub use error::Error;
pub use plan::{Archive, Bytestream, Folder, Plan, Ranged, RemoteFile};

use crate::fetch::Client;
use crate::handle::Handle;

/// The places models come from.
#[derive(Debug, Clone)]
pub struct Source {
    client: Client,
}

/// What an unversioned handle stands for at the moment.
#[derive(Debug, Clone)]
pub enum Newest {
    /// This version of the same model.
    Version(u64, Plan),
    /// A versioned model under another name, as when a hub's model went to Kaggle.
    Elsewhere(Handle, Plan),
    /// The origin gives the model without telling which version it is.
    Unnumbered(Plan),
}

impl Source {
    /// Sources that are reached through `client`.
    pub fn new(client: Client) -> Source {
        Source { client }
    }

    /// The client, to download what a plan says.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Where the bytes of `handle` are: one request per redirect hop, headers only.
    pub async fn plan(&self, handle: &Handle) -> Result<Plan, Error> {
        let resource = hosting::probe(&self.client, handle).await?;
        Ok(Plan::Archive(Archive { resource }))
    }

    /// What the origin gives for a handle without a version, and which version that is: the redirects tell. One
    /// request per redirect hop, headers only.
    pub async fn newest(&self, unversioned: &Handle) -> Result<Newest, Error> {
        let resource = hosting::probe(&self.client, unversioned).await?;
        let told = hosting::version_told(&self.client, unversioned, &resource);
        let plan = Plan::Archive(Archive { resource });
        Ok(match told {
            Some(hosting::Told::Version(version)) => Newest::Version(version, plan),
            Some(hosting::Told::Handle(handle)) => Newest::Elsewhere(handle, plan),
            None => Newest::Unnumbered(plan),
        })
    }
}

impl Newest {
    /// What the unversioned handle's own answer was; holds whatever it is called.
    pub fn plan(&self) -> &Plan {
        match self {
            Newest::Version(_, plan) | Newest::Elsewhere(_, plan) | Newest::Unnumbered(plan) => {
                plan
            }
        }
    }
}
