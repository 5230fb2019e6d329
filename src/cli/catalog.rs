//! `--catalog FILE`: read at the start, and again when it changes; what it marks `prefetch` is fetched in the background.
//!
//! A file is replaced by rename or written over; either is seen by its inode, size and times, which are looked at every
//! second. A catalog that cannot be read, or has a bad line, changes nothing: what was read before stays.

use std::fmt::Display;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Failure;
use crate::handle::{BadLine, CatalogFile, Names};
use crate::os;
use crate::os::mountinfo::{FSTYPE, Table};
use crate::vfs::Tree;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// No list that people write is larger.
const MAX_SIZE: u64 = 32 << 20;

/// How much is told of a bad line, which may be megabytes long.
const LONGEST: usize = 1000;

/// How many bad lines are told at once.
const TOLD: usize = 10;

/// What tells one content of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// The catalog of a mount.
pub(super) struct Catalog {
    path: PathBuf,
    names: Names,
    /// Of what was looked at last, whether or not it could be used.
    stamp: Option<Stamp>,
    content: watch::Sender<Arc<CatalogFile>>,
}

impl Catalog {
    /// Reads the catalog `typed`, for a mount at `mountpoint`; every bad line is a wrong usage.
    pub fn open(typed: &Path, names: &Names, mountpoint: &Path) -> Result<Catalog, Failure> {
        let path = outside(typed, mountpoint)?;
        let (stamp, content) = load(&path, names).map_err(Failure::Usage)?;
        Ok(Catalog {
            path,
            names: names.clone(),
            stamp: Some(stamp),
            content: watch::Sender::new(Arc::new(content)),
        })
    }

    /// What it holds, now and whenever it changes.
    pub fn content(&self) -> watch::Receiver<Arc<CatalogFile>> {
        self.content.subscribe()
    }

    /// Shows it in `tree`, and from then on what it changes to. Never ends.
    pub async fn follow(mut self, tree: Tree) {
        let mut every = tokio::time::interval(LOOK);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            // The disk may be slow, or gone with its network.
            let tree = tree.clone();
            let looked = tokio::task::spawn_blocking(move || {
                let changed = self.look();
                if let Some(changed) = &changed {
                    tree.set_catalog(changed);
                }
                (self, changed)
            });
            let Ok((catalog, changed)) = looked.await else {
                return tracing::error!("the catalog is no longer read");
            };
            self = catalog;
            if let Some(changed) = changed {
                let handles = changed.lines().len();
                tracing::info!(catalog = %self.path.display(), handles, "the catalog has changed");
                self.content.send_replace(changed);
            }
        }
    }

    /// The new content, if there is one. What cannot be used is told once.
    fn look(&mut self) -> Option<Arc<CatalogFile>> {
        let stamp = std::fs::metadata(&self.path).ok().map(|m| Stamp::of(&m));
        if stamp == self.stamp {
            return None;
        }
        self.stamp = stamp;
        match load(&self.path, &self.names) {
            Ok((stamp, content)) => {
                self.stamp = Some(stamp);
                (content != **self.content.borrow()).then(|| Arc::new(content))
            }
            Err(error) => {
                tracing::warn!(%error, "the catalog is used as it was before");
                None
            }
        }
    }
}

impl Stamp {
    fn of(of: &std::fs::Metadata) -> Stamp {
        Stamp {
            device: of.dev(),
            inode: of.ino(),
            size: of.size(),
            modified: (of.mtime(), of.mtime_nsec()),
            changed: (of.ctime(), of.ctime_nsec()),
        }
    }
}

/// Reads a catalog, or a mere list of handles, once; `-` is standard input. Every bad line is a wrong usage.
pub(super) fn read(path: &Path, names: &Names) -> Result<CatalogFile, Failure> {
    let content = match path == Path::new("-") {
        true => limited(io::stdin().lock())
            .map_err(|error| cannot(path, &error))
            .and_then(|bytes| parse(path, bytes, names)),
        false => load(path, names).map(|(_, content)| content),
    };
    content.map_err(Failure::Usage)
}

/// Where the catalog is, absolute. One inside a tfhub-fs mount, this one included, is refused: the daemon would wait for itself.
fn outside(typed: &Path, mountpoint: &Path) -> Result<PathBuf, Failure> {
    let table = Table::read().map_err(Failure::failed)?;
    let path = os::path::resolve(typed, &table).map_err(Failure::failed)?;
    if table.inside(&path, FSTYPE) || path.starts_with(mountpoint) {
        return Err(Failure::Usage(format!(
            "the catalog {} lies inside a tfhub-fs mount; keep it outside",
            path.display()
        )));
    }
    // As it was typed: a link that is turned to another file is a change too.
    std::path::absolute(typed).map_err(Failure::failed)
}

