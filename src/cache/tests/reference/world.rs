//! The cache, and the table that it must agree with.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::super::super::layout::{Key, Layout};
use super::super::*;
use crate::config::CacheSize;

pub(super) const MODELS: usize = 5;
const UNIT: u64 = 10_000;
pub(super) const CAP: u64 = 6 * UNIT;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Absent,
    /// In whole; who put it there.
    Here {
        foreign: bool,
    },
    /// It has left, or cannot be used, and its names are known.
    Left,
}

#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) state: State,
    pub(super) used: u64,
    pub(super) pinned: bool,
    /// Harm that nobody has noticed: a look at names, sizes and times does not show it.
    pub(super) flipped: bool,
}

pub(super) struct World {
    pub(super) dir: tempfile::TempDir,
    pub(super) evict_foreign: bool,
    pub(super) caches: Vec<Cache>,
    pub(super) rows: Vec<Row>,
    pub(super) held: BTreeMap<usize, File>,
    pub(super) clock: u64,
}

pub(super) fn url(model: usize) -> String {
    format!("https://h/m{model}/1")
}

pub(super) fn key(model: usize) -> Key {
    Key::of(&url(model))
}

pub(super) fn size(model: usize) -> u64 {
    (model as u64 % 3 + 1) * UNIT
}

/// Its files. Together they have `size`.
pub(super) fn content(model: usize) -> [(&'static str, Vec<u8>); 2] {
    let graph = format!("graph {model}").into_bytes();
    let rest = size(model) as usize - graph.len();
    let data = (0..rest).map(|at| (at * (model + 3) % 251) as u8).collect();
    [("saved_model.pb", graph), ("assets/data", data)]
}

impl World {
    pub(super) fn new(evict_foreign: bool) -> World {
        let row = Row {
            state: State::Absent,
            used: 0,
            pinned: false,
            flipped: false,
        };
        let mut world = World {
            dir: tempfile::tempdir().unwrap(),
            evict_foreign,
            caches: Vec::new(),
            rows: vec![row; MODELS],
            held: BTreeMap::new(),
            clock: 0,
        };
        world.caches = vec![world.open(), world.open()];
        world
    }

    pub(super) fn open(&self) -> Cache {
        let options = Options {
            dir: Some(self.dir.path().to_owned()),
            limit: Some(CacheSize::Bytes(CAP)),
            evict_foreign: self.evict_foreign,
            ..Options::default()
        };
        Cache::with(&options).unwrap()
    }

    pub(super) fn layout(&self) -> Layout {
        Layout::new(self.dir.path().to_owned())
    }

    pub(super) fn file(&self, model: usize, name: &str) -> PathBuf {
        self.layout().model(&key(model)).join(name)
    }

    pub(super) fn is_here(&self, model: usize) -> bool {
        matches!(self.rows[model].state, State::Here { .. })
    }

    pub(super) fn taken(&self) -> u64 {
        (0..MODELS)
            .filter(|model| self.is_here(*model))
            .map(size)
            .sum()
    }

    /// Notes a use by the clock of the test.
    pub(super) fn stamp(&mut self, model: usize) {
        self.clock += 1;
        self.rows[model].used = self.clock;
        let at = SystemTime::now() - Duration::from_secs(1_000_000 - self.clock);
        let manifest = File::open(self.layout().manifest(&key(model))).unwrap();
        manifest.set_modified(at).unwrap();
        self.caches.iter().for_each(Cache::look_again);
    }

    pub(super) fn may_leave(&self, model: usize) -> bool {
        let row = &self.rows[model];
        let foreign = row.state == State::Here { foreign: true };
        self.is_here(model) && !row.pinned && (self.evict_foreign || !foreign)
    }

    /// Whether a filling may take so many bytes, after whoever has to has left. What never fits pushes nobody out.
    pub(super) fn lets_in(&mut self, bytes: u64) -> bool {
        let stays = (0..MODELS).filter(|m| self.is_here(*m) && !self.may_leave(*m));
        let stay: u64 = stays.map(size).sum();
        match (stay + bytes <= CAP, CAP.checked_sub(bytes)) {
            (true, Some(left)) => self.make_room(left),
            _ => self.taken() + bytes <= CAP,
        }
    }

    /// Who leaves so that the cache is not larger than `limit`; whether that is enough.
    pub(super) fn make_room(&mut self, limit: u64) -> bool {
        let mut order: Vec<usize> = (0..MODELS).filter(|model| self.may_leave(*model)).collect();
        order.sort_by_key(|model| self.rows[*model].used);
        for model in order {
            if self.taken() <= limit {
                break;
            }
            if !self.held.contains_key(&model) {
                self.rows[model].state = State::Left;
                self.rows[model].flipped = false;
            }
        }
        self.taken() <= limit
    }

    pub(super) fn check(&self) {
        let mut names = BTreeSet::new();
        for model in 0..MODELS {
            let row = &self.rows[model];
            for cache in &self.caches {
                let sealed = cache.sealed(&url(model)).unwrap();
                assert_eq!(sealed.is_some(), self.is_here(model), "{model} is {row:?}");
                if let Some(sealed) = sealed.filter(|_| !row.flipped) {
                    for (name, bytes) in content(model) {
                        assert!(fs::read(sealed.dir().join(name)).unwrap() == bytes);
                    }
                }
                let outline = cache.file_tree(&url(model));
                assert_eq!(outline.is_some(), row.state != State::Absent, "{model}");
                if let Some(outline) = outline {
                    assert_eq!(outline.bytes(), size(model));
                }
            }
            if self.is_here(model) {
                names.extend([
                    key(model).to_string(),
                    format!("{}.descriptor.txt", key(model)),
                ]);
            }
        }
        assert_eq!(
            super::names(self.dir.path()),
            names.into_iter().collect::<Vec<_>>()
        );
        self.caches.iter().for_each(wait_for_sweeper);
        for own in ["locks", "tmp", "trash"] {
            let own = self.dir.path().join(".tfhub-fs/v1").join(own);
            assert_eq!(super::names(&own), [""; 0], "{}", own.display());
        }
    }
}
