//! The models that a command is about.

use super::directory::shown;
use crate::cache::{Cache, Inventory, Item};
use crate::cli::args::ModelSelector;
use crate::cli::failure::Failure;
use crate::cli::output::report::Done;
use crate::handle::{Handle, Key};

/// One of the models that were named.
pub(super) enum Pick {
    /// The cache has, or knows, it.
    Known(Item),
    /// As it was typed.
    Unknown(String),
}

/// The models that were named.
pub(super) fn choose(cache: &Cache, chosen: &ModelSelector) -> Result<Vec<Pick>, Failure> {
    let items = Inventory::of(cache).items();
    if chosen.all {
        return Ok(items.into_iter().map(Pick::Known).collect());
    }
    let pick = |text: &String| {
        let name = named(text)?.to_string();
        let found = items.iter().find(|item| item.key == name);
        let Some(mut item) = found.cloned() else {
            return Ok(Pick::Unknown(text.clone()));
        };
        // The cache may not know whose it is, and now we do.
        if item.handle == item.key && *text != name {
            item.handle = Handle::parse(text).map_err(Failure::usage)?.url();
        }
        Ok(Pick::Known(item))
    };
    chosen.handles.iter().map(pick).collect()
}

/// The name in the cache of a model that was typed as its handle, or as that name.
pub(super) fn named(text: &str) -> Result<Key, Failure> {
    match Key::parse(text) {
        Some(key) => Ok(key),
        None => Ok(Handle::parse(text).map_err(Failure::usage)?.key()),
    }
}

pub(super) fn unknown(typed: &str, cache: &Cache) -> Done {
    let why = format!("it is not in {}", shown(cache));
    Done::of(typed, "unknown").because(why).bad()
}

pub(super) fn key_of(item: &Item) -> Result<Key, Failure> {
    let key = Key::parse(&item.key);
    key.ok_or_else(|| Failure::Failed(format!("{} is not a cache key", item.key)))
}
