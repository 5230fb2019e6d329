//! Answers of origins: a question is asked once however many ask it at the same time, and its answer is good for a while.

use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lru::LruCache;
use parking_lot::Mutex;
use tokio::time::timeout;

use super::shared_task::{SharedTask, join_or_spawn, shared_task};
use super::{Error, VERDICT};

/// How long an answer is good. TensorFlow Serving asks every second.
const FRESH: Duration = Duration::from_secs(60);

/// How long an origin may think before an answer that is no longer fresh is given again, where old answers are kept: a
/// poll, which is to see the same as before, must not hang when the origin does.
const SOON: Duration = Duration::from_secs(2);

/// How many answers are remembered, and how many names they may hold together.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);
const NAMES: usize = 500_000;

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
pub(super) struct QueryCache<K: Hash + Eq, V: Clone> {
    table: Arc<Mutex<LruCache<K, Known<V>>>>,
    kind: Kind<V>,
}

/// What answers are like.
pub(super) struct Kind<V> {
    pub(super) old: Old,
    /// How many names an answer holds.
    pub(super) names: fn(&V) -> usize,
}

impl<V> Clone for Kind<V> {
    fn clone(&self) -> Kind<V> {
        *self
    }
}

// Whatever `V` is, which a derived one would ask.
impl<V> Copy for Kind<V> {}

struct Known<V: Clone> {
    answer: Option<(Answer<V>, Instant)>,
    asking: Option<SharedTask<Answer<V>>>,
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

impl<K, V> QueryCache<K, V>
where
    K: Hash + Eq + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// No answers yet.
    pub(super) fn new(kind: Kind<V>) -> QueryCache<K, V> {
        QueryCache {
            table: Arc::new(Mutex::new(LruCache::new(REMEMBERED))),
            kind,
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
            let asking = join_or_spawn(&mut known.asking, || {
                let work = keep(self.table.clone(), key.clone(), self.kind, ask(begun));
                shared_task(runtime, Err(lost), work)
            });
            (old, asking)
        };
        match old {
            Some(old) if self.kind.old == Old::Kept => {
                timeout(SOON, asking).await.unwrap_or(Ok(old))
            }
            _ => asking.await,
        }
    }
}

/// Asks, and remembers the answer.
async fn keep<K: Hash + Eq, V: Clone>(
    table: Arc<Mutex<LruCache<K, Known<V>>>>,
    key: K,
    kind: Kind<V>,
    ask: impl Future<Output = Answer<V>>,
) -> Answer<V> {
    let answer = ask.await;
    let mut table = table.lock();
    let known = table.get_or_insert_mut(key, Known::default);
    known.asking = None;
    let kept = match (answer, known.answer.take()) {
        (Err(error), Some((Ok(before), _))) if kind.old == Old::Kept => {
            tracing::warn!(%error, "the origin cannot be asked; what is known is kept");
            Ok(before)
        }
        (answer, _) => answer,
    };
    known.answer = Some((kept.clone(), Instant::now()));
    let gone = trim(&mut table, kind, NAMES);
    drop(table);
    drop(gone); // without the lock: it may be much
    kept
}

/// Takes the answers that were used longest ago, until the others have at most `most` names. The latest stays.
fn trim<K: Hash + Eq, V: Clone>(
    table: &mut LruCache<K, Known<V>>,
    kind: Kind<V>,
    most: usize,
) -> Vec<Known<V>> {
    let names = |known: &Known<V>| match &known.answer {
        Some((Ok(answer), _)) => (kind.names)(answer),
        _ => 0,
    };
    let mut sum: usize = table.iter().map(|(_, known)| names(known)).sum();
    let mut gone = Vec::new();
    while sum > most && table.len() > 1 {
        let Some((_, known)) = table.pop_lru() else {
            break;
        };
        sum -= names(&known);
        gone.push(known);
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_answers_leave_first_to_last() {
        let mut table = LruCache::new(REMEMBERED);
        let kind = Kind {
            old: Old::Forgotten,
            names: |value: &usize| *value,
        };
        for (key, size) in [("a", 40), ("b", 5), ("c", 30), ("d", 70)] {
            let known = table.get_or_insert_mut(key, Known::default);
            known.answer = Some((Ok(size), Instant::now()));
        }
        assert_eq!(trim(&mut table, kind, 200).len(), 0);
        assert_eq!(trim(&mut table, kind, 100).len(), 2);
        assert!(table.contains(&"c") && table.contains(&"d"));
        assert_eq!(trim(&mut table, kind, 10).len(), 1);
        assert!(table.contains(&"d"), "the latest stays, however large");
    }
}
