//! `tfhub-fs cache remove`, and how `cache clean` evicts.

use super::directory;
use super::select::{Pick, choose, key_of, unknown};
use crate::cache::{Cache, Item, Upkeep};
use crate::cli::args::ModelSelector;
use crate::cli::failure::Failure;
use crate::cli::output::report::{Done, Report, To};

/// Removes models, and what is known of them.
pub(super) fn remove(chosen: &ModelSelector) -> Result<(), Failure> {
    let cache = directory::open(&chosen.cache)?;
    let mut report = Report::new(To::stdout(chosen.json));
    for pick in choose(&cache, chosen)? {
        report.tell(match pick {
            Pick::Known(item) => leave(&cache, &item, true, "removed")?,
            Pick::Unknown(typed) => unknown(&typed, &cache),
        })?;
    }
    report.end()
}

/// Takes a model out of the cache; `result` is what that is called. It is a failure if a model stays that is to be forgotten.
pub(super) fn leave(
    cache: &Cache,
    item: &Item,
    forget: bool,
    result: &'static str,
) -> Result<Done, Failure> {
    let stays = Done::of(&item.handle, "stays");
    Ok(match Upkeep::of(cache).remove(&key_of(item)?, forget) {
        Ok(Ok(())) => Done::of(&item.handle, result),
        Ok(Err(why)) if forget => stays.because(why).bad(),
        Ok(Err(why)) => stays.because(why),
        Err(error) => stays.because(error).bad(),
    })
}
