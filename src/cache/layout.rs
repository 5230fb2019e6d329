//! The names of everything on disk.
//!
//! ```text
//! <cache directory>/                          shared with tensorflow_hub
//!   <sha1>/                                   a sealed model; sha1 is that of its handle
//!   <sha1>.descriptor.txt                     whose handle, when, by whom (tensorflow_hub's form)
//!   <sha1>.lock                               who fills it now: "<hostname>.<pid>.<uid>" (tensorflow_hub's form)
//!   <sha1>.<uid>.tmp/                         its staging directory; tensorflow_hub measures its growth
//!   .tfhub-fs/                                what only tfhub-fs knows
//!     CACHEDIR.TAG                            backup programs leave this directory out
//!     v1/                                     the version of what follows
//!       locks/<sha1>                          flock(2) of the filler among ourselves; holds the text of its <sha1>.lock
//!       house                                 flock(2) of the process that looks after all this
//!       manifests/<sha1>                      what is known of a model that is, or was, here (JSON; manifest.rs);
//!                                             its time is when the model was last used
//!       pins/<sha1>                           says that the model never leaves; holds its handle
//!       parts/<sha1>/                         a model read by ranges, as far as its bytes are here (drawn in `partial/parts.rs`);
//!                                             sha1 is that of its handle, or of `gs://bucket/object#generation`
//!       parts/<sha1>.<uid>/                   the same, of a second process that reads the same model
//!       tmp/<sha1>.{lock,descriptor,manifest,pin}   files about to be linked or renamed to their names above
//!       trash/<sha1>.<uid>                    being deleted
//! ```
//!
//! Everything in `tmp/` and `trash/` may be deleted at any time when the flock of its model is free. All of it lies in one
//! file system, so that every change of state is one link(2) or rename(2).

use std::fs::DirBuilder;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::dirs::own::{Own, OwnDirs};
use super::error::{Context, Error, if_there};
pub(super) use crate::handle::Key;
use crate::hubdir;
use crate::os;

/// What of a model read by ranges is kept or not: the unit of the maps in `parts`.
pub(super) const BLOCK: u64 = 64 << 10;

pub(super) use super::dirs::own::{DIR_MODE, FILE_MODE};

/// The tag of <https://bford.info/cachedir/>, which tar, borg, restic and others look for.
const CACHEDIR_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # This directory holds the state of tfhub-fs. Its models can be downloaded again.\n";

/// See [`hubdir::new_uid`].
pub(super) fn new_uid() -> Result<String, Error> {
    hubdir::new_uid().context("read", "/dev/urandom")
}

/// One cache directory, as a maker of paths.
#[derive(Debug)]
pub(super) struct Layout {
    root: PathBuf,
    own: OwnDirs,
}

impl Layout {
    /// `root` is made absolute by the caller, because a daemon may change its working directory.
    pub(super) fn new(root: PathBuf) -> Layout {
        Layout {
            root,
            own: OwnDirs::default(),
        }
    }

    /// The layout of a directory that is only read.
    pub(super) fn as_it_is(root: PathBuf) -> Layout {
        let own = OwnDirs::of_anybody();
        Layout { root, own }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn model(&self, key: &Key) -> PathBuf {
        self.root.join(key.to_string())
    }

    pub(super) fn descriptor(&self, key: &Key) -> PathBuf {
        self.root.join(hubdir::descriptor_name(key))
    }

    pub(super) fn lock(&self, key: &Key) -> PathBuf {
        self.root.join(hubdir::lock_name(key))
    }

    pub(super) fn staging(&self, key: &Key, uid: &str) -> PathBuf {
        self.root.join(hubdir::staging_name(key, uid))
    }

    pub(super) fn locks(&self) -> PathBuf {
        self.own(Own::Locks)
    }

    pub(super) fn kernel_lock(&self, key: &Key) -> PathBuf {
        self.locks().join(key.to_string())
    }

    pub(super) fn house(&self) -> PathBuf {
        self.own(Own::Version).join("house")
    }

    pub(super) fn manifests(&self) -> PathBuf {
        self.own(Own::Manifests)
    }

    pub(super) fn manifest(&self, key: &Key) -> PathBuf {
        self.manifests().join(key.to_string())
    }

    pub(super) fn pins(&self) -> PathBuf {
        self.own(Own::Pins)
    }

    pub(super) fn pin(&self, key: &Key) -> PathBuf {
        self.pins().join(key.to_string())
    }

    /// `what` is one of `lock`, `descriptor`, `manifest`, `pin`.
    pub(super) fn temp(&self, key: &Key, what: &str) -> PathBuf {
        self.own(Own::Tmp).join(format!("{key}.{what}"))
    }

    pub(super) fn parts(&self) -> PathBuf {
        self.own(Own::Parts)
    }

    pub(super) fn trash(&self) -> PathBuf {
        self.own(Own::Trash)
    }

    /// A path through the open directory; see `dirs`.
    fn own(&self, own: Own) -> PathBuf {
        self.own.path(&self.root, own)
    }

    /// Makes the cache directory and our own directories in it.
    ///
    /// # Errors
    ///
    /// They cannot be made, are another user's, or a later tfhub-fs has been here.
    pub(super) fn prepare(&self) -> Result<(), Error> {
        make_dirs(&self.root)?;
        let state = self.own.make(&self.root)?;
        let tag = os::fs::through(&state).join("CACHEDIR.TAG");
        match create_new(&tag) {
            Ok(mut file) => file
                .write_all(CACHEDIR_TAG.as_bytes())
                .context("write", &tag),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(Error::io("create", &tag, error)),
        }
    }
}

/// Makes one directory in a directory of ours. What else has its name is refused.
pub(super) fn make_dir(path: &Path) -> Result<(), Error> {
    match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => Err(Error::NotADirectory {
            path: os::fs::shown(path),
        }),
        Err(_) => make_dirs(path),
    }
}

