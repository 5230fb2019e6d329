//! A directory that is held open, with what is in it: no name is looked up a second time on the way down.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, FileType, OFlags, Stat, fstat, statat};
use rustix::io::Errno;

use super::{beneath, fs};

/// An open directory and its entries.
#[derive(Debug)]
pub struct Dir(rustix::fs::Dir);

/// A name in a directory, without `.` and `..`. What it stands for was looked at without following a link.
#[derive(Debug)]
pub struct Entry {
    /// The last component.
    pub name: OsString,
    /// What it stands for.
    pub kind: Kind,
    /// In bytes.
    pub size: u64,
    /// What it takes of the disk, in bytes.
    pub allocated: u64,
    /// When it was last written.
    pub mtime: SystemTime,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Dir,
    /// A plain file.
    File,
    /// A link, a FIFO, a device.
    Other,
}

impl Dir {
    /// Opens the directory `path`; see [`beneath::top`].
    ///
    /// # Errors
    ///
    /// As [`beneath::top`].
    pub fn top(path: &Path) -> io::Result<Dir> {
        Dir::of(beneath::top(path)?)
    }

    /// Opens the directory `name` below this one, following no link.
    ///
    /// # Errors
    ///
    /// Those of openat2(2): ELOOP or ENOTDIR for a link.
    pub fn below(&self, name: &Path) -> io::Result<Dir> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        Dir::of(fs::open_in(self.0.fd()?, name, flags, 0)?)
    }

    /// The entries of an open directory, from where its offset is.
    pub(super) fn of(dir: File) -> io::Result<Dir> {
        Ok(Dir(rustix::fs::Dir::new(dir)?))
    }

    /// When the directory itself was last changed.
    ///
    /// # Errors
    ///
    /// The disk failed.
    pub fn mtime(&self) -> io::Result<SystemTime> {
        Ok(mtime(&fstat(self.0.fd()?)?))
    }
}

impl Iterator for Dir {
    type Item = io::Result<Entry>;

    /// The next entry. One that vanishes in this moment is passed over.
    fn next(&mut self) -> Option<io::Result<Entry>> {
        loop {
            let listed = match self.0.next()? {
                Ok(listed) => listed,
                Err(errno) => return Some(Err(errno.into())),
            };
            let name = match listed.file_name().to_bytes() {
                b"." | b".." => continue,
                name => Path::new(OsStr::from_bytes(name)),
            };
            match self.0.fd().and_then(|dir| entry(dir, name)) {
                Err(Errno::NOENT) => {}
                found => return Some(found.map_err(io::Error::from)),
            }
        }
    }
}

/// What has the name `name`, of one component, in an open directory.
pub(super) fn entry(dir: impl AsFd, name: &Path) -> rustix::io::Result<Entry> {
    let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(Entry {
        name: name.as_os_str().to_owned(),
        kind: match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Kind::Dir,
            FileType::RegularFile => Kind::File,
            _ => Kind::Other,
        },
        size: u64::try_from(stat.st_size).unwrap_or(0),
        allocated: u64::try_from(stat.st_blocks).unwrap_or(0) * 512,
        mtime: mtime(&stat),
    })
}

fn mtime(stat: &Stat) -> SystemTime {
    let since = Duration::from_secs(stat.st_mtime.unsigned_abs());
    let second = match stat.st_mtime < 0 {
        true => UNIX_EPOCH.checked_sub(since),
        false => UNIX_EPOCH.checked_add(since),
    };
    let nanos = Duration::from_nanos(stat.st_mtime_nsec);
    second
        .and_then(|at| at.checked_add(nanos))
        .unwrap_or(UNIX_EPOCH)
}

/// The sum of `count` over all that is in the directory `path` and below it, and is no directory; what cannot be read counts
/// nothing, and no link is followed but as [`beneath::top`] does.
pub fn sum(path: &Path, count: impl Fn(&Entry) -> u64) -> u64 {
    let Ok(mut top) = Dir::top(path) else {
        return 0;
    };
    let mut bytes = 0u64;
    let mut left = Vec::new();
    let mut add = |dir: &mut Dir, parent: &Path, left: &mut Vec<PathBuf>| {
        for entry in dir.flatten() {
            match entry.kind {
                Kind::Dir => left.push(parent.join(entry.name)),
                Kind::File | Kind::Other => bytes = bytes.saturating_add(count(&entry)),
            }
        }
    };
    add(&mut top, Path::new(""), &mut left);
    while let Some(parent) = left.pop() {
        if let Ok(mut dir) = top.below(&parent) {
            add(&mut dir, &parent, &mut left);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn entries_are_as_std_has_them() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        std::fs::write(dir.path().join("file"), vec![1; 5000]).unwrap();
        symlink("file", dir.path().join("link")).unwrap();
        let odd = std::time::UNIX_EPOCH - Duration::from_millis(1500);
        let file = File::options().write(true).open(dir.path().join("file"));
        file.unwrap().set_modified(odd).unwrap();
        let mut found: Vec<Entry> = Dir::top(dir.path()).unwrap().map(Result::unwrap).collect();
        found.sort_by(|one, other| one.name.cmp(&other.name));
        let kinds: Vec<_> = found.iter().map(|entry| entry.kind).collect();
        assert_eq!(kinds, [Kind::File, Kind::Other, Kind::Dir]);
        for entry in &found {
            let meta = std::fs::symlink_metadata(dir.path().join(&entry.name)).unwrap();
            assert_eq!(entry.mtime, meta.modified().unwrap());
            assert_eq!(entry.size, meta.len());
        }
        let itself = std::fs::metadata(dir.path()).unwrap().modified().unwrap();
        assert_eq!(Dir::top(dir.path()).unwrap().mtime().unwrap(), itself);
    }

    #[test]
    fn no_link_is_counted_through() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(outside.path().join("large"), vec![1; 5000]).unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/b/c"), "12345").unwrap();
        symlink(outside.path(), dir.path().join("a/link")).unwrap();
        let files = |entry: &Entry| u64::from(entry.kind == Kind::File) * entry.size;
        assert_eq!(sum(dir.path(), files), 5);
        assert!(
            Dir::top(dir.path())
                .unwrap()
                .below(Path::new("a/link"))
                .is_err()
        );
        assert_eq!(sum(&dir.path().join("none"), files), 0);
    }
}
