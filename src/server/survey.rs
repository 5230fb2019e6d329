//! What a model's directory holds, in the order in which it will be packed.
//!
//! A survey is cheap (no file is opened) and comparable: two equal surveys mean
//! that nothing was touched in between, which is how a packed archive is known
//! to be still true.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::iter;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Error;
use super::confine::{self, Checked, Root};
use crate::savedmodel;

/// The state of a file or directory. The change time cannot be set by hand, so
/// it tells also of a file that was rewritten with its old size and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Bytes; 0 for a directory.
    pub len: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    inode: (u64, u64),
}

impl Stamp {
    /// Of what was asked of the disk.
    pub fn of(meta: &Metadata) -> Stamp {
        Stamp {
            len: if meta.is_dir() { 0 } else { meta.len() },
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
            inode: (meta.dev(), meta.ino()),
        }
    }

    /// A strong entity tag of a file in this state: the change time tells also of a rewrite within the same size.
    pub fn etag(&self) -> String {
        let (changed, nanos) = self.changed;
        let (_, inode) = self.inode;
        format!("\"{:x}-{inode:x}-{changed:x}.{nanos:x}\"", self.len)
    }

    /// A number for a file in this state, larger for a later one: microseconds
    /// of the change time, and below them ten bits of all the rest, for the two
    /// changes that fall into one tick of the clock.
    pub fn generation(&self) -> u64 {
        let (seconds, nanos) = self.changed;
        let seconds = u64::try_from(seconds).unwrap_or(0);
        let micros = seconds.saturating_mul(1_000_000) + u64::try_from(nanos).unwrap_or(0) / 1000;
        let mut rest = Vec::with_capacity(48);
        for number in [self.modified.0, self.modified.1, nanos] {
            rest.extend(number.to_le_bytes());
        }
        for number in [self.len, self.inode.0, self.inode.1] {
            rest.extend(number.to_le_bytes());
        }
        (micros << 10) | u64::from(crate::checksum::crc32c(&rest) & 0x3ff)
    }

    /// True if the bytes are still those: a file that lost its name or got
    /// another one while it was read has not changed in this sense.
    pub fn same_content(&self, other: &Stamp) -> bool {
        (self.len, self.modified, self.inode) == (other.len, other.modified, other.inode)
    }

    /// When the content was last written; 1970 for anything earlier.
    pub fn modified(&self) -> SystemTime {
        let (seconds, nanos) = self.modified;
        let seconds = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        UNIX_EPOCH + seconds + Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    }
}

/// One file or directory of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Path below the model, `/` between components; a directory ends with `/`, the model itself is empty.
    pub name: Vec<u8>,
    /// Where it is on disk, links resolved.
    pub path: PathBuf,
    /// Its state.
    pub stamp: Stamp,
}

impl Member {
    /// True for a directory.
    pub fn is_dir(&self) -> bool {
        self.name.is_empty() || self.name.ends_with(b"/")
    }
}

/// All of a model: parents before their children, and what a reader opens first in front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// The model's directory.
    pub dir: PathBuf,
    /// Its members.
    pub members: Vec<Member>,
}

impl Survey {
    /// When any part of the model was last written.
    pub fn modified(&self) -> SystemTime {
        self.members
            .iter()
            .map(|m| m.stamp.modified())
            .max()
            .unwrap_or(UNIX_EPOCH)
    }

    /// A part of the variables that the names of the others announce and that is
    /// not there: the model is still being copied in, or half of it was deleted.
    pub fn missing(&self) -> Option<String> {
        let names = self.members.iter();
        let names: BTreeSet<_> = names.filter_map(|m| str::from_utf8(&m.name).ok()).collect();
        let shards = names
            .iter()
            .filter_map(|name| savedmodel::parse_shard(name));
        let of = shards.map(|(_, of)| of).max()?;
        let shards = (0..of).map(|n| savedmodel::shard_name(n, of));
        let mut wanted = iter::once(savedmodel::INDEX.to_owned()).chain(shards);
        wanted.find(|name| !names.contains(&**name))
    }

