//! `tfhub-fs cache verify`.

use super::directory;
use super::list::status_word;
use super::select::{Pick, choose, key_of, unknown};
use crate::cache::{Cache, Integrity, Item, Upkeep, Verified};
use crate::cli::args::ModelSelector;
use crate::cli::failure::Failure;
use crate::cli::output::report::{Done, Report, To};

/// Compares models with their checksums.
pub(super) fn verify(chosen: &ModelSelector) -> Result<(), Failure> {
    let cache = directory::open(&chosen.cache)?;
    Upkeep::of(&cache).record();
    let mut report = Report::new(To::stdout(chosen.json));
    for pick in choose(&cache, chosen)? {
        report.tell(match pick {
            Pick::Known(item) if item.state.is_here() => verified(&cache, &item)?,
            Pick::Known(_) if chosen.all => continue,
            Pick::Known(item) => Done::of(&item.handle, status_word(item.state)),
            Pick::Unknown(typed) => unknown(&typed, &cache),
        })?;
    }
    report.end()
}

fn verified(cache: &Cache, item: &Item) -> Result<Done, Failure> {
    let done = |result| Done::of(&item.handle, result);
    Ok(match Integrity::of(cache).verify(&key_of(item)?) {
        Ok(Verified::Right) => done("right"),
        Ok(Verified::Recorded) => done("recorded"),
        Ok(Verified::Unrecorded) => {
            done("unrecorded").because("it has no checksums, and the cache directory is read-only")
        }
        Ok(Verified::Absent) => done("absent")
            .because("it has been evicted, or another process is downloading or verifying it"),
        Ok(Verified::SetAside(why)) => done("set aside").because(why).bad(),
        Ok(Verified::Wrong(why)) => done("wrong").because(why).bad(),
        Err(error) => done("failed").because(error).bad(),
    })
}
