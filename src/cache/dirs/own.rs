//! Our own directories, held open.
//!
//! Whoever may write to the cache directory can put something else in the place of `.tfhub-fs` between any two of our steps, and
//! what is in `trash` is deleted. So each of our directories is opened without following a link, its owner is looked at, and from
//! then on what is in it is reached through its descriptor: paths begin with `/proc/self/fd`. A descriptor keeps its number
//! for as long as the layout lives, so that such a path never leads to anything else.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::os;

use super::super::error::{Context, Error, if_there};

/// The version of everything below `.tfhub-fs/v1`. A change of form means a new number, and so a new directory.
pub(in crate::cache) const VERSION: u32 = 1;

/// Modes before the umask, as tensorflow_hub has them: with umask 022 every user may read a model.
pub(in crate::cache) const FILE_MODE: u32 = 0o644;
pub(in crate::cache) const DIR_MODE: u32 = 0o755;

/// The directory of all that only tfhub-fs knows.
const STATE: &str = ".tfhub-fs";

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cache) enum Own {
    /// `.tfhub-fs/v1`, in which all others are.
    Version,
    Locks,
    Manifests,
    Pins,
    Parts,
    Tmp,
    Trash,
}

impl Own {
    pub(in crate::cache) const ALL: [Own; 7] = [
        Own::Version,
        Own::Locks,
        Own::Manifests,
        Own::Pins,
        Own::Parts,
        Own::Tmp,
        Own::Trash,
    ];

    /// Its name in `v1`, but for that itself.
    pub(in crate::cache) fn name(self) -> String {
        match self {
            Own::Version => format!("v{VERSION}"),
            Own::Locks => "locks".to_owned(),
            Own::Manifests => "manifests".to_owned(),
            Own::Pins => "pins".to_owned(),
            Own::Parts => "parts".to_owned(),
            Own::Tmp => "tmp".to_owned(),
            Own::Trash => "trash".to_owned(),
        }
    }
}

/// How long it is believed that a directory is still there: a cleaner takes it away once a day, and it is asked for a hundred
/// thousand times a second.
const BELIEVED: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
struct Slot {
    dir: OnceLock<File>,
    /// When it was last looked whether it is still there.
    looked: Mutex<Option<Instant>>,
}

impl Slot {
    fn is_gone(&self, dir: &File) -> bool {
        let mut looked = self.looked.lock();
        if looked.is_some_and(|at| at.elapsed() < BELIEVED) {
            return false;
        }
        let is_gone = dir.metadata().is_ok_and(|meta| meta.nlink() == 0);
        *looked = (!is_gone).then(Instant::now);
        is_gone
    }
}

/// Those that have been opened.
#[derive(Debug, Default)]
pub(in crate::cache) struct OwnDirs {
    dirs: [Slot; Own::ALL.len()],
    /// Whether they may be anybody's: nothing is written there.
    of_anybody: bool,
}

impl OwnDirs {
    /// Of a cache directory that is only read.
    pub(in crate::cache) fn of_anybody() -> OwnDirs {
        OwnDirs {
            of_anybody: true,
            ..OwnDirs::default()
        }
    }

    /// A path for the kernel. A directory that is not open, or that a cleaner has taken away, is looked for below the cache
    /// directory `root`; if it is not there, nothing is ever found at the path.
    pub(in crate::cache) fn path(&self, root: &Path, own: Own) -> PathBuf {
        let slot = self.dirs.get(own as usize);
        let held = slot.and_then(|slot| Some((slot, slot.dir.get()?)));
        match held {
            Some((slot, dir)) if !slot.is_gone(dir) => os::fs::through(dir),
            held => match self.open(root, own).and_then(|dir| self.hold(own, dir)) {
                Ok(path) => path,
                Err(_) => match held {
                    Some((_, dir)) => os::fs::through(dir),
                    None => Path::new(NOWHERE).join(own.name()),
                },
            },
        }
    }

