//! `tfhub-fs cache list`.

use super::directory::{self, Place, shown};
use crate::cache::{Inventory, Item, ModelStatus, Upkeep};
use crate::cli::args::List;
use crate::cli::failure::Failure;
use crate::cli::output::{stdout, table, units};

/// Prints a row for each model.
pub(super) fn list(list: &List) -> Result<(), Failure> {
    let (items, place) = match directory::look(&list.cache)? {
        Place::Here(cache) => {
            Upkeep::of(&cache).record();
            (Inventory::of(&cache).items(), shown(&cache))
        }
        Place::NotYet(dir) => (Vec::new(), dir.display().to_string()),
    };
    if list.json {
        return stdout::json(&items);
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
        units::size(item.bytes),
        units::ago(item.used),
        status_word(item.state).to_owned(),
        if item.pinned { "pinned" } else { "" }.to_owned(),
        item.origin.clone().unwrap_or_default(),
    ]
}

/// `2 models here, 10 known, 34 MiB`
fn summary(items: &[Item]) -> String {
    let count =
        |which: fn(ModelStatus) -> bool| items.iter().filter(|item| which(item.state)).count();
    let filling = count(|state| state == ModelStatus::Filling);
    let known = count(ModelStatus::is_away);
    let mut words = vec![format!(
        "{} here",
        units::models(items.len() - filling - known)
    )];
    if filling > 0 {
        words.push(format!("{filling} being fetched"));
    }
    if known > 0 {
        words.push(format!("{known} known"));
    }
    let here = items.iter().filter(|item| !item.state.is_away());
    words.push(units::size(here.map(|item| item.bytes).sum()));
    words.join(", ")
}

pub(super) fn status_word(state: ModelStatus) -> &'static str {
    match state {
        ModelStatus::Sealed => "sealed",
        ModelStatus::Adopted => "adopted",
        ModelStatus::Partial => "partial",
        ModelStatus::Filling => "filling",
        ModelStatus::Evicted => "evicted",
        ModelStatus::Absent => "absent",
        ModelStatus::Unchecked => "unchecked",
        ModelStatus::Damaged => "damaged",
    }
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
        assert_eq!(
            summary(&[item(ModelStatus::Sealed, 5)]),
            "1 model here, 5 B"
        );
        let states = [
            ModelStatus::Sealed,
            ModelStatus::Partial,
            ModelStatus::Filling,
            ModelStatus::Evicted,
            ModelStatus::Absent,
        ];
        let items = states.map(|state| item(state, 100));
        assert_eq!(
            summary(&items),
            "2 models here, 1 being fetched, 2 known, 300 B"
        );
    }
}
