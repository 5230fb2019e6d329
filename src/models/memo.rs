//! Answers of origins: a question is asked once however many ask it at the same time, and its answer is good for a while.

use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lru::LruCache;
use parking_lot::Mutex;
use tokio::time::timeout;

use super::step::{Step, join, step};
use super::{Error, VERDICT};

/// How long an answer is good. TensorFlow Serving asks every second.
const FRESH: Duration = Duration::from_secs(60);

/// How long an origin may think before an answer that is no longer fresh is given again, where old answers are kept: a
/// poll, which is to see the same as before, must not hang when the origin does.
const SOON: Duration = Duration::from_secs(2);

/// How many answers are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

pub(super) type Answer<V> = Result<V, Error>;

/// What an error means for an earlier answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Old {
    /// It is gone.
    Forgotten,
    /// It is still given: an error never takes back what was known.
    Kept,
}

/// The answers to questions of one kind.
pub(super) struct Memo<K: Hash + Eq, V: Clone> {
    table: Arc<Mutex<LruCache<K, Known<V>>>>,
    old: Old,
}

struct Known<V: Clone> {
    answer: Option<(Answer<V>, Instant)>,
    asking: Option<Step<Answer<V>>>,
}

impl<V: Clone> Default for Known<V> {
    fn default() -> Known<V> {
        Known {
            answer: None,
            asking: None,
        }
    }
}

impl<V: Clone> Known<V> {
    /// The answer, while it is good: an error not for long.
    fn fresh(&self) -> Option<Answer<V>> {
        let (answer, at) = self.answer.as_ref()?;
        let good = if answer.is_ok() { FRESH } else { VERDICT };
        (at.elapsed() < good).then(|| answer.clone())
    }
}

impl<K, V> Memo<K, V>
where
    K: Hash + Eq + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// No answers yet.
    pub(super) fn new(old: Old) -> Memo<K, V> {
        Memo {
            table: Arc::new(Mutex::new(LruCache::new(REMEMBERED))),
            old,
        }
    }

    /// The answer that is known, while it is good.
    pub(super) fn fresh(&self, key: &K) -> Option<Answer<V>> {
        self.table.lock().get(key)?.fresh()
    }

    /// The next question is asked anew.
    pub(super) fn forget(&self, key: &K) {
        if let Some(known) = self.table.lock().get_mut(key) {
            known.answer = None;
        }
    }

    /// The answer that is known, if it is good and `enough`, or else that of `ask`, which gets what is not enough.
    pub(super) async fn ask<F>(
        &self,
        runtime: &tokio::runtime::Handle,
        key: &K,
        lost: Error,
        enough: impl Fn(&V) -> bool,
        ask: impl FnOnce(Option<V>) -> F,
    ) -> Answer<V>
    where
        F: Future<Output = Answer<V>> + Send + 'static,
    {
        let (old, asking) = {
            let mut table = self.table.lock();
            let known = table.get_or_insert_mut(key.clone(), Known::default);
            let begun = match known.fresh() {
                Some(Ok(answer)) if !enough(&answer) => Some(answer),
                Some(answer) => return answer,
                None => None,
            };
            let old = known.answer.as_ref();
            let old = old.and_then(|(answer, _)| answer.clone().ok());
            let asking = join(&mut known.asking, || {
                let work = keep(self.table.clone(), key.clone(), self.old, ask(begun));
                step(runtime, Err(lost), work)
            });
            (old, asking)
        };
        match old {
            Some(old) if self.old == Old::Kept => timeout(SOON, asking).await.unwrap_or(Ok(old)),
            _ => asking.await,
        }
    }
}

/// Asks, and remembers the answer.
async fn keep<K: Hash + Eq, V: Clone>(
    table: Arc<Mutex<LruCache<K, Known<V>>>>,
    key: K,
    old: Old,
    ask: impl Future<Output = Answer<V>>,
) -> Answer<V> {
    let answer = ask.await;
    let mut table = table.lock();
    let known = table.get_or_insert_mut(key, Known::default);
    known.asking = None;
    let kept = match (answer, known.answer.take()) {
        (Err(error), Some((Ok(before), _))) if old == Old::Kept => {
            tracing::warn!(%error, "the origin cannot be asked; what is known is kept");
            Ok(before)
        }
        (answer, _) => answer,
    };
    known.answer = Some((kept.clone(), Instant::now()));
    kept
}