    /// Makes what is missing of them below `root`, and holds them all from now on; the directory that they are in.
    pub(in crate::cache) fn make(&self, root: &Path) -> Result<File, Error> {
        let dir = os::beneath::top_path(root).context("open", root)?;
        check_owner(&dir, root)?;
        refuse_newer(&dir, root)?;
        let state = make(&dir, STATE, root)?;
        let shown = root.join(STATE);
        let version = make(&state, &Own::Version.name(), &shown)?;
        let shown = shown.join(Own::Version.name());
        for own in Own::ALL.into_iter().skip(1) {
            let dir = make(&version, &own.name(), &shown)?;
            self.hold(own, dir).context("open", &shown)?;
        }
        self.hold(Own::Version, version).context("open", &shown)?;
        Ok(state)
    }

    fn open(&self, root: &Path, own: Own) -> io::Result<File> {
        let state = self.step(&os::beneath::top_path(root)?, STATE)?;
        let version = self.step(&state, &Own::Version.name())?;
        match own {
            Own::Version => Ok(version),
            _ => self.step(&version, &own.name()),
        }
    }

    fn step(&self, parent: &File, name: &str) -> io::Result<File> {
        let dir = os::beneath::open_dir(parent, Path::new(name))?;
        match self.of_anybody || os::own::trusts(dir.metadata()?.uid()) {
            true => Ok(dir),
            false => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }

    /// Holds a directory from now on, instead of the one that was there before; its path.
    fn hold(&self, own: Own, dir: File) -> io::Result<PathBuf> {
        let slot = self.dirs.get(own as usize);
        let slot = &slot.ok_or(io::ErrorKind::NotFound)?.dir;
        if let Err(dir) = slot.set(dir)
            && let Some(held) = slot.get()
            && !same_inode(held, &dir)?
        {
            os::fs::turn(held, &dir)?;
        }
        let held = slot.get().map(os::fs::through);
        held.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn refuse_newer(root: &File, shown: &Path) -> Result<(), Error> {
    let listed = os::beneath::list(root, Path::new(STATE));
    let entries = match if_there(listed) {
        Ok(Some(entries)) => entries,
        Ok(None) => return Ok(()),
        Err(error) => return Err(not_a_directory(shown.join(STATE), error)),
    };
    let newest = entries
        .filter_map(|entry| {
            entry
                .ok()?
                .file_name()
                .to_str()?
                .strip_prefix('v')?
                .parse()
                .ok()
        })
        .max();
    match newest {
        Some(version) if version > VERSION => Err(Error::NewerLayout {
            path: shown.to_path_buf(),
            version,
            known: VERSION,
        }),
        _ => Ok(()),
    }
}

/// Makes one directory of our own state, and opens it. A link in its place is refused, and so is what belongs to another user,
/// who could put links into it: what is in `trash` is deleted, wherever it leads. `shown` is where `parent` is.
fn make(parent: &File, name: &str, shown: &Path) -> Result<File, Error> {
    let path = Path::new(name);
    let shown = shown.join(name);
    let opened = match if_there(os::beneath::open_dir(parent, path)) {
        Ok(None) => {
            os::beneath::make_dirs(parent, path, DIR_MODE).context("create", &shown)?;
            os::beneath::open_dir(parent, path)
        }
        Ok(Some(dir)) => Ok(dir),
        Err(error) => Err(error),
    };
    let dir = opened.map_err(|error| not_a_directory(shown.clone(), error))?;
    check_owner(&dir, &shown)?;
    Ok(dir)
}

fn not_a_directory(path: PathBuf, error: io::Error) -> Error {
    match error.raw_os_error() {
        Some(libc::ELOOP | libc::ENOTDIR) => Error::NotADirectory { path },
        _ => Error::io("open", path, error),
    }
}

fn check_owner(dir: &File, shown: &Path) -> Result<(), Error> {
    let owner = dir.metadata().context("examine", shown)?.uid();
    match os::own::trusts(owner) {
        true => Ok(()),
        false => Err(Error::Anothers {
            path: shown.to_path_buf(),
            owner,
        }),
    }
}

/// Where nothing is and nobody can put anything.
const NOWHERE: &str = "/proc/self/fd/closed";

fn same_inode(one: &File, other: &File) -> io::Result<bool> {
    let (one, other) = (one.metadata()?, other.metadata()?);
    Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
}
