//! `tfhub-fs cache`: what the cache holds, and what is to become of it. Needs no network.

use std::time::SystemTime;

use serde::Serialize;

use super::args::{CacheCommand, Chosen, Clean, Keep, List};
use super::{Failure, carry, setup, table};
use crate::config::CacheSize;
use crate::handle::{Handle, Key};
use crate::store::{Cache, Item, Standing, Stays, Verified};

/// Runs one of the subcommands.
pub(super) fn run(command: &CacheCommand) -> Result<(), Failure> {
    match command {
        CacheCommand::List(list) => self::list(list),
        CacheCommand::Verify(chosen) => verify(chosen),
        CacheCommand::Remove(chosen) => remove(chosen),
        CacheCommand::Clean(clean) => self::clean(clean),
        CacheCommand::Pin(chosen) => pin(chosen, true),
        CacheCommand::Unpin(chosen) => pin(chosen, false),
        CacheCommand::Export(export) => carry::export(export),
        CacheCommand::Import(import) => carry::import(import),
    }
}

fn list(list: &List) -> Result<(), Failure> {
    let cache = open(&list.keep)?;
    cache.tidy();
    let items = cache.items();
    if list.json {
        return table::json(&items);
    }
    let rows: Vec<Vec<String>> = items
        .iter()
        .map(|item| {
            vec![
                item.handle.clone(),
                table::size(item.bytes),
                table::ago(item.used),
                standing(item.state).to_owned(),
                if item.pinned { "pinned" } else { "" }.to_owned(),
                item.origin.clone().unwrap_or_default(),
            ]
        })
        .collect();
    table::print(
        &["HANDLE", "SIZE", "LAST USE", "STATE", "PINNED", "ORIGIN"],
        &rows,
    )?;
    let here = items.iter().filter(|item| item.state != Standing::Evicted);
    let bytes: u64 = here.clone().map(|item| item.bytes).sum();
    eprintln!(
        "{} models, {} in {}",
        here.count(),
        table::size(bytes),
        shown(&cache)
    );
    Ok(())
}

fn standing(state: Standing) -> &'static str {
    match state {
        Standing::Sealed => "sealed",
        Standing::Adopted => "adopted",
        Standing::Partial => "partial",
        Standing::Evicted => "evicted",
        Standing::Damaged => "damaged",
    }
}

/// What became of one model, as JSON has it.
#[derive(Serialize)]
pub(super) struct Done {
    handle: String,
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

impl Done {
    /// Of a model of this handle.
    pub(super) fn of(handle: String, result: &'static str) -> Done {
        Done {
            handle,
            result,
            why: None,
        }
    }