/// The file's content, and the stamp that it had before it was read: a later change is seen by the next look.
fn load(path: &Path, names: &Names) -> Result<(Stamp, CatalogFile), String> {
    let (stamp, bytes) = bytes(path).map_err(|error| cannot(path, &error))?;
    Ok((stamp, parse(path, bytes, names)?))
}

fn cannot(path: &Path, why: &dyn Display) -> String {
    format!("cannot read {}: {why}", path.display())
}

fn parse(path: &Path, bytes: Vec<u8>, names: &Names) -> Result<CatalogFile, String> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
        format!("{}:{line}: this is not UTF-8", path.display())
    })?;
    CatalogFile::parse(&text, names).map_err(|bad| told(path, &bad))
}

fn bytes(path: &Path) -> io::Result<(Stamp, Vec<u8>)> {
    let mut options = std::fs::File::options();
    // A FIFO would hold the open until somebody writes.
    let file = options
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a plain file"));
    }
    Ok((Stamp::of(&metadata), limited(file)?))
}

fn limited(file: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_SIZE + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MAX_SIZE {
        true => Err(io::Error::other("it has more than 32 MiB")),
        false => Ok(bytes),
    }
}

/// Bad lines as compilers tell them.
fn told(path: &Path, bad: &[BadLine]) -> String {
    let path = path.display();
    let lines = bad.iter().take(TOLD);
    let mut told: Vec<String> = lines
        .map(|line| {
            let why = line.why.to_string();
            let why: String = why.chars().take(LONGEST).collect();
            format!("{path}:{}: {why}", line.number)
        })
        .collect();
    if bad.len() > TOLD {
        told.push(format!("{path}: and {} more bad lines", bad.len() - TOLD));
    }
    told.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place {
        dir: tempfile::TempDir,
        names: Names,
    }

    impl Place {
        fn new() -> Place {
            Place {
                dir: tempfile::tempdir().unwrap(),
                names: Names::new("https://tfhub.dev", Default::default()).unwrap(),
            }
        }

        fn path(&self) -> PathBuf {
            self.dir.path().join("catalog")
        }

        fn write(&self, text: &str) {
            std::fs::write(self.path(), text).unwrap();
        }

        fn open(&self) -> Result<Catalog, String> {
            match Catalog::open(&self.path(), &self.names, Path::new("/nowhere")) {
                Ok(catalog) => Ok(catalog),
                Err(Failure::Usage(why)) => Err(why),
                Err(other) => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn bad_lines_are_told_with_file_and_number() {
        let place = Place::new();
        place.write("https://tfhub.dev/google/x/1\n\ngoogle/y/1\nhttps://tfhub.dev/z/1 keep\n");
        let why = place.open().err().unwrap();
        let at = place.path().display().to_string();
        assert!(why.contains(&format!("{at}:3: ")), "{why}");
        assert!(why.contains(&format!("{at}:4: `keep`")), "{why}");
        place.write(&"x\n".repeat(50));
        let why = place.open().err().unwrap();
        assert!(why.ends_with("and 40 more bad lines"), "{why}");
        std::fs::write(place.path(), b"# one\n\xff\n").unwrap();
        let why = place.open().err().unwrap();
        assert!(why.ends_with("catalog:2: this is not UTF-8"), "{why}");
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let place = Place::new();
        let why = place.open().err().unwrap();
        assert!(why.contains("No such file"), "{why}");
        std::fs::create_dir(place.path()).unwrap();
        let why = place.open().err().unwrap();
        assert!(why.contains("not a plain file"), "{why}");
        let inside = Catalog::open(&place.path(), &place.names, place.dir.path());
        assert!(matches!(inside, Err(Failure::Usage(why)) if why.contains("inside")));
    }

    #[test]
    fn a_change_is_seen_once_and_a_bad_one_changes_nothing() {
        let place = Place::new();
        place.write("https://tfhub.dev/google/x/1\n");
        let mut catalog = place.open().ok().unwrap();
        assert!(catalog.look().is_none());
        let next = place.dir.path().join("next");
        std::fs::write(&next, "https://tfhub.dev/google/y/1\n").unwrap();
        std::fs::rename(&next, place.path()).unwrap();
        let changed = catalog.look().unwrap();
        assert_eq!(changed.lines()[0].path(), "google/y/1");
        catalog.content.send_replace(changed);
        assert!(catalog.look().is_none());
        place.write("nonsense\n");
        assert!(catalog.look().is_none());
        std::fs::remove_file(place.path()).unwrap();
        assert!(catalog.look().is_none());
        place.write("# the same again\nhttps://tfhub.dev/google/y/1\n");
        assert!(catalog.look().is_none(), "nothing new in it");
        place.write("https://tfhub.dev/google/z/1\n");
        assert!(catalog.look().is_some());
    }
}
