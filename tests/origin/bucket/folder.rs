//! A bucket whose objects are the files below a directory, as they are when it is asked.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::origin::body::Body;
use crate::origin::object::Object;

/// Where what has no name yet lies, below the directory.
const ASIDE: &str = ".tfhub-fs-uploads";

/// Length, inode, and times of the last write and change.
type Stamp = (u64, u64, [i64; 4]);

#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    known: Mutex<HashMap<String, Stamp>>,
    /// Generations given so far.
    count: AtomicU64,
}

impl Folder {
    pub fn new(root: &Path) -> Folder {
        fs::create_dir_all(root).unwrap();
        Folder {
            root: root.to_owned(),
            known: Mutex::default(),
            count: AtomicU64::new(1),
        }
    }

    /// What is new or another one since the last look, and all names that there are. `name` is what the log calls a key.
    pub fn look(&self, name: impl Fn(&str) -> String) -> (Vec<(String, Object)>, Vec<String>) {
        let mut found = Vec::new();
        collect(&self.root, "", &mut found);
        let mut known = self.known.lock().unwrap();
        let mut fresh = Vec::new();
        for (key, stamp) in &found {
            if known.insert(key.clone(), *stamp) == Some(*stamp) {
                continue;
            }
            let Ok(body) = Body::file(&self.root.join(key)) else {
                continue;
            };
            let generation = 1_760_794_213_000_000 + self.count.fetch_add(1, Ordering::SeqCst);
            fresh.push((key.clone(), Object::of(name(key), body, generation)));
        }
        let names = found.into_iter().map(|(key, _)| key);
        (fresh, names.collect())
    }

    /// Gives bytes a name at once; false if no file can be called so beside what is there.
    pub fn write(&self, key: &str, bytes: &[u8]) -> bool {
        let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.starts_with(ASIDE);
        let to = self.root.join(key);
        let written = || -> io::Result<()> {
            let aside = self.root.join(ASIDE);
            fs::create_dir_all(&aside)?;
            fs::create_dir_all(to.parent().unwrap())?;
            let mut file = tempfile::NamedTempFile::new_in(&aside)?;
            file.write_all(bytes)?;
            file.persist(&to)?;
            Ok(())
        };
        key.split('/').all(plain) && !key.contains(char::is_control) && written().is_ok()
    }

    /// Takes a file away, and the directories that it leaves empty.
    pub fn remove(&self, key: &str) {
        let path = self.root.join(key);
        fs::remove_file(&path).unwrap();
        let above = path.ancestors().skip(1);
        for dir in above.take_while(|dir| *dir != self.root) {
            if fs::remove_dir(dir).is_err() {
                break;
            }
        }
    }
}

fn collect(dir: &Path, above: &str, found: &mut Vec<(String, Stamp)>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let key = format!("{above}{name}");
        match entry.metadata() {
            _ if name == ASIDE => {}
            Ok(meta) if meta.is_dir() => collect(&entry.path(), &format!("{key}/"), found),
            Ok(meta) if meta.is_file() => {
                let times = [
                    meta.mtime(),
                    meta.mtime_nsec(),
                    meta.ctime(),
                    meta.ctime_nsec(),
                ];
                found.push((key, (meta.len(), meta.ino(), times)));
            }
            _ => {}
        }
    }
}
