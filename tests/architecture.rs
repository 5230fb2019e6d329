//! Measures the house: which room may use which, and how far each figure is from its bar.
//!
//! `cargo test --test architecture figures -- --nocapture` prints the figures; `TFHUB_FS_HOUSE=DIR` measures another checkout.

#![allow(clippy::unwrap_used)] // helpers of tests

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use figures::{Figure, measure};
use graph::{Graph, components, heights};
use house::House;

#[path = "architecture/figures.rs"]
mod figures;
#[path = "architecture/graph.rs"]
mod graph;
#[path = "architecture/house.rs"]
mod house;

/// Each room and the rooms that it names.
const MAY_USE: &[(&str, &[&str])] = &[
    (
        "cli",
        &[
            "daemon", "server", "models", "cache", "handle", "config", "os",
        ],
    ),
    (
        "daemon",
        &[
            "fuse",
            "vfs",
            "models",
            "shared_cache",
            "source",
            "bucket",
            "fetch",
            "archive",
            "cache",
            "handle",
            "config",
            "status",
            "os",
        ],
    ),
    ("fuse", &["vfs", "models", "os"]),
    ("server", &["savedmodel", "checksum", "os"]),
    (
        "vfs",
        &["savedmodel", "models", "cache", "handle", "status", "os"],
    ),
    (
        "models",
        &[
            "savedmodel",
            "checksum",
            "shared_cache",
            "source",
            "bucket",
            "fetch",
            "archive",
            "cache",
            "handle",
            "config",
        ],
    ),
    (
        "shared_cache",
        &[
            "savedmodel",
            "checksum",
            "hubdir",
            "source",
            "bucket",
            "handle",
        ],
    ),
    (
        "source",
        &["checksum", "bucket", "fetch", "handle", "config"],
    ),
    ("bucket", &["checksum", "fetch", "handle", "config"]),
    ("fetch", &["checksum", "config"]),
    ("archive", &["handle"]),
    (
        "cache",
        &["savedmodel", "checksum", "hubdir", "handle", "config", "os"],
    ),
    ("hubdir", &["handle", "os"]),
    ("savedmodel", &[]),
    ("checksum", &[]),
    ("handle", &["config"]),
    ("config", &[]),
    ("status", &[]),
    ("os", &[]),
];

/// The most that each figure may be: what it is today (nobody makes it worse), and what it shall be at most.
const LIMITS: &[(&str, usize, usize)] = &[
    ("lines", 45_900, 40_000),
    ("code lines", 35_250, 31_000),
    ("longest file", 600, 600),
    ("open fields in cache", 59, 0),
    ("methods of Cache", 26, 25),
    ("methods of Model", 36, 20),
    ("import circles of more than 3 files", 6, 0),
    ("circles between folders", 2, 0),
    ("types with impls in two folders or four files", 4, 0),
    ("floors inside the largest room", 10, 10),
    ("files in the fullest folder", 41, 24),
    ("unsafe expressions", 4, 12),
    ("unsafe expressions outside of os", 0, 0),
    ("predicates that act or do not return bool", 0, 0),
];

#[test]
fn figures() {
    let house = house();
    let figures = measure(&house);
    println!("{}", table(&figures));
    let mut worse = Vec::new();
    for (name, limit, _) in LIMITS {
        let figure = figures.iter().find(|figure| figure.name == *name).unwrap();
        if figure.value > *limit {
            worse.push(format!(
                "{name}: {}, and at most {limit} may be\n{}",
                figure.value,
                list(figure)
            ));
        }
    }
    assert!(worse.is_empty(), "{}", worse.join("\n"));
}

