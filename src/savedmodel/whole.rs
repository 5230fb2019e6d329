//! Whether a SavedModel is whole, as far as one can see.
//!
//! The most frequent complaint about tensorflow_hub's cache: a cleaner of `/tmp` removes old files and leaves directories,
//! tensorflow_hub sees a directory that is not empty, and TensorFlow finds no model in it (tensorflow/hub#575, #646, #896).

use std::io::{Read, Seek};

use super::graph;
use super::index::{self, Shards};
use super::names::{GRAPHS, INDEX, parse_shard, shard_name};

/// `variables.index` has some 50 bytes a tensor: a million tensors fit. A larger one is judged by names only.
const MAX_INDEX: u64 = 64 << 20;

/// A directory with a model in it, wherever that is.
pub trait Files {
    /// Names and sizes of the files right in `dir` ("" is the model itself); `None` if there is no such directory.
    fn files_in(&self, dir: &str) -> Option<Vec<(&str, u64)>>;

    /// The size of the file at `path`; `None` if there is none.
    fn size(&self, path: &str) -> Option<u64>;

    /// Opens a file; `None` if that cannot be done here and now: then only names and sizes count.
    fn open(&self, path: &str) -> Option<impl Read + Seek>;
}

/// Why a model is not whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// None of the files that make a model.
    #[error(
        "it has no saved_model.pb, saved_model.pbtxt, model.json or .tflite file that is not empty"
    )]
    NoModel,
    /// No index, though there are variables.
    #[error("it has no variables/variables.index, and is a model with variables")]
    NoVariablesIndex,
    /// A data shard is missing.
    #[error("its variables.index announces {0}, which is missing")]
    NoShard(String),
    /// A data shard is too short.
    #[error("{name} has {got} of the {want} bytes that its variables.index announces")]
    ShortShard {
        /// The shard.
        name: String,
        /// The bytes that it must have at least.
        want: u64,
        /// The bytes that it has.
        got: u64,
    },
}

/// The first flaw of a model of a framework that we know; `None` if it is whole. Reads `saved_model.pb` and the index.
pub fn flaw(model: &impl Files) -> Option<Flaw> {
    no_model(model).or_else(|| variables_flaw(model))
}

/// A TF1 hub module has `tfhub_module.pb` beside `saved_model.pb`, and is nothing without the latter. An empty file is what
/// a power cut leaves of one that was never synced.
fn no_model(model: &impl Files) -> Option<Flaw> {
    let is_model = |(name, size): &(&str, u64)| {
        let known = GRAPHS.contains(name) || *name == "model.json" || name.ends_with(".tflite");
        known && *size > 0
    };
    let files = model.files_in("").unwrap_or_default();
    (!files.iter().any(is_model)).then_some(Flaw::NoModel)
}

/// The first flaw of a model of any framework: what it has of a checkpoint must be complete.
pub fn variables_flaw(model: &impl Files) -> Option<Flaw> {
    let Some(size) = model.size(INDEX) else {
        let lacking = match model.files_in("variables") {
            // A cleaner takes directories too.
            None => announces_variables(model) == Some(true),
            Some(files) => !files.is_empty() || announces_variables(model) != Some(false),
        };
        return lacking.then_some(Flaw::NoVariablesIndex);
    };
    match read_index(model, size).and_then(|bytes| index::parse(&bytes)) {
        Some(shards) => lacking_shard(model, &shards),
        None => lacking_name(model),
    }
}

fn announces_variables(model: &impl Files) -> Option<bool> {
    let name = "saved_model.pb";
    graph::find_variables(model.open(name)?, model.size(name)?)
}

