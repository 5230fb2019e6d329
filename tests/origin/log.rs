//! The log of requests: what was asked, and how many bytes of which object left.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Origin;
use super::script::Hop;

/// One request that was seen, and what became of it.
#[derive(Debug)]
pub struct Seen {
    pub hop: Hop,
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    /// What it was about: a model as the hub names it, `gs://bucket/object`, or a version of Kaggle's, or a file of one.
    pub model: Option<String>,
    pub status: u16,
    /// True if bytes of an object, or a listing, were the answer.
    pub object: bool,
    /// Where in the object the answer begins.
    pub first: u64,
    /// Bytes of the body that were to be sent.
    pub length: u64,
    pub(super) sent: AtomicU64,
}

impl Seen {
    /// Bytes of the body that have left so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// The first value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// True for the one-byte range with which headers are asked for.
    pub fn is_probe(&self) -> bool {
        self.header("range") == Some("bytes=0-0") || self.method == "HEAD"
    }

    fn is_below(&self, prefix: &str) -> bool {
        self.model
            .as_ref()
            .is_some_and(|name| name.starts_with(prefix))
    }
}

impl Origin {
    /// Every request so far.
    pub fn seen(&self) -> Vec<Arc<Seen>> {
        self.0.seen.lock().unwrap().clone()
    }

    /// Empties the log.
    pub fn forget(&self) {
        self.0.seen.lock().unwrap().clear();
    }

    /// The requests about one model.
    pub fn about(&self, model: &str) -> Vec<Arc<Seen>> {
        self.seen()
            .into_iter()
            .filter(|seen| seen.model.as_deref() == Some(model))
            .collect()
    }

    /// How many requests about one model the hub, Kaggle and the bucket have seen.
    pub fn hops(&self, model: &str) -> [usize; 3] {
        let about = self.about(model);
        [Hop::Hub, Hop::Kaggle, Hop::Gcs]
            .map(|hop| about.iter().filter(|seen| seen.hop == hop).count())
    }

    /// The requests that were answered with more of the object than its first byte.
    pub fn downloads(&self, model: &str) -> Vec<Arc<Seen>> {
        let object =
            |seen: &Arc<Seen>| seen.object && matches!(seen.status, 200 | 206) && !seen.is_probe();
        self.about(model).into_iter().filter(object).collect()
    }

    /// Bytes of bodies that have left for one model.
    pub fn sent(&self, model: &str) -> u64 {
        self.downloads(model).iter().map(|seen| seen.sent()).sum()
    }

    /// Bytes that have left for everything whose name begins so: the files of one model, the objects of one folder.
    pub fn sent_below(&self, prefix: &str) -> u64 {
        let seen = self.seen();
        let below = seen
            .iter()
            .filter(|seen| seen.object && seen.is_below(prefix));
        below.map(|seen| seen.sent()).sum()
    }

    /// How many bytes of one object left more often than once.
    pub fn sent_again(&self, name: &str) -> u64 {
        let mut sent: Vec<(u64, u64)> = self
            .downloads(name)
            .iter()
            .map(|seen| (seen.first, seen.first + seen.sent()))
            .collect();
        sent.sort_unstable();
        let (mut again, mut until) = (0, 0);
        for (first, end) in sent {
            again += end.min(until).saturating_sub(first);
            until = until.max(end);
        }
        again
    }

    /// The value of every Authorization that one of the hosts has seen.
    pub fn authorizations(&self, hop: Hop) -> Vec<String> {
        let seen = self.seen();
        let here = seen.iter().filter(|seen| seen.hop == hop);
        here.filter_map(|seen| seen.header("authorization").map(str::to_owned))
            .collect()
    }

    /// Every signature handed out; none may appear in a log.
    pub fn secrets(&self) -> Vec<String> {
        self.0.secrets.lock().unwrap().clone()
    }
}