    /// The files, in the order of their names.
    pub fn files(&self) -> Vec<&Member> {
        let mut files: Vec<_> = self.members.iter().filter(|m| !m.is_dir()).collect();
        files.sort_by(|a, b| a.name.cmp(&b.name));
        files
    }

    /// True if this file is there.
    pub fn has(&self, name: &[u8]) -> bool {
        self.members.iter().any(|member| member.name == name)
    }

    /// The one file whose name ends so; none if there are several.
    pub fn only(&self, suffix: &str) -> Option<&Member> {
        let mut files = self
            .files()
            .into_iter()
            .filter(|file| file.name.ends_with(suffix.as_bytes()));
        files.next().filter(|_| files.next().is_none())
    }
}

/// Looks at everything below `dir`, which lies in `root`; both canonical.
///
/// # Errors
/// What cannot be read, and what must not be offered: a link out of `root` is
/// refused rather than left out, because a model without one of its files is
/// not that model.
pub fn survey(root: &Root, dir: &Path) -> Result<Survey, Error> {
    let meta = root.metadata(dir).map_err(|e| Error::read(dir, e))?;
    let mut members = vec![Member {
        name: Vec::new(),
        path: dir.to_owned(),
        stamp: Stamp::of(&meta),
    }];
    add_children(root, &mut vec![dir.to_owned()], b"", &mut members)?;
    let mut members: Vec<_> = members.into_iter().map(|m| (rank(&m.name), m)).collect();
    members.sort_by(|a, b| (a.0, &a.1.name).cmp(&(b.0, &b.1.name)));
    Ok(Survey {
        dir: dir.to_owned(),
        members: members.into_iter().map(|(_, m)| m).collect(),
    })
}

/// Adds what lies in the last directory of `chain`, whose name is `above`, and below it.
/// The length that the kernel allows a path bounds the recursion.
fn add_children(
    root: &Root,
    chain: &mut Vec<PathBuf>,
    above: &[u8],
    members: &mut Vec<Member>,
) -> Result<(), Error> {
    let Some(dir) = chain.last().cloned() else {
        return Ok(());
    };
    for entry in root.list(&dir).map_err(|e| Error::read(&dir, e))? {
        let entry = entry.map_err(|e| Error::read(&dir, e))?;
        let file_name = entry.file_name();
        let at = dir.join(&file_name);
        if confine::hidden(&file_name) {
            continue;
        }
        let meta = entry.metadata().map_err(|e| Error::read(&at, e))?;
        let checked = root.check(chain, &at, meta);
        let (path, meta) = match checked.map_err(|e| Error::read(&at, e))? {
            Checked::Inside(path, meta) => (path, meta),
            Checked::Stray(stray) => return Err(Error::Stray { path: at, stray }),
        };
        let mut name = [above, file_name.as_bytes()].concat();
        if meta.is_dir() {
            name.push(b'/');
            chain.push(path.clone());
            add_children(root, chain, &name, members)?;
            chain.pop();
        }
        members.push(Member {
            name,
            path,
            stamp: Stamp::of(&meta),
        });
    }
    Ok(())
}

