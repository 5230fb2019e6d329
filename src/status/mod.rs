//! Last errors, by the path they happened at: what `user.tfhub.error` shows.

use std::num::NonZeroUsize;
use std::time::SystemTime;

use lru::LruCache;
use parking_lot::Mutex;

/// How many paths are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);

/// What a running mount can tell about itself.
#[derive(Debug, Default)]
pub struct Status {
    /// The latest error of each of the latest paths.
    pub errors: Errors,
}

/// The latest error of each of the latest paths.
#[derive(Debug)]
pub struct Errors {
    latest: Mutex<LruCache<String, (String, SystemTime)>>,
}

impl Default for Errors {
    fn default() -> Errors {
        Errors {
            latest: Mutex::new(LruCache::new(REMEMBERED)),
        }
    }
}

impl Errors {
    /// Remembers what went wrong at `path` (relative to the mountpoint).
    pub fn record(&self, path: &str, message: String) {
        self.latest
            .lock()
            .put(path.to_owned(), (message, SystemTime::now()));
    }

    /// The latest error at `path` or below it.
    pub fn at_or_below(&self, path: &str) -> Option<String> {
        let latest = self.latest.lock();
        latest
            .iter()
            .filter(|(at, _)| covers(path, at))
            .max_by_key(|(_, (_, time))| *time)
            .map(|(_, (message, _))| message.clone())
    }
}

fn covers(directory: &str, path: &str) -> bool {
    match path.strip_prefix(directory) {
        Some(rest) => rest.is_empty() || rest.starts_with('/') || directory.is_empty(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_ancestor_tells_the_latest_error() {
        let errors = Errors::default();
        errors.record("google/x/1", "gone".into());
        errors.record("google/xy/1", "denied".into());
        assert_eq!(errors.at_or_below("google/x").as_deref(), Some("gone"));
        assert_eq!(errors.at_or_below("google/x/1").as_deref(), Some("gone"));
        assert_eq!(errors.at_or_below("").as_deref(), Some("denied"));
        assert_eq!(errors.at_or_below("google/x/1/variables"), None);
    }
}
