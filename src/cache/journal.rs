//! What the filler of an archive tells the processes that follow it.
//!
//! A file of JSON lines, which lives as long as the filler holds the model's lock. It says which names there are and how long
//! the files will be; how far they are is told by their lengths, because they are only ever appended to. A file is made
//! before its line is written, and a file is said to be gone before it is removed: whoever opens a file by its name and then
//! finds no such line has opened the right one.
//!
//! Only processes of one boot of one host follow each other: elsewhere (NFS) a file's length may be seen before its bytes.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::error::{Context, Error, if_there};
use super::heard::Heard;
use super::layout::create_new;
use super::plain;
use crate::os;

/// The longest line, and all of them: more than the limits of an archive allow.
const MAX_LINE: usize = 64 << 10;
const MAX_JOURNAL: u64 = 256 << 20;

/// How much is read at once.
const PIECE: usize = 64 << 10;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Event {
    /// The first one: a filling has begun.
    Fill {
        /// Of its staging directory.
        uid: String,
        /// The boot of the host that it happens on.
        boot: String,
    },
    /// What is fetched, before anything else of it. Two that are told the same identity bring the same bytes.
    From {
        /// A checksum or a validator of all of it, if the origin gives one.
        identity: Option<String>,
    },
    /// A directory, or another time of one. "" is the model itself.
    Dir {
        /// In the model.
        path: String,
        /// In nanoseconds since 1970.
        mtime: i64,
    },
    /// A file has begun.
    File {
        /// In the model.
        path: String,
        /// In bytes, when it is complete.
        size: u64,
        /// In nanoseconds since 1970.
        mtime: i64,
    },
    /// A file is about to be removed, because a later one has its name.
    Gone {
        /// In the model.
        path: String,
    },
    /// There are no other names.
    Named,
    /// Everything has come and is being verified and made durable; told again and again while that lasts.
    Sealing,
    /// The bytes so far are not to be trusted, and nothing else comes.
    Failed {
        /// For people.
        why: String,
    },
}

/// The filler's end.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    broken: AtomicBool,
}

impl Journal {
    /// Replaces what an earlier filler may have left at `path`.
    pub(super) fn create(path: &Path, uid: &str) -> Result<Journal, Error> {
        let boot = os::host::boot_id().context("read", "the number of this boot")?;
        if_there(std::fs::remove_file(path)).context("replace", path)?;
        let file = create_new(path).context("create", path)?;
        let journal = Journal {
            path: path.to_owned(),
            file,
            broken: AtomicBool::new(false),
        };
        journal.tell(&Event::Fill {
            uid: uid.to_owned(),
            boot,
        });
        Ok(journal)
    }

    /// Adds a line. One that cannot be written is the last, and the file is cut off: who follows trusts nothing that was
    /// told then, and waits for the end of the filling.
    pub(super) fn tell(&self, event: &Event) {
        if self.broken.load(Ordering::Relaxed) {
            return;
        }
        let line = serde_json::to_vec(event).map_err(io::Error::other);
        let told = line.and_then(|mut line| {
            line.push(b'\n');
            (&self.file).write_all(&line)
        });
        if let Err(error) = told {
            tracing::debug!(%error, "other processes cannot be told how a filling goes on");
            self.broken.store(true, Ordering::Relaxed);
            let _ = self.file.set_len(0); // takes no room
        }
        if let Event::Failed { .. } = event {
            self.end();
        }
    }

    /// Removes the file: nobody begins to follow any more. To be called while the model's lock is held.
    pub(super) fn end(&self) {
        if let Err(error) = if_there(std::fs::remove_file(&self.path)) {
            tracing::debug!(%error, "cannot remove what other processes were told");
        }
    }
}

/// The follower's end.
#[derive(Debug)]
pub(super) struct Told {
    path: PathBuf,
    heard: Arc<Heard>,
    read: u64,
    /// Bytes read; those from `at` on are no event yet.
    bytes: Vec<u8>,
    at: usize,
    over: bool,
}

impl Told {
    pub(super) fn open(path: &Path) -> io::Result<Told> {
        Ok(Told {
            path: path.to_owned(),
            heard: Arc::new(Heard::new(plain::open_trusted(path)?)),
            read: 0,
            bytes: Vec::new(),
            at: 0,
            over: false,
        })
    }

    /// Says that the lines so far have been taken in, with all that follows from them.
    pub(super) fn is_heard(&self) {
        let left = self.bytes.len() - self.at;
        self.heard.is_heard(self.read - left as u64);
    }

    pub(super) fn heard(&self) -> &Arc<Heard> {
        &self.heard
    }

    /// Whether another filler writes another journal now.
    pub(super) fn is_replaced(&self) -> bool {
        let of = |meta: io::Result<std::fs::Metadata>| meta.map(|meta| (meta.dev(), meta.ino()));
        match (
            of(self.heard.file().metadata()),
            of(std::fs::symlink_metadata(&self.path)),
        ) {
            (Ok(ours), Ok(named)) => ours != named,
            _ => false,
        }
    }

    /// The next line, if it is there. What is no line of ours is the last.
    pub(super) fn next(&mut self) -> Option<Event> {
        while !self.over {
            let left = self.bytes.get(self.at..).unwrap_or_default();
            if let Some(end) = left.iter().position(|byte| *byte == b'\n') {
                let event = serde_json::from_slice(left.get(..end).unwrap_or_default());
                self.at += end + 1;
                self.over |= event.is_err();
                return event.ok();
            }
            self.bytes.drain(..self.at);
            self.at = 0;
            let piece = self.heard.file().take(PIECE as u64);
            let got = { piece }.read_to_end(&mut self.bytes).unwrap_or(0);
            self.read += got as u64;
            self.over |= self.bytes.len() > MAX_LINE + PIECE || self.read > MAX_JOURNAL;
            if got == 0 {
                break;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(lines: &[u8]) -> (tempfile::TempDir, Told) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        std::fs::write(&path, lines).unwrap();
        let told = Told::open(&path).unwrap();
        (dir, told)
    }

    #[test]
    fn what_is_told_is_heard_as_it_comes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let journal = Journal::create(&path, "u1").unwrap();
        let mut told = Told::open(&path).unwrap();
        let (uid, boot) = ("u1".to_owned(), os::host::boot_id().unwrap());
        assert_eq!(told.next(), Some(Event::Fill { uid, boot }));
        assert_eq!(told.next(), None);
        let file = Event::File {
            path: "a \"\n/ü".to_owned(),
            size: 1,
            mtime: -5,
        };
        journal.tell(&file);
        journal.tell(&Event::Named);
        assert_eq!(told.next(), Some(file));
        assert_eq!(told.next(), Some(Event::Named));
        assert_eq!(told.next(), None);
        assert!(!told.is_replaced());
        let _later = Journal::create(&path, "u2").unwrap();
        assert!(told.is_replaced());
    }

    #[test]
    fn half_a_line_is_waited_for() {
        let (_dir, mut told) = written(b"\"nam");
        assert_eq!(told.next(), None);
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .open(&told.path)
            .unwrap();
        file.write_all(b"ed\"\n").unwrap();
        assert_eq!(told.next(), Some(Event::Named));
    }

    #[test]
    fn garbage_is_the_end() {
        for garbage in [
            &b"\xff\xfe\n\"named\"\n"[..],
            b"{\"file\":{}}\n\"named\"\n",
            b"\n\"named\"\n",
            &[0; 3 * PIECE],
        ] {
            let (_dir, mut told) = written(garbage);
            assert_eq!(told.next(), None);
            assert_eq!(told.next(), None);
        }
    }
}