    fn new(item: &Item, result: &'static str, why: Option<String>) -> Done {
        Done {
            handle: item.handle.clone(),
            result,
            why,
        }
    }
}

/// Says what became of each model. It is a failure if one of the results is `bad`.
pub(super) fn told(done: &[Done], json: bool, bad: &[&str]) -> Result<(), Failure> {
    if json {
        table::json(&done)?;
    } else {
        for one in done {
            let why = one.why.as_ref().map(|why| format!(": {why}"));
            let line = format!(
                "{}  {}{}\n",
                one.result,
                one.handle,
                why.unwrap_or_default()
            );
            table::say(&line)?;
        }
    }
    match done.iter().filter(|one| bad.contains(&one.result)).count() {
        0 => Ok(()),
        count => Err(Failure::Failed(format!(
            "{count} of {} models: see above",
            done.len()
        ))),
    }
}

fn verify(chosen: &Chosen) -> Result<(), Failure> {
    let cache = open(&chosen.keep)?;
    cache.tidy();
    let items = choose(&cache, chosen)?;
    let mut done = Vec::new();
    let here = |item: &&Item| !matches!(item.state, Standing::Evicted | Standing::Partial);
    for item in items.iter().filter(here) {
        let verified = cache.verify(&key_of(item)?).map_err(Failure::failed)?;
        done.push(match verified {
            Verified::Right => Done::new(item, "right", None),
            Verified::Recorded => Done::new(item, "recorded", None),
            Verified::Absent => Done::new(item, "absent", None),
            Verified::SetAside(why) => Done::new(item, "set aside", Some(why)),
        });
    }
    told(&done, chosen.json, &["set aside"])
}

fn remove(chosen: &Chosen) -> Result<(), Failure> {
    let cache = open(&chosen.keep)?;
    let mut done = Vec::new();
    for item in choose(&cache, chosen)? {
        done.push(leave(&cache, &item, true)?);
    }
    told(&done, chosen.json, &["stays"])
}

fn leave(cache: &Cache, item: &Item, forget: bool) -> Result<Done, Failure> {
    let left = cache
        .remove(&key_of(item)?, forget)
        .map_err(Failure::failed)?;
    Ok(match left {
        Ok(()) if forget => Done::new(item, "removed", None),
        Ok(()) => Done::new(item, "left", None),
        Err(stays) => Done::new(item, "stays", Some(Stays::to_string(&stays))),
    })
}

fn clean(clean: &Clean) -> Result<(), Failure> {
    let cache = open(&clean.keep)?;
    cache.tidy();
    let mut items = cache.items();
    items.retain(|item| item.state != Standing::Evicted);
    let before = match &clean.older_than {
        Some(typed) => SystemTime::now().checked_sub(setup::duration("--older-than", typed)?),
        None => None,
    };
    let to_size = match &clean.to_size {
        Some(typed) => typed.parse::<CacheSize>().map_err(Failure::usage)?,
        None => CacheSize::Bytes(u64::MAX),
    };
    let disk = cache
        .root()
        .and_then(|root| crate::os::disk::space(root).ok());
    let to_size = to_size.bytes(disk.map_or(u64::MAX, |space| space.total));
    let mut total: u64 = items.iter().map(|item| item.bytes).sum();
    items.sort_by_key(|item| item.used);
    let may =
        |item: &Item| !item.pinned && (item.state != Standing::Adopted || clean.keep.evict_foreign);
    let mut done = Vec::new();
    for item in items.iter().filter(|item| may(item)) {
        let is_old = before.is_some_and(|before| item.used < before);
        if !is_old && total <= to_size {
            continue;
        }
        let one = match clean.dry_run {
            true => Done::new(item, "would leave", None),
            false => leave(&cache, item, false)?,
        };
        if one.result != "stays" {
            total = total.saturating_sub(item.bytes);
        }
        done.push(one);
    }
    told(&done, clean.json, &[])?;
    eprintln!("{} are left in {}", table::size(total), shown(&cache));
    Ok(())
}

fn pin(chosen: &Chosen, pinned: bool) -> Result<(), Failure> {
    let cache = open(&chosen.keep)?;
    let result = if pinned { "pinned" } else { "unpinned" };
    let mut done = Vec::new();
    let urls: Vec<String> = match chosen.all {
        true => cache.items().into_iter().map(|item| item.handle).collect(),
        false => chosen.handles.clone(),
    };
    for text in urls {
        let handle = Handle::parse(&text).map_err(Failure::usage)?.url();
        cache.pin(&handle, pinned).map_err(Failure::failed)?;
        done.push(Done::of(handle, result));
    }
    told(&done, chosen.json, &[])
}

/// The models that were named, each of which must be known.
pub(super) fn choose(cache: &Cache, chosen: &Chosen) -> Result<Vec<Item>, Failure> {
    let items = cache.items();
    if chosen.all {
        return Ok(items);
    }
    let find = |text: &String| {
        let key = match Key::parse(text) {
            Some(key) => key,
            None => Handle::parse(text).map_err(Failure::usage)?.key(),
        };
        let name = key.to_string();
        let found = items.iter().find(|item| item.key == name);
        found
            .cloned()
            .ok_or_else(|| Failure::Failed(format!("{text} is not in {}", shown(cache))))
    };
    chosen.handles.iter().map(find).collect()
}

pub(super) fn key_of(item: &Item) -> Result<Key, Failure> {
    let key = Key::parse(&item.key);
    key.ok_or_else(|| Failure::Failed(format!("{} is no name of a model", item.key)))
}

fn open(keep: &Keep) -> Result<Cache, Failure> {
    setup::cache(keep)
}

pub(super) fn shown(cache: &Cache) -> String {
    match cache.root() {
        Some(root) => root.display().to_string(),
        None => String::from("memory, because there is no cache directory"),
    }
}
