//! `tfhub-fs cache pin` and `cache unpin`: which models never leave.

use super::directory;
use super::select::{Pick, choose, key_of, named, unknown};
use crate::cache::{Cache, Inventory, Item, Pins, Stays};
use crate::cli::args::ModelSelector;
use crate::cli::failure::Failure;
use crate::cli::output::report::{Done, Report, To};
use crate::handle::{BadListed, Handle, Key, Kind};

/// Pins models, those that are not here yet too.
pub(super) fn pin(chosen: &ModelSelector) -> Result<(), Failure> {
    let cache = directory::open(&chosen.cache)?;
    let picks = choose(&cache, chosen)?;
    // Before any is pinned.
    for pick in &picks {
        if let Pick::Unknown(typed) = pick {
            can_be_pinned(typed, &cache)?;
        }
    }
    let mut report = Report::new(To::stdout(chosen.json));
    for pick in picks {
        report.tell(match pick {
            Pick::Known(item) if !item.ours => Done::of(&item.handle, "not pinned")
                .because(Stays::NotOurs)
                .bad(),
            Pick::Known(item) => {
                let key = key_of(&item)?;
                let is_nameless = item.handle == item.key;
                let handle = if is_nameless { "" } else { &item.handle };
                pinned(&item.handle, Pins::of(&cache).pin_as(&key, handle))
            }
            Pick::Unknown(typed) if Key::parse(&typed).is_some() => unknown(&typed, &cache),
            Pick::Unknown(typed) => {
                let url = Handle::parse(&typed).map_err(Failure::usage)?.url();
                pinned(&url, Pins::of(&cache).pin(&url, true))
            }
        })?;
    }
    report.end()
}

fn pinned(handle: &str, done: Result<(), crate::cache::Error>) -> Done {
    match done {
        Ok(()) => Done::of(handle, "pinned"),
        Err(error) => Done::of(handle, "not pinned").because(error).bad(),
    }
}

/// A handle without a version stands for the newest one, which is another model tomorrow; what the cache has is one model.
fn can_be_pinned(typed: &str, cache: &Cache) -> Result<(), Failure> {
    if Key::parse(typed).is_some() {
        return Ok(());
    }
    let handle = Handle::parse(typed).map_err(Failure::usage)?;
    let url = handle.url();
    if handle.kind() == Kind::Bucket {
        return Err(Failure::Usage(format!(
            "{url} is a directory in a bucket, which is never cached; name an archive in it, or a model"
        )));
    }
    if handle.version().is_some() || handle.kind() == Kind::Archive {
        return Ok(());
    }
    let items = Inventory::of(cache).items();
    let is_version = |item: &&Item| {
        let version = Handle::parse(&item.handle).ok();
        version.and_then(|handle| handle.unversioned()).as_ref() == Some(&handle)
    };
    Err(match items.iter().rfind(is_version) {
        Some(item) => Failure::Usage(format!(
            "{url} has no version, and a pin keeps one version; the cache knows {}",
            item.handle
        )),
        None => Failure::usage(BadListed::Unversioned(url)),
    })
}

/// Lets pinned models go.
pub(super) fn unpin(chosen: &ModelSelector) -> Result<(), Failure> {
    let cache = directory::open(&chosen.cache)?;
    let mut report = Report::new(To::stdout(chosen.json));
    for pick in choose(&cache, chosen)? {
        let (handle, key, item) = match pick {
            Pick::Known(item) => (item.handle.clone(), key_of(&item)?, Some(item)),
            Pick::Unknown(typed) => (typed.clone(), named(&typed)?, None),
        };
        let below = item.as_ref().is_some_and(|item| item.pinned && !item.ours);
        report.tell(match Pins::of(&cache).unpin(&key) {
            Ok(true) => Done::of(&handle, "unpinned"),
            Ok(false) if below => Done::of(&handle, "stays pinned")
                .because(Stays::NotOurs)
                .bad(),
            Ok(false) if chosen.all => continue,
            Ok(false) => Done::of(&handle, "was not pinned"),
            Err(error) => Done::of(&handle, "stays pinned").because(error).bad(),
        })?;
    }
    report.end()
}
