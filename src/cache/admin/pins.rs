//! Pins: models that never leave, whether they are here yet or not.

use std::fs;

use super::super::dirs::plain;
use super::super::error::{Context, Error, if_there};
use super::super::layout::{Key, Layout, new_uid, replace};
use super::super::root::Cache;
use crate::hubdir::is_handle_of;

/// The second line of a catalog's pin.
const CATALOG: &str = "catalog";

/// The pins of a cache.
#[derive(Debug)]
pub struct Pins<'a> {
    cache: &'a Cache,
}

impl<'a> Pins<'a> {
    /// The pins of `cache`.
    pub fn of(cache: &'a Cache) -> Pins<'a> {
        Pins { cache }
    }

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

    /// Pins a model for a catalog, or lets it go; a user's own pin stays.
    ///
    /// # Errors
    ///
    /// The cache cannot be written.
    pub fn pin_of_catalog(&self, url: &str, pinned: bool) -> Result<(), Error> {
        let key = Key::of(url);
        let own = self.cache.own();
        let text = own.and_then(|locks| plain::read_text(&locks.layout().pin(&key)).ok());
        match (pinned, text) {
            (true, None) => self.write_pin(&key, &format!("{url}\n{CATALOG}")),
            (false, Some(text)) if text.lines().nth(1) == Some(CATALOG) => {
                self.unpin(&key).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Pins the model with this name in the cache; `handle` is for people, and empty if nobody knows it.
    ///
    /// # Errors
    ///
    /// The cache cannot be written.
    pub fn pin_as(&self, key: &Key, handle: &str) -> Result<(), Error> {
        self.write_pin(key, handle)
    }

    fn write_pin(&self, key: &Key, text: &str) -> Result<(), Error> {
        let Some(locks) = self.cache.own() else {
            return Err(self.cache.unkept());
        };
        let layout = locks.layout();
        // Several processes may do this at once, and none waits for who fills the model.
        let temp = layout.temp(key, &format!("pin.{}", new_uid()?));
        let done = replace(&temp, &layout.pin(key), text.as_bytes());
        if done.is_err() {
            let _ = fs::remove_file(&temp); // what stays is small, and goes with the directory
        }
        self.cache.look_again();
        done
    }

    /// Lets a pinned model go. `false`: nobody had pinned it here.
    ///
    /// # Errors
    ///
    /// The cache cannot be written.
    pub fn unpin(&self, key: &Key) -> Result<bool, Error> {
        let Some(locks) = self.cache.own() else {
            return Ok(false);
        };
        let path = locks.layout().pin(key);
        let gone = if_there(fs::remove_file(&path)).context("remove", &path)?;
        self.cache.look_again();
        Ok(gone.is_some())
    }
}

/// Whose pin that is, if there is one; empty if it does not say so, or says what is not true.
pub(super) fn handle(layout: &Layout, key: &Key) -> Option<String> {
    let path = layout.pin(key);
    fs::symlink_metadata(&path).ok()?;
    let text = plain::read_text(&path).unwrap_or_default();
    let handle = text.lines().next().unwrap_or_default();
    Some(match is_handle_of(handle, key) {
        true => handle.to_owned(),
        false => String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Inventory, ModelStatus};
    use super::*;

    #[test]
    fn a_pin_of_what_is_not_here_is_listed_and_let_go() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        let (url, nameless) = ("https://h/a/1", Key::of("nobody knows"));
        Pins::of(&cache).pin(url, true).unwrap();
        Pins::of(&cache).pin_as(&nameless, "").unwrap();
        let items = Inventory::of(&cache).items();
        let handles: Vec<&str> = items.iter().map(|item| &*item.handle).collect();
        assert_eq!(handles, [nameless.to_string().as_str(), url]);
        let is_absent =
            |item: &super::super::Item| item.pinned && item.state == ModelStatus::Absent;
        assert!(items.iter().all(is_absent), "{items:?}");
        assert!(Pins::of(&cache).unpin(&Key::of(url)).unwrap());
        assert!(
            !Pins::of(&cache).unpin(&Key::of(url)).unwrap(),
            "it was let go"
        );
        assert_eq!(Inventory::of(&cache).items().len(), 1);
    }

    #[test]
    fn a_catalog_lets_go_of_its_own_pins_alone() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        let (users, its) = ("https://h/users/1", "https://h/its/1");
        Pins::of(&cache).pin(users, true).unwrap();
        for url in [users, its] {
            Pins::of(&cache).pin_of_catalog(url, true).unwrap();
        }
        let pinned = || -> Vec<String> {
            Inventory::of(&cache)
                .items()
                .into_iter()
                .map(|i| i.handle)
                .collect()
        };
        assert_eq!(pinned(), [its, users]);
        for url in [users, its] {
            Pins::of(&cache).pin_of_catalog(url, false).unwrap();
        }
        assert_eq!(pinned(), [users]);
        Pins::of(&cache).pin_of_catalog(its, true).unwrap();
        Pins::of(&cache).pin(its, true).unwrap();
        Pins::of(&cache).pin_of_catalog(its, false).unwrap();
        assert_eq!(pinned(), [its, users], "it was made the user's own");
    }

    #[test]
    fn many_may_pin_one_model_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        std::thread::scope(|scope| {
            let pin = || (0..50).for_each(|_| Pins::of(&cache).pin("https://h/a/1", true).unwrap());
            for _ in 0..4 {
                scope.spawn(pin);
            }
        });
        assert_eq!(
            fs::read_dir(dir.path().join(".tfhub-fs/v1/tmp"))
                .unwrap()
                .count(),
            0
        );
    }
}
