//! Keeps the drawing in `docs/architecture.md` true: which room may use which.

#![allow(clippy::unwrap_used)] // helpers of tests

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room and the rooms below it that it may name.
const MAY_USE: &[(&str, &[&str])] = &[
    (
        "cli",
        &[
            "daemon", "fuse", "server", "vfs", "models", "source", "fetch", "archive", "cache",
            "handle", "config", "status", "os",
        ],
    ),
    ("daemon", &["os", "status"]),
    ("fuse", &["vfs", "models", "os"]),
    ("server", &["checksum", "handle", "config", "os"]),
    ("vfs", &["models", "cache", "handle", "status"]),
    (
        "models",
        &[
            "checksum", "source", "fetch", "archive", "cache", "handle", "config",
        ],
    ),
    (
        "source",
        &["checksum", "hubdir", "fetch", "handle", "config"],
    ),
    ("fetch", &["checksum", "config"]),
    ("archive", &[]),
    ("cache", &["checksum", "hubdir", "handle", "config", "os"]),
    ("hubdir", &["handle", "os"]),
    ("checksum", &[]),
    ("handle", &["config"]),
    ("config", &[]),
    ("status", &[]),
    ("os", &[]),
];

#[test]
fn arrows_only_go_down() {
    let mut wrong = Vec::new();
    for (room, allowed) in MAY_USE {
        for file in sources(&Path::new("src").join(room)) {
            for used in rooms_named_in(&file) {
                if used != *room && !allowed.contains(&used.as_str()) {
                    wrong.push(format!("{} uses {used}", file.display()));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "arrows that point up or sideways:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_room_is_in_the_drawing() {
    let drawn: BTreeSet<&str> = MAY_USE.iter().map(|(room, _)| *room).collect();
    let built: BTreeSet<String> = fs::read_dir("src")
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert_eq!(drawn, built.iter().map(String::as_str).collect());
}

#[test]
fn unsafe_code_lives_in_os_alone() {
    let mut wrong = Vec::new();
    for file in sources(Path::new("src")) {
        let text = fs::read_to_string(&file).unwrap();
        if text.contains("allow(unsafe_code)") && !file.starts_with("src/os") {
            wrong.push(file);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn files_stay_readable() {
    let long: Vec<_> = sources(Path::new("src"))
        .into_iter()
        .map(|file| (fs::read_to_string(&file).unwrap().lines().count(), file))
        .filter(|(lines, _)| *lines > 400)
        .collect();
    assert!(long.is_empty(), "over 400 lines: {long:?}");
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The rooms that a file names as `crate::room` or in `use crate::{room, ...}`, its unit tests left out.
fn rooms_named_in(file: &Path) -> BTreeSet<String> {
    if file.components().any(|part| part.as_os_str() == "tests") {
        return BTreeSet::new();
    }
    let text = fs::read_to_string(file).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let mut rooms = BTreeSet::new();
    for (_, after) in text
        .match_indices("crate::")
        .map(|(at, found)| (at, &text[at + found.len()..]))
    {
        if let Some(list) = after.strip_prefix('{') {
            let list = &list[..list.find(';').unwrap_or(list.len())];
            rooms.extend(top_level_names(list));
        } else {
            rooms.extend(leading_word(after));
        }
    }
    let known: BTreeSet<&str> = MAY_USE.iter().map(|(room, _)| *room).collect();
    rooms.retain(|room| known.contains(room.as_str()));
    rooms
}

fn leading_word(text: &str) -> Option<String> {
    let word: String = text
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    (!word.is_empty()).then_some(word)
}

/// The first words of the items of a use list, not of nested lists.
fn top_level_names(list: &str) -> Vec<String> {
    let mut depth = 0;
    let mut names = Vec::new();
    let mut item = String::new();
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.extend(leading_word(std::mem::take(&mut item).trim())),
            c => item.push(c),
        }
    }
    names.extend(leading_word(item.trim()));
    names
}
