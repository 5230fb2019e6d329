//! Which version is the newest, which versions there are, and what Kaggle has: asked of the origin at most once a minute
//! (after an error sooner, if nothing is known), and never forgotten because of an error.

use std::sync::Arc;

use super::memo::{Answer, Memo, Old};
use super::{Error, Shared};
use crate::handle::{Catalogue, Handle};
use crate::source::Newest;

/// Where an unversioned handle leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Latest {
    /// To a version of the same model.
    Version(u64),
    /// To a model under another name, as tfhub.dev does with Kaggle's.
    Elsewhere(Handle),
    /// Nowhere that has a number.
    Unnumbered,
}

/// What origins have told of more than one model.
pub(super) struct Told {
    newest: Memo<Handle, Latest>,
    versions: Memo<Handle, Arc<Vec<u64>>>,
    children: Memo<Catalogue, Arc<Vec<String>>>,
}

impl Default for Told {
    fn default() -> Told {
        Told {
            newest: Memo::new(Old::Kept),
            versions: Memo::new(Old::Kept),
            children: Memo::new(Old::Kept),
        }
    }
}

/// The newest version, from memory when the answer is fresh.
pub(super) async fn newest(shared: &Arc<Shared>, unversioned: &Handle) -> Answer<Latest> {
    let ask = |_| {
        let (shared, handle) = (shared.clone(), unversioned.clone());
        async move {
            match shared.source.newest(&handle).await {
                Ok(Newest::Version(number, _)) => Ok(Latest::Version(number)),
                Ok(Newest::Elsewhere(handle, _)) => Ok(Latest::Elsewhere(handle)),
                Ok(Newest::Unnumbered(_)) => Ok(Latest::Unnumbered),
                Err(error) => Err(Error::Source(error)),
            }
        }
    };
    let memo = &shared.told.newest;
    memo.ask(
        &shared.runtime,
        unversioned,
        Error::lost(unversioned),
        |_| true,
        ask,
    )
    .await
}

/// Every version that the origin tells of; empty where it tells of none.
pub(super) async fn versions(shared: &Arc<Shared>, unversioned: &Handle) -> Answer<Arc<Vec<u64>>> {
    let ask = |_| {
        let (shared, handle) = (shared.clone(), unversioned.clone());
        async move {
            let versions = shared.source.versions(&handle).await;
            versions.map(Arc::new).map_err(Error::Source)
        }
    };
    let memo = &shared.told.versions;
    memo.ask(
        &shared.runtime,
        unversioned,
        Error::lost(unversioned),
        |_| true,
        ask,
    )
    .await
}

/// What lies below a directory of Kaggle.
pub(super) async fn children(shared: &Arc<Shared>, of: &Catalogue) -> Answer<Arc<Vec<String>>> {
    let ask = |_| {
        let (shared, of) = (shared.clone(), of.clone());
        async move {
            let names = shared.source.children(&of).await;
            names.map(Arc::new).map_err(Error::Source)
        }
    };
    let memo = &shared.told.children;
    memo.ask(&shared.runtime, of, Error::lost(of), |_| true, ask)
        .await
}
