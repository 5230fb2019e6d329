//! `tfhub-fs cache clean`: models that nobody has used for long leave.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::directory::{self, shown};
use super::remove::leave;
use crate::cache::{Cache, Inventory, Item, ModelStatus, Stays, Upkeep};
use crate::cli::args::Clean;
use crate::cli::failure::Failure;
use crate::cli::output::report::{Done, Report, To};
use crate::cli::output::units;
use crate::cli::settings;
use crate::config::CacheSize;
use crate::os;

/// Lets models leave: each that either of the two limits says.
pub(super) fn clean(command: &Clean) -> Result<(), Failure> {
    let cache = directory::open(&command.cache)?;
    let wanted = Wanted::check(command, &cache)?;
    Upkeep::of(&cache).record();
    let mut items = Inventory::of(&cache).items();
    items.retain(|item| !item.state.is_away());
    items.sort_by_key(|item| item.used);
    let (ours, below): (Vec<Item>, Vec<Item>) = items.into_iter().partition(|item| item.ours);
    let mut report = Report::new(To::stdout(command.json));
    let mut sweep = Sweep {
        total: ours.iter().map(|item| item.bytes).sum(),
        freed: 0,
        kept: BTreeMap::new(),
    };
    for item in &ours {
        if wanted.names(item, sweep.total)
            && let Some(done) = sweep.take(item, command, &cache)?
        {
            report.tell(done)?;
        }
    }
    // What is there stays there, however much it is.
    let total: u64 = below.iter().map(|item| item.bytes).sum();
    for item in below.iter().filter(|item| wanted.names(item, total)) {
        let stays = Done::of(&item.handle, "stays").sized(item.bytes);
        report.tell(stays.because(Stays::NotOurs).bad())?;
    }
    let told = report.end();
    sweep.tell(command.dry_run, total, &cache);
    told.and_then(|()| sweep.judge(&wanted))
}

/// What was asked for.
struct Wanted {
    before: Option<SystemTime>,
    to_size: u64,
    typed: Option<String>,
}

impl Wanted {
    fn check(command: &Clean, cache: &Cache) -> Result<Wanted, Failure> {
        let before = match &command.older_than {
            Some(typed) => {
                SystemTime::now().checked_sub(settings::duration("--older-than", typed)?)
            }
            None => None,
        };
        let to_size = match &command.to_size {
            Some(typed) => typed.parse::<CacheSize>().map_err(Failure::usage)?,
            None => CacheSize::Bytes(u64::MAX),
        };
        let disk = cache.root().and_then(|root| os::disk::space(root).ok());
        Ok(Wanted {
            before,
            to_size: to_size.bytes(disk.map_or(u64::MAX, |space| space.total)),
            typed: command.to_size.clone(),
        })
    }

    /// Whether a model is to leave while all of them have so many bytes.
    fn names(&self, item: &Item, total: u64) -> bool {
        self.before.is_some_and(|before| item.used < before) || total > self.to_size
    }
}

/// What has been done so far.
struct Sweep {
    total: u64,
    freed: u64,
    /// The bytes that stay, and how many models they are, by the reason.
    kept: BTreeMap<String, (u64, usize)>,
}

impl Sweep {
    /// Lets a model leave. `None`: it is of a kind that does not.
    fn take(
        &mut self,
        item: &Item,
        command: &Clean,
        cache: &Cache,
    ) -> Result<Option<Done>, Failure> {
        if let Some(why) = never(item, command.cache.evict_foreign) {
            self.keep(item, why);
            return Ok(None);
        }
        let done = match command.dry_run {
            true => Done::of(&item.handle, "would evict"),
            false => leave(cache, item, false, "evicted")?,
        };
        match done.why() {
            Some(why) => self.keep(item, why),
            None => {
                self.total = self.total.saturating_sub(item.bytes);
                self.freed = self.freed.saturating_add(item.bytes);
            }
        }
        Ok(Some(done.sized(item.bytes)))
    }

    fn keep(&mut self, item: &Item, why: &str) {
        let (bytes, count) = self.kept.entry(why.to_owned()).or_default();
        *bytes = bytes.saturating_add(item.bytes);
        *count += 1;
    }

    /// `freed 24 MiB; 19 MiB remain in DIR`
    fn tell(&self, dry_run: bool, below: u64, cache: &Cache) {
        let (freed, remain) = match dry_run {
            true => ("would free", "would remain"),
            false => ("freed", "remain"),
        };
        for (why, (bytes, count)) in &self.kept {
            let (models, size) = (units::models(*count), units::size(*bytes));
            let stay = if *count == 1 { "stays" } else { "stay" };
            eprintln!("{models} ({size}) {stay}: {why}");
        }
        let remaining = units::size(self.total.saturating_add(below));
        eprintln!(
            "{freed} {}; {remaining} {remain} in {}",
            units::size(self.freed),
            shown(cache)
        );
    }

    fn judge(&self, wanted: &Wanted) -> Result<(), Failure> {
        match &wanted.typed {
            Some(typed) if self.total > wanted.to_size => {
                let whys: Vec<&str> = self.kept.keys().map(String::as_str).collect();
                Err(Failure::Failed(format!(
                    "--to-size {typed} is not reached: {} remain ({})",
                    units::size(self.total),
                    whys.join("; ")
                )))
            }
            _ => Ok(()),
        }
    }
}

/// Why a model does not leave whatever is asked for.
fn never(item: &Item, evict_foreign: bool) -> Option<&'static str> {
    match item {
        Item { pinned: true, .. } => Some("it is pinned"),
        Item { state, .. } if *state == ModelStatus::Filling => Some("it is being filled"),
        Item { foreign: true, .. } if !evict_foreign => {
            Some("another program put it there, and --evict-foreign is not given")
        }
        _ => None,
    }
}
