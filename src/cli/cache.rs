//! `tfhub-fs cache`: what the cache holds, and what is to become of it. Needs no network.

use super::args::{CacheCommand, Chosen, List};
use super::directory::{self, Place, shown};
use super::report::{Done, Report, To};
use super::{Failure, carry, clean, pin, table};
use crate::cache::{Cache, Item, Standing, Verified};
use crate::handle::{Handle, Key};

/// Runs one of the subcommands.
pub(super) fn run(command: &CacheCommand) -> Result<(), Failure> {
    match command {
        CacheCommand::List(list) => self::list(list),
        CacheCommand::Verify(chosen) => verify(chosen),
        CacheCommand::Remove(chosen) => remove(chosen),
        CacheCommand::Clean(command) => clean::clean(command),
        CacheCommand::Pin(chosen) => pin::pin(chosen),
        CacheCommand::Unpin(chosen) => pin::unpin(chosen),
        CacheCommand::Export(command) => carry::export(command),
        CacheCommand::Import(command) => carry::import(command),
    }
}

fn list(list: &List) -> Result<(), Failure> {
    let (items, place) = match directory::look(&list.keep)? {
        Place::Here(cache) => {
            cache.record();
            (cache.items(), shown(&cache))
        }
        Place::NotYet(dir) => (Vec::new(), dir.display().to_string()),
    };
    if list.json {
        return table::json(&items);
    }
    let rows: Vec<Vec<String>> = items.iter().map(row).collect();
    table::print(
        &["HANDLE", "SIZE", "LAST USE", "STATE", "PINNED", "ORIGIN"],
        &rows,
    )?;
    eprintln!("{} in {place}", summary(&items));
    Ok(())
}

fn row(item: &Item) -> Vec<String> {
    vec![
        item.handle.clone(),
        table::size(item.bytes),
        table::ago(item.used),
        standing(item.state).to_owned(),
        if item.pinned { "pinned" } else { "" }.to_owned(),
        item.origin.clone().unwrap_or_default(),
    ]
}

/// `2 models here, 10 known, 34 MiB`
fn summary(items: &[Item]) -> String {
    let count = |which: fn(Standing) -> bool| items.iter().filter(|item| which(item.state)).count();
    let filling = count(|state| state == Standing::Filling);
    let known = count(Standing::is_away);
    let mut words = vec![format!(
        "{} here",
        table::models(items.len() - filling - known)
    )];
    if filling > 0 {
        words.push(format!("{filling} being fetched"));
    }
    if known > 0 {
        words.push(format!("{known} known"));
    }
    let here = items.iter().filter(|item| !item.state.is_away());
    words.push(table::size(here.map(|item| item.bytes).sum()));
    words.join(", ")
}

fn standing(state: Standing) -> &'static str {
    match state {
        Standing::Sealed => "sealed",
        Standing::Adopted => "adopted",
        Standing::Partial => "partial",
        Standing::Filling => "filling",
        Standing::Evicted => "evicted",
        Standing::Absent => "absent",
        Standing::Unchecked => "unchecked",
        Standing::Damaged => "damaged",
    }
}

fn verify(chosen: &Chosen) -> Result<(), Failure> {
    let cache = directory::open(&chosen.keep)?;
    cache.record();
    let mut report = Report::new(To::stdout(chosen.json));
    for pick in choose(&cache, chosen)? {
        report.tell(match pick {
            Pick::Known(item) if item.state.is_here() => verified(&cache, &item)?,
            Pick::Known(_) if chosen.all => continue,
            Pick::Known(item) => Done::of(&item.handle, standing(item.state)),
            Pick::Unknown(typed) => unknown(&typed, &cache),
        })?;
    }
    report.end()
}

fn verified(cache: &Cache, item: &Item) -> Result<Done, Failure> {
    let done = |result| Done::of(&item.handle, result);
    Ok(match cache.verify(&key_of(item)?) {
        Ok(Verified::Right) => done("right"),
        Ok(Verified::Recorded) => done("recorded"),
        Ok(Verified::Unrecorded) => done("unrecorded")
            .because("nobody has recorded its checksums, and the directory is not ours to write"),
        Ok(Verified::Absent) => done("absent")
            .because("it has left meanwhile, or another process is filling or verifying it"),
        Ok(Verified::SetAside(why)) => done("set aside").because(why).bad(),
        Ok(Verified::Wrong(why)) => done("wrong").because(why).bad(),
        Err(error) => done("failed").because(error).bad(),
    })
}

fn remove(chosen: &Chosen) -> Result<(), Failure> {
    let cache = directory::open(&chosen.keep)?;
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
    Ok(match cache.remove(&key_of(item)?, forget) {
        Ok(Ok(())) => Done::of(&item.handle, result),
        Ok(Err(why)) if forget => stays.because(why).bad(),
        Ok(Err(why)) => stays.because(why),
        Err(error) => stays.because(error).bad(),
    })
}

/// One of the models that were named.
pub(super) enum Pick {
    /// The cache has, or knows, it.
    Known(Item),
    /// As it was typed.
    Unknown(String),
}

/// The models that were named.
pub(super) fn choose(cache: &Cache, chosen: &Chosen) -> Result<Vec<Pick>, Failure> {
    let items = cache.items();
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
    key.ok_or_else(|| Failure::Failed(format!("{} is no name of a model", item.key)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn the_last_line_counts_what_is_here_and_what_is_known() {
        let item = |state, bytes| Item {
            handle: String::new(),
            key: String::new(),
            bytes,
            used: SystemTime::UNIX_EPOCH,
            state,
            pinned: false,
            origin: None,
            ours: true,
            foreign: false,
        };
        assert_eq!(summary(&[]), "0 models here, 0 B");
        assert_eq!(summary(&[item(Standing::Sealed, 5)]), "1 model here, 5 B");
        let states = [
            Standing::Sealed,
            Standing::Partial,
            Standing::Filling,
            Standing::Evicted,
            Standing::Absent,
        ];
        let items = states.map(|state| item(state, 100));
        assert_eq!(
            summary(&items),
            "2 models here, 1 being fetched, 2 known, 300 B"
        );
    }
}
