//! Which names an archive has used so far, and as what.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::BuildHasher;

use super::error::{Refusal, shown};
use super::limits::Limits;
use super::name::Name;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
}

/// The names seen so far. Kept as hashes under a random key, not as text: a long name costs no more than a short
/// one, and a collision, which would refuse a good archive, has odds of one in a billion at 100,000 names.
pub(super) struct Seen {
    key: RandomState,
    kinds: HashMap<u64, Kind>,
    bytes: u64,
}

impl Seen {
    pub(super) fn new() -> Seen {
        Seen {
            key: RandomState::new(),
            kinds: HashMap::new(),
            bytes: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// Notes `name` and the directories above it. A file that comes again is no conflict: the last one wins.
    pub(super) fn add(&mut self, name: &Name, kind: Kind, limits: &Limits) -> Result<(), Refusal> {
        match self.note(name.as_str(), kind, limits)? {
            Some(known) if known != kind => {
                return Err(Refusal::FileAndDirectory {
                    name: shown(name.as_str().as_bytes()),
                });
            }
            Some(_) => return Ok(()),
            None => {}
        }
        for parent in name.parents() {
            match self.note(parent, Kind::Directory, limits)? {
                Some(Kind::File) => {
                    let (name, parent) =
                        (shown(name.as_str().as_bytes()), shown(parent.as_bytes()));
                    return Err(Refusal::ParentIsFile { name, parent });
                }
                // What is above a known directory is known: the walk is short however deep the path.
                Some(Kind::Directory) => break,
                None => {}
            }
        }
        Ok(())
    }

    /// What `path` was before, or `None` if it is new and now noted.
    fn note(&mut self, path: &str, kind: Kind, limits: &Limits) -> Result<Option<Kind>, Refusal> {
        let count = self.kinds.len() as u64;
        match self.kinds.entry(self.key.hash_one(path)) {
            Entry::Occupied(known) => Ok(Some(*known.get())),
            Entry::Vacant(_) if count >= limits.max_entries => Err(Refusal::TooManyEntries {
                limit: limits.max_entries,
            }),
            Entry::Vacant(new) => {
                self.bytes += path.len() as u64;
                if self.bytes > limits.max_names {
                    return Err(Refusal::NamesTooLong {
                        limit: limits.max_names,
                    });
                }
                new.insert(kind);
                Ok(None)
            }
        }
    }
}
