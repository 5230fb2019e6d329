//! Pins: models that never leave, whether they are here yet or not.

use std::fs;

use super::cache::Cache;
use super::error::{Context, Error, if_there};
use super::layout::{Key, Layout, replace};
use super::plain;

impl Cache {
    /// Pins a model, here or not, or lets it go.
    ///
    /// # Errors
    ///
    /// The cache cannot be written.
    pub fn pin(&self, url: &str, pinned: bool) -> Result<(), Error> {
        match pinned {
            true => self.pin_as(&Key::of(url), url),
            false => self.unpin(&Key::of(url)).map(drop),
        }
    }

    /// Pins the model with this name in the cache; `handle` is for people, and empty if nobody knows it.
    ///
    /// # Errors
    ///
    /// The cache cannot be written.
    pub fn pin_as(&self, key: &Key, handle: &str) -> Result<(), Error> {
        let Some(locks) = &self.locks else {
            return Err(Error::NoCache {
                why: self.unkept.clone().unwrap_or_default(),
            });
        };
        let layout = &locks.layout;
        let done = replace(
            &layout.temp(key, "pin"),
            &layout.pin(key),
            handle.as_bytes(),
        );
        self.look_again();
        done
    }

    /// Lets a pinned model go. `false`: nobody had pinned it here.
    ///
    /// # Errors
    ///
    /// The cache cannot be written.
    pub fn unpin(&self, key: &Key) -> Result<bool, Error> {
        let Some(locks) = &self.locks else {
            return Ok(false);
        };
        let path = locks.layout.pin(key);
        let gone = if_there(fs::remove_file(&path)).context("remove", &path)?;
        self.look_again();
        Ok(gone.is_some())
    }
}

/// Whose pin that is, if there is one; empty if it does not say so, or says what is not true.
pub(super) fn handle(layout: &Layout, key: &Key) -> Option<String> {
    let path = layout.pin(key);
    fs::symlink_metadata(&path).ok()?;
    let text = plain::read_text(&path).unwrap_or_default();
    Some(match Key::of(&text) == *key {
        true => text,
        false => String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::stock::Standing;
    use super::*;

    #[test]
    fn a_pin_of_what_is_not_here_is_listed_and_let_go() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        let (url, nameless) = ("https://h/a/1", Key::of("nobody knows"));
        cache.pin(url, true).unwrap();
        cache.pin_as(&nameless, "").unwrap();
        let items = cache.items();
        let handles: Vec<&str> = items.iter().map(|item| &*item.handle).collect();
        assert_eq!(handles, [nameless.to_string().as_str(), url]);
        let is_absent = |item: &super::super::Item| item.pinned && item.state == Standing::Absent;
        assert!(items.iter().all(is_absent), "{items:?}");
        assert!(cache.unpin(&Key::of(url)).unwrap());
        assert!(!cache.unpin(&Key::of(url)).unwrap(), "it was let go");
        assert_eq!(cache.items().len(), 1);
    }
}