#[test]
fn arrows_only_go_down() {
    let house = house();
    let known: BTreeSet<&str> = MAY_USE.iter().map(|(room, _)| *room).collect();
    let drawn: BTreeSet<(&str, &str)> = MAY_USE
        .iter()
        .flat_map(|(from, below)| below.iter().map(move |to| (*from, *to)))
        .collect();
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for ((from, to), file) in &house.arrows {
        if !known.contains(to.as_str()) {
            continue;
        }
        used.insert((from.as_str(), to.as_str()));
        if !drawn.contains(&(from, to)) {
            wrong.push(format!("src/{} uses {to}: up or sideways", file.display()));
        }
    }
    for (from, to) in drawn.difference(&used) {
        wrong.push(format!(
            "{from} does not use {to}: take it out of the table"
        ));
    }
    let table = arrows();
    let circles = components(&table)
        .into_iter()
        .filter(|circle| circle.len() > 1);
    wrong.extend(circles.map(|circle| format!("a circle in the table: {circle:?}")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_room_is_in_the_table() {
    let drawn: BTreeSet<&str> = MAY_USE.iter().map(|(room, _)| *room).collect();
    let built: BTreeSet<String> = fs::read_dir("src")
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert_eq!(drawn, built.iter().map(String::as_str).collect());
}

/// `TFHUB_FS_DRAW=1` draws it anew.
#[test]
fn the_document_shows_the_arrows_and_the_states() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md");
    let text = fs::read_to_string(&file).unwrap();
    let mut wanted = text.clone();
    for (block, picture) in [("arrows", drawing()), ("states", states())] {
        let (before, rest) = wanted.split_once(&format!("```{block}\n")).unwrap();
        let (_, after) = rest.split_once("```").unwrap();
        wanted = format!("{before}```{block}\n{picture}```{after}");
    }
    if std::env::var_os("TFHUB_FS_DRAW").is_some() {
        fs::write(&file, wanted).unwrap();
    } else {
        assert!(
            text == wanted,
            "run `TFHUB_FS_DRAW=1 cargo test --test architecture`; docs/architecture.md is to be\n{wanted}"
        );
    }
}

/// The first picture on the page of a model's state machine.
fn states() -> String {
    let page = fs::read_to_string("src/models/model/mod.rs")
        .or_else(|_| fs::read_to_string("src/models/mod.rs"))
        .unwrap();
    let lines = page
        .lines()
        .skip_while(|line| *line != "//! ```text")
        .skip(1);
    let picture = lines.take_while(|line| *line != "//! ```");
    let text = |line: &str| format!("{}\n", line.strip_prefix("//! ").unwrap_or_default());
    picture.map(text).collect()
}

/// A line for each room, the highest first: whom it names, the nearest first.
fn drawing() -> String {
    let table = arrows();
    let heights = heights(&table);
    let from_above = |rooms: &BTreeSet<&'static str>| {
        let mut rooms: Vec<_> = rooms.iter().copied().collect();
        rooms.sort_by_key(|room| (std::cmp::Reverse(heights[room]), *room));
        rooms
    };
    let rooms = from_above(&table.keys().copied().collect());
    let line = |room: &&str| match from_above(&table[*room]).as_slice() {
        [] => format!("{room}\n"),
        below => format!("{room:<13}-> {}\n", below.join(" ")),
    };
    rooms.iter().map(line).collect()
}

fn arrows() -> Graph<&'static str> {
    let below = |rooms: &&[&'static str]| rooms.iter().copied().collect();
    MAY_USE
        .iter()
        .map(|(room, rooms)| (*room, below(rooms)))
        .collect()
}

fn house() -> House {
    let root =
        std::env::var_os("TFHUB_FS_HOUSE").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    House::read(Path::new(&root))
}

fn table(figures: &[Figure]) -> String {
    let mut lines = vec![format!("{:<50}{:>8}{:>8}", "figure", "now", "bar")];
    for figure in figures {
        let bar = LIMITS.iter().find(|(name, ..)| *name == figure.name);
        let bar = bar.map_or_else(String::new, |(.., bar)| bar.to_string());
        lines.push(format!("{:<50}{:>8}{bar:>8}", figure.name, figure.value));
        lines.push(list(figure));
    }
    lines.retain(|line| !line.is_empty());
    lines.join("\n")
}

fn list(figure: &Figure) -> String {
    let lines: Vec<_> = figure
        .what
        .iter()
        .map(|what| format!("    {what}"))
        .collect();
    lines.join("\n")
}