fn make_dirs(path: &Path) -> Result<(), Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(DIR_MODE)
        .create(path)
        .context("create", path)
}

/// Creates a file that must not be there yet, for reading and writing.
pub(super) fn create_new(path: &Path) -> io::Result<std::fs::File> {
    std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)
}

/// Writes `text` to `temp` and renames it to `path`, so that `path` holds all of it or what it held before.
///
/// # Errors
///
/// Either step failed; `path` is as it was.
pub(super) fn replace(temp: &Path, path: &Path, text: &[u8]) -> Result<(), Error> {
    let write = || {
        clear(temp)?;
        let mut file = create_new(temp)?;
        file.write_all(text)?;
        file.sync_all()
    };
    write().context("write", temp)?;
    let put = || std::fs::rename(temp, path);
    match put() {
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
            clear(path).and_then(|()| put()).context("replace", path)
        }
        put => put.context("create", path),
    }
}

/// Makes way for a file of ours. A directory in its place is nobody's.
fn clear(path: &Path) -> io::Result<()> {
    match if_there(std::fs::remove_file(path)) {
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => std::fs::remove_dir_all(path),
        gone => gone.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drawing_is_true() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("deep/cache"));
        layout.prepare().unwrap();
        layout.prepare().unwrap();
        for name in ["locks", "manifests", "pins", "parts", "tmp", "trash"] {
            assert!(
                layout.root().join(".tfhub-fs/v1").join(name).is_dir(),
                "{name}"
            );
        }
        let tag = std::fs::read_to_string(layout.root().join(".tfhub-fs/CACHEDIR.TAG")).unwrap();
        assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55"));
    }

    #[test]
    fn our_own_directories_are_no_links() {
        for name in [".tfhub-fs", ".tfhub-fs/v1", ".tfhub-fs/v1/trash"] {
            let dir = tempfile::tempdir().unwrap();
            let kept = dir.path().join("kept");
            std::fs::create_dir(&kept).unwrap();
            let layout = Layout::new(dir.path().join("cache"));
            let link = layout.root().join(name);
            make_dirs(link.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(&kept, &link).unwrap();
            let error = layout.prepare().unwrap_err();
            assert!(
                matches!(&error, Error::NotADirectory { path } if *path == link),
                "{error}"
            );
            assert_eq!(std::fs::read_dir(&kept).unwrap().count(), 0, "{name}");
        }
    }

    #[test]
    fn a_later_version_is_refused_by_name_and_an_older_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().to_path_buf());
        for name in ["v0", "vx", "w9"] {
            make_dirs(&layout.root().join(".tfhub-fs").join(name)).unwrap();
        }
        layout.prepare().unwrap();
        make_dirs(&layout.root().join(".tfhub-fs").join("v12")).unwrap();
        let error = layout.prepare().unwrap_err();
        assert!(
            matches!(
                error,
                Error::NewerLayout {
                    version: 12,
                    known: 1,
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn replacing_is_all_or_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (temp, path) = (dir.path().join("t"), dir.path().join("p"));
        std::fs::write(&temp, "left over from somebody killed, and longer").unwrap();
        replace(&temp, &path, b"one").unwrap();
        replace(&temp, &path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert!(!temp.exists());
        assert!(replace(&temp, &dir.path().join("no/p"), b"x").is_err());
    }
}
