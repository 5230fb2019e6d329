//! TensorFlow Hub's hosting protocol, compressed form (tensorflow.org/hub/hosting): a GET of the handle with
//! `tf-hub-format=compressed` answers with an archive, or leads to one.
//!
//! The parameter goes to every http handle, plain archive URLs and Kaggle's pages included, because that is what
//! tensorflow_hub sends and what origins are used to. It is put to the first request only; the targets of redirects
//! are requested as they are. A query pasted onto a handle is no part of the model's name and is not sent.

use super::Error;
use crate::fetch::{Client, Resource};
use crate::handle::{Handle, Kind};

const COMPRESSED: &str = "tf-hub-format=compressed";

/// Where a hub's visitors land when it does not know what they asked for.
const KAGGLE_START_PAGE: &str = "/models?tfhub-redirect=true";

/// What is asked for `handle`. hub.tensorflow.google.cn is not asked at all: tensorflow_hub rewrites its handles to
/// archives at another host, without a query (compressed_module_resolver.py).
fn request_url(handle: &Handle, query: &str) -> String {
    match handle.kind() {
        Kind::TensorflowCn => {
            format!(
                "https://gcs.tensorflow.google.cn/tfhub-modules/{}.tar.gz",
                handle.path()
            )
        }
        Kind::Hosted | Kind::Kaggle | Kind::Archive | Kind::Bucket => {
            format!("{}?{query}", handle.url())
        }
    }
}

/// Follows `handle` to its archive.
pub(super) async fn probe(client: &Client, handle: &Handle) -> Result<Resource, Error> {
    ask(client, handle, COMPRESSED).await
}

/// Follows `handle` to what `query` asks for, which is no page for people.
pub(super) async fn ask(client: &Client, handle: &Handle, query: &str) -> Result<Resource, Error> {
    let found = client.probe(&request_url(handle, query)).await;
    let resource = found.map_err(|why| Error::explain(handle, &why))?;
    if resource.is_html() || is_start_page(&resource.url()) {
        return Err(Error::page(handle, &resource.shown()));
    }
    Ok(resource)
}

/// Whether this is where visitors land who ask for what is unknown.
pub(super) fn is_start_page(url: &str) -> bool {
    url.ends_with(KAGGLE_START_PAGE)
}

/// What the redirects of an unversioned handle say about the version.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// A version of the same model.
    Version(u64),
    /// A versioned handle of another name.
    Handle(Handle),
}

/// The first of these redirects that leads to a versioned handle, of this model or of one on the same host or on Kaggle.
pub(super) fn version_told(
    client: &Client,
    asked: &Handle,
    hops: impl IntoIterator<Item = String>,
) -> Option<Told> {
    let mut handles = hops.into_iter().flat_map(|url| {
        let spellings = client.stands_for(&url);
        spellings
            .into_iter()
            .filter_map(|url| versioned(&url))
            .collect::<Vec<_>>()
    });
    handles.find_map(|told| match told.version() {
        Some(version) if told == asked.with_version(version) => Some(Told::Version(version)),
        Some(_) if told.kind() == Kind::Kaggle || told.authority() == asked.authority() => {
            Some(Told::Handle(told))
        }
        _ => None,
    })
}

/// The versioned handle that a URL of a redirect is, without its query.
fn versioned(url: &str) -> Option<Handle> {
    let bare = url.split('?').next().unwrap_or_default();
    Handle::parse(bare)
        .ok()
        .filter(|handle| handle.version().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_request_is_the_one_tensorflow_hub_makes() {
        for (handle, url) in [
            (
                "https://tfhub.dev/google/nnlm/2",
                "https://tfhub.dev/google/nnlm/2?tf-hub-format=compressed",
            ),
            (
                "https://tfhub.dev/google/nnlm/2/",
                "https://tfhub.dev/google/nnlm/2?tf-hub-format=compressed",
            ),
            (
                "https://tfhub.dev/google/nnlm/2?tfhub-redirect=true",
                "https://tfhub.dev/google/nnlm/2?tf-hub-format=compressed",
            ),
            (
                "https://example.com/m.tar.gz",
                "https://example.com/m.tar.gz?tf-hub-format=compressed",
            ),
            (
                "https://www.kaggle.com/models/google/yamnet/tensorFlow2/yamnet/1",
                "https://www.kaggle.com/models/google/yamnet/tensorFlow2/yamnet/1?tf-hub-format=compressed",
            ),
            (
                "https://hub.tensorflow.google.cn/google/bit/s-r50x1/1",
                "https://gcs.tensorflow.google.cn/tfhub-modules/google/bit/s-r50x1/1.tar.gz",
            ),
        ] {
            assert_eq!(
                request_url(&Handle::parse(handle).unwrap(), COMPRESSED),
                url
            );
        }
    }
}
