//! Which version is the newest: asked of the origin at most once a minute (after an error sooner, if nothing is known),
//! and never forgotten because of an error.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lru::LruCache;
use parking_lot::Mutex;
use tokio::time::timeout;

use super::step::{Step, join, step};
use super::{Error, Shared, VERDICT};
use crate::handle::Handle;
use crate::source::Newest;

/// How long an answer is good. TensorFlow Serving asks every second.
const FRESH: Duration = Duration::from_secs(60);

/// How long an origin may think before an answer that is no longer fresh is given again: TensorFlow Serving's poll, which
/// is to see the same versions as before, must not hang when the origin does.
const SOON: Duration = Duration::from_secs(2);

/// How many unversioned handles are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

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

/// What is known of each unversioned handle that was asked for.
pub(super) struct Table {
    known: Mutex<LruCache<String, Known>>,
}

impl Default for Table {
    fn default() -> Table {
        Table {
            known: Mutex::new(LruCache::new(REMEMBERED)),
        }
    }
}

#[derive(Default)]
struct Known {
    answer: Option<(Result<Latest, Error>, Instant)>,
    asking: Option<Step<Result<Latest, Error>>>,
}

impl Known {
    /// The answer, while it is good: an error not for long.
    fn fresh(&self) -> Option<Result<Latest, Error>> {
        let (answer, at) = self.answer.as_ref()?;
        let good = if answer.is_ok() { FRESH } else { VERDICT };
        (at.elapsed() < good).then(|| answer.clone())
    }
}

/// The newest version, from memory when the answer is fresh.
pub(super) async fn ask(shared: Arc<Shared>, unversioned: &Handle) -> Result<Latest, Error> {
    let url = unversioned.url();
    let (old, asking) = {
        let mut table = shared.newest.known.lock();
        let known = table.get_or_insert_mut(url.clone(), Known::default);
        if let Some(answer) = known.fresh() {
            return answer;
        }
        let asking = join(&mut known.asking, || {
            let lost = Err(Error::Lost { handle: url });
            let work = ask_origin(shared.clone(), unversioned.clone());
            step(&shared.runtime, lost, work)
        });
        let old = known.answer.as_ref();
        (old.and_then(|(answer, _)| answer.clone().ok()), asking)
    };
    match old {
        Some(old) => timeout(SOON, asking).await.unwrap_or(Ok(old)),
        None => asking.await,
    }
}

async fn ask_origin(shared: Arc<Shared>, unversioned: Handle) -> Result<Latest, Error> {
    let answer = match shared.source.newest(&unversioned).await {
        Ok(Newest::Version(number, _)) => Ok(Latest::Version(number)),
        Ok(Newest::Elsewhere(handle, _)) => Ok(Latest::Elsewhere(handle)),
        Ok(Newest::Unnumbered(_)) => Ok(Latest::Unnumbered),
        Err(error) => Err(Error::Source(error)),
    };
    let mut table = shared.newest.known.lock();
    let known = table.get_or_insert_mut(unversioned.url(), Known::default);
    known.asking = None;
    let kept = match (answer, known.answer.take()) {
        // An error never takes back what was known.
        (Err(error), Some((Ok(old), _))) => {
            tracing::warn!(model = %unversioned, %error, "the newest version cannot be asked; keeping the known one");
            Ok(old)
        }
        (answer, _) => answer,
    };
    known.answer = Some((kept.clone(), Instant::now()));
    kept
}