fn read_index(model: &impl Files, size: u64) -> Option<Vec<u8>> {
    if size > MAX_INDEX {
        return None;
    }
    let mut bytes = Vec::new();
    let file = model.open(INDEX)?;
    file.take(MAX_INDEX).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn lacking_shard(model: &impl Files, shards: &Shards) -> Option<Flaw> {
    // A count from a hostile index may be astronomical; the first name that is missing ends the search.
    (0..shards.count).find_map(|number| {
        let name = shard_name(number, shards.count);
        let want = shards.extents.get(&number).copied().unwrap_or(0);
        match model.size(&name) {
            None => Some(Flaw::NoShard(name)),
            Some(got) if got < want => Some(Flaw::ShortShard { name, want, got }),
            Some(_) => None,
        }
    })
}

/// For an index that cannot be read: any shard's name says how many there must be.
fn lacking_name(model: &impl Files) -> Option<Flaw> {
    let files = model.files_in("variables").unwrap_or_default();
    let count = files
        .iter()
        .find_map(|(name, _)| Some(parse_shard(&format!("variables/{name}"))?.1));
    let shards = Shards {
        count: count.unwrap_or(1),
        ..Shards::default()
    };
    lacking_shard(model, &shards)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::savedmodel::graphs::{WITH, WITHOUT};
    use crate::savedmodel::indices::{REAL, table};

    fn inside<'a>(dir: &str, name: &'a str) -> Option<&'a str> {
        match dir {
            "" => Some(name),
            _ => name.strip_prefix(dir)?.strip_prefix('/'),
        }
    }

    /// Files in memory; a name that ends with `/` is an empty directory.
    struct Model<'a>(&'a [(&'a str, &'a [u8])]);

    impl Files for Model<'_> {
        fn files_in(&self, dir: &str) -> Option<Vec<(&str, u64)>> {
            let below = self.0.iter().any(|(name, _)| inside(dir, name).is_some());
            below.then(|| {
                let files = self.0.iter().filter_map(|(name, bytes)| {
                    let name = inside(dir, name)?;
                    let is_file = !name.is_empty() && !name.contains('/');
                    is_file.then_some((name, bytes.len() as u64))
                });
                files.collect()
            })
        }

        fn size(&self, path: &str) -> Option<u64> {
            let (_, bytes) = self.0.iter().find(|(name, _)| *name == path)?;
            Some(bytes.len() as u64)
        }

        fn open(&self, path: &str) -> Option<impl Read + Seek> {
            let (_, bytes) = self.0.iter().find(|(name, _)| *name == path)?;
            Some(Cursor::new(*bytes))
        }
    }

    fn judge(files: &[(&str, &[u8])]) -> Option<Flaw> {
        flaw(&Model(files))
    }

    const PB: (&str, &[u8]) = ("saved_model.pb", b"x");
    const SHARD: &str = "variables/variables.data-00000-of-00001";

    #[test]
    fn what_makes_a_model() {
        for name in [
            "saved_model.pb",
            "saved_model.pbtxt",
            "model.json",
            "lite-model_x_1.tflite",
        ] {
            assert_eq!(judge(&[(name, b"x")]), None, "{name}");
            assert_eq!(
                judge(&[(name, b"")]),
                Some(Flaw::NoModel),
                "{name} is empty"
            );
        }
        assert_eq!(judge(&[("tfhub_module.pb", b"\x08\x03"), PB]), None);
        for names in [
            vec![],
            vec!["assets/"],
            vec!["README.md"],
            vec!["sub/saved_model.pb"],
            vec!["tfhub_module.pb"],
        ] {
            let files: Vec<(&str, &[u8])> =
                names.iter().map(|name| (*name, b"x" as &[u8])).collect();
            assert_eq!(judge(&files), Some(Flaw::NoModel), "{names:?}");
        }
    }

    #[test]
    fn variables_need_their_index_and_every_shard() {
        assert_eq!(
            judge(&[PB, ("variables/", b"")]),
            Some(Flaw::NoVariablesIndex)
        );
        assert_eq!(judge(&[PB, (SHARD, b"x")]), Some(Flaw::NoVariablesIndex));
        assert_eq!(
            judge(&[PB, (INDEX, REAL)]),
            Some(Flaw::NoShard(SHARD.into()))
        );
        assert_eq!(judge(&[PB, (INDEX, REAL), (SHARD, &[0; 44])]), None);
        let short = Flaw::ShortShard {
            name: SHARD.into(),
            want: 44,
            got: 43,
        };
        assert_eq!(judge(&[PB, (INDEX, REAL), (SHARD, &[0; 43])]), Some(short));
    }

    #[test]
    fn a_graph_without_variables_has_an_empty_directory_for_them() {
        let name = "saved_model.pb";
        assert_eq!(judge(&[(name, WITHOUT), ("variables/", b"")]), None);
        assert_eq!(
            judge(&[(name, WITH), ("variables/", b"")]),
            Some(Flaw::NoVariablesIndex)
        );
        assert_eq!(
            judge(&[(name, WITHOUT), (SHARD, b"x")]),
            Some(Flaw::NoVariablesIndex)
        );
        assert_eq!(judge(&[(name, WITHOUT)]), None);
        assert_eq!(judge(&[(name, WITH)]), Some(Flaw::NoVariablesIndex));
    }

    #[test]
    fn many_shards() {
        let index = table(2, 3);
        let (first, second) = (
            "variables/variables.data-00000-of-00002",
            "variables/variables.data-00001-of-00002",
        );
        assert_eq!(
            judge(&[PB, (INDEX, &index), (first, b"123"), (second, b"123")]),
            None
        );
        assert_eq!(
            judge(&[PB, (INDEX, &index), (first, b"123")]),
            Some(Flaw::NoShard(second.into()))
        );
    }

    #[test]
    fn an_unreadable_index_leaves_the_names_to_judge_by() {
        let odd: &[u8] = b"not a table";
        let (first, third) = (
            "variables/variables.data-00000-of-00003",
            "variables/variables.data-00002-of-00003",
        );
        let second = "variables/variables.data-00001-of-00003";
        assert_eq!(
            judge(&[PB, (INDEX, odd), (first, b""), (second, b""), (third, b"")]),
            None
        );
        assert_eq!(
            judge(&[PB, (INDEX, odd), (first, b""), (third, b"")]),
            Some(Flaw::NoShard(second.into()))
        );
        assert_eq!(
            judge(&[PB, (INDEX, odd)]),
            Some(Flaw::NoShard(SHARD.into()))
        );
        let endless = "variables/variables.data-00000-of-18446744073709551615";
        assert!(matches!(
            judge(&[PB, (INDEX, odd), (endless, b"")]),
            Some(Flaw::NoShard(_))
        ));
    }
}
