//! Which version is the newest, which versions there are, and what Kaggle has: asked of the origin at most once a minute
//! (after an error sooner, if nothing is known), and never forgotten because of an error.

use std::fmt::Display;
use std::hash::Hash;
use std::sync::Arc;

use super::query_cache::{Answer, Kind, Old, QueryCache};
use super::{Error, Shared};
use crate::handle::{Catalogue, Handle};
use crate::source::{self, Newest};

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
    newest: QueryCache<Handle, Latest>,
    versions: QueryCache<Handle, Arc<Vec<u64>>>,
    children: QueryCache<Catalogue, Arc<Vec<String>>>,
}

impl Default for Told {
    fn default() -> Told {
        Told {
            newest: QueryCache::new(Kind {
                old: Old::Kept,
                names: |_| 1,
            }),
            versions: QueryCache::new(Kind {
                old: Old::Kept,
                names: |versions| versions.len(),
            }),
            children: QueryCache::new(Kind {
                old: Old::Kept,
                names: |names| names.len(),
            }),
        }
    }
}

/// The newest version, from memory when the answer is fresh.
pub(super) async fn newest(shared: &Arc<Shared>, unversioned: &Handle) -> Answer<Latest> {
    let ask = async |shared: Arc<Shared>, handle: Handle| {
        Ok(match shared.source.newest(&handle).await? {
            Newest::Version(number) => Latest::Version(number),
            Newest::Elsewhere(handle) => Latest::Elsewhere(handle),
            Newest::Unnumbered => Latest::Unnumbered,
        })
    };
    told(shared, &shared.told.newest, unversioned, ask).await
}

/// Every version that the origin tells of; empty where it tells of none.
pub(super) async fn versions(shared: &Arc<Shared>, unversioned: &Handle) -> Answer<Arc<Vec<u64>>> {
    let ask = async |shared: Arc<Shared>, handle: Handle| {
        Ok(Arc::new(shared.source.versions(&handle).await?))
    };
    told(shared, &shared.told.versions, unversioned, ask).await
}

/// What lies below a directory of Kaggle.
pub(super) async fn children(shared: &Arc<Shared>, of: &Catalogue) -> Answer<Arc<Vec<String>>> {
    let ask =
        async |shared: Arc<Shared>, of: Catalogue| Ok(Arc::new(shared.source.children(&of).await?));
    told(shared, &shared.told.children, of, ask).await
}

/// What is remembered of `key`, or what the origin says to it.
async fn told<K, V, F>(
    shared: &Arc<Shared>,
    memo: &QueryCache<K, V>,
    key: &K,
    ask: impl FnOnce(Arc<Shared>, K) -> F,
) -> Answer<V>
where
    K: Hash + Eq + Clone + Display + Send + 'static,
    V: Clone + Send + Sync + 'static,
    F: Future<Output = Result<V, source::Error>> + Send + 'static,
{
    let asked = ask(shared.clone(), key.clone());
    let ask = |_| async { asked.await.map_err(Error::Source) };
    let lost = Error::lost(key);
    memo.ask(&shared.runtime, key, lost, |_| true, ask).await
}