/// The order of an archive: first what a reader opens first (tensorflow_hub
/// asks for `tfhub_module.pb` before anything else, then `saved_model.pb`, then
/// the index of the variables), then the rest by name. A reader of a half
/// arrived archive can then begin, and what is missing from it is known early.
fn rank(name: &[u8]) -> u8 {
    match name {
        b"" => 0,
        b"tfhub_module.pb" => 1,
        b"saved_model.pb" => 2,
        b"saved_model.pbtxt" => 3,
        b"variables/" => 4,
        b"variables/variables.index" => 5,
        b"fingerprint.pb" => 6,
        _ => 7,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::server::confine::Stray;
    use crate::server::testing::Tree;

    fn names(survey: &Survey) -> Vec<String> {
        survey
            .members
            .iter()
            .map(|m| String::from_utf8(m.name.clone()).unwrap())
            .collect()
    }

    #[test]
    fn what_a_reader_opens_first_comes_first() {
        let tree = Tree::new(&[
            ("assets/vocab.txt", "a"),
            ("variables/variables.data-00000-of-00001", "d"),
            ("variables/variables.index", "i"),
            ("fingerprint.pb", "f"),
            ("keras_metadata.pb", "k"),
            ("saved_model.pb", "s"),
            (".DS_Store", "junk"),
            ("assets/.hidden/x", "junk"),
        ]);
        let survey = survey(&tree.root(), tree.path()).unwrap();
        assert_eq!(
            names(&survey),
            [
                "",
                "saved_model.pb",
                "variables/",
                "variables/variables.index",
                "fingerprint.pb",
                "assets/",
                "assets/vocab.txt",
                "keras_metadata.pb",
                "variables/variables.data-00000-of-00001",
            ]
        );
    }

    #[test]
    fn parents_come_before_children_however_they_sort() {
        // '-' and '.' sort before '/': plain byte order of full names must not tear a directory apart from its content.
        let tree = Tree::new(&[("a/b/c", ""), ("a-b", ""), ("a.b", ""), ("a/b-c", "")]);
        let names = names(&survey(&tree.root(), tree.path()).unwrap());
        for (at, name) in names.iter().enumerate() {
            let parent = name
                .trim_end_matches('/')
                .rfind('/')
                .map_or("", |cut| &name[..=cut]);
            assert!(
                name.is_empty() || names[..at].iter().any(|n| n == parent),
                "{name} in {names:?}"
            );
        }
    }

    #[test]
    fn a_link_out_is_an_error_and_a_link_inside_is_its_file() {
        let tree = Tree::new(&[("m/1/saved_model.pb", "s"), ("blobs/x", "weights")]);
        let model = tree.path().join("m/1");
        symlink("../../blobs/x", model.join("near")).unwrap();
        let seen = survey(&tree.root(), &model).unwrap();
        let near = seen.files()[0];
        assert_eq!((near.name.as_slice(), near.stamp.len), (&b"near"[..], 7));
        symlink("/etc/passwd", model.join("out")).unwrap();
        let refused = survey(&tree.root(), &model).unwrap_err();
        assert!(
            matches!(
                refused,
                Error::Stray {
                    stray: Stray::Outside,
                    ..
                }
            ),
            "{refused}"
        );
    }

    #[test]
    fn a_rewrite_of_equal_size_and_time_shows() {
        let tree = Tree::new(&[("saved_model.pb", "aaaa")]);
        let before = survey(&tree.root(), tree.path()).unwrap();
        assert_eq!(before, survey(&tree.root(), tree.path()).unwrap());
        std::thread::sleep(Duration::from_millis(20));
        let path = tree.path().join("saved_model.pb");
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, "bbbb").unwrap();
        fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(modified)
            .unwrap();
        assert_ne!(before, survey(&tree.root(), tree.path()).unwrap());
    }

    #[test]
    fn a_missing_shard_or_index_is_named() {
        let tree = Tree::new(&[("saved_model.pb", "s")]);
        let missing = || survey(&tree.root(), tree.path()).unwrap().missing();
        assert_eq!(missing(), None, "a model may have no variables");
        tree.put("variables/variables.data-00001-of-00002", "d");
        assert_eq!(missing().unwrap(), "variables/variables.index");
        tree.put("variables/variables.index", "i");
        assert_eq!(
            missing().unwrap(),
            "variables/variables.data-00000-of-00002"
        );
        tree.put("variables/variables.data-00000-of-00002", "d");
        assert_eq!(missing(), None);
    }
}
