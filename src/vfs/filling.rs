//! A file of a filling model, as one reader sees it.

use std::fs::File;
use std::sync::Arc;

use parking_lot::Mutex;

use super::buffer::Buffer;
use super::error::Error;
use super::files::wanted;
use crate::cache::{Failure, FillFile, Filling, Found, Need, ReadAt};
use crate::models::{self, Disk, Models, ProgressTimeout};

/// The open file, from its open to its close.
pub struct FillingFile {
    filling: Arc<Filling>,
    path: String,
    handle: String,
    timeout: ProgressTimeout,
    copy: Mutex<Copy>,
}

/// The copy of a file that a reader is at; an archive may replace it by a later one.
#[derive(Clone)]
struct Copy {
    file: Arc<FillFile>,
    /// Kept open while the reader has it open, so that reads need not open it anew.
    _held: Option<Arc<File>>,
    /// Whether bytes of it have been given out.
    touched: bool,
}

/// What became of one try to read.
pub enum Try {
    /// The bytes, or why not.
    Done(Result<Buffer, Error>),
    /// Not yet.
    Wait(Need),
}

impl Copy {
    fn of(file: Arc<FillFile>) -> Copy {
        Copy {
            _held: file.open().ok(),
            file,
            touched: false,
        }
    }
}

impl FillingFile {
    /// `file` is what `path` is in `filling` now; `handle` is the model's, for messages.
    pub fn new(
        filling: Arc<Filling>,
        path: &str,
        handle: String,
        timeout: ProgressTimeout,
        file: Arc<FillFile>,
    ) -> FillingFile {
        FillingFile {
            filling,
            path: path.to_owned(),
            handle,
            timeout,
            copy: Mutex::new(Copy::of(file)),
        }
    }

    /// The bytes, if they are here. May wait for the disk, unless they are in memory.
    ///
    /// The copy is marked as touched before its bytes are given out, and changed only while it is not: both under the
    /// lock, so that no reader ever gets bytes of two copies.
    pub fn read_now(&self, offset: u64, size: usize) -> Try {
        loop {
            let file = self.copy.lock().file.clone();
            let wanted = wanted(file.size(), offset, size);
            let mut buffer = Buffer::of(wanted);
            match file.read_at(offset, &mut buffer) {
                ReadAt::Ready(count) => {
                    let mut copy = self.copy.lock();
                    if !Arc::ptr_eq(&copy.file, &file) {
                        continue;
                    }
                    copy.touched |= count > 0;
                    buffer.truncate(count);
                    return Try::Done(Ok(buffer));
                }
                ReadAt::NotYet => return Try::Wait(bytes(file, offset, size)),
                ReadAt::Replaced => {
                    if let Some(end) = self.next_copy(&file) {
                        return end;
                    }
                }
                ReadAt::Failed(why) => return Try::Done(Err(self.failed(&why))),
                ReadAt::Io(cause) => return Try::Done(Err(Error::disk(&self.path, cause))),
            }
        }
    }

    /// Goes on to the copy that replaced `earlier`; `None` if it is there to be read.
    fn next_copy(&self, earlier: &Arc<FillFile>) -> Option<Try> {
        let found = self.filling.find(&self.path);
        // Opened without the lock.
        let newer = match &found {
            Found::File(newer) => Some(Copy::of(newer.clone())),
            _ => None,
        };
        let mut copy = self.copy.lock();
        if !Arc::ptr_eq(&copy.file, earlier) {
            return None;
        }
        let path = self.path.clone();
        if copy.touched {
            return Some(Try::Done(Err(Error::Replaced { path })));
        }
        if let Some(newer) = newer {
            let earlier = std::mem::replace(&mut *copy, newer);
            drop(copy);
            drop(earlier); // and closed
            return None;
        }
        Some(match found {
            // The earlier copy has gone and the later one is being made.
            Found::NotYet => Try::Wait(Need::Name(path)),
            Found::Failed(why) => Try::Done(Err(self.failed(&why))),
            _ => Try::Done(Err(Error::Replaced { path })),
        })
    }

    /// Whether its bytes are in memory, and reading them waits for no disk.
    pub fn is_in_memory(&self) -> bool {
        self.copy.lock().file.is_in_memory()
    }

    /// Waits for the bytes.
    pub async fn read(
        self: Arc<FillingFile>,
        models: &Models,
        offset: u64,
        size: usize,
    ) -> Result<Buffer, Error> {
        loop {
            let file = self.clone();
            let read = move || file.read_now(offset, size);
            match models.on_disk(Disk::Cache, &self.handle, read).await? {
                Try::Done(result) => return result,
                Try::Wait(need) => self.timeout.until(&self.filling, need).await?,
            }
        }
    }

    fn failed(&self, why: &Failure) -> Error {
        models::Error::of_failure(why, &self.handle).into()
    }
}

fn bytes(file: Arc<FillFile>, offset: u64, size: usize) -> Need {
    let range = offset..offset.saturating_add(size as u64);
    Need::Bytes { file, range }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::cache::{Begin, Cache, Lead};
    use crate::handle::Handle;

    const PATH: &str = "assets/vocab.txt";

    fn lead(dir: &std::path::Path) -> Lead {
        match Cache::open(dir)
            .unwrap()
            .begin("https://tfhub.dev/google/x/1")
        {
            Ok(Begin::Lead(lead)) => lead,
            other => panic!("{other:?}"),
        }
    }

    fn opened(filling: &Arc<Filling>) -> Arc<FillingFile> {
        let Found::File(file) = filling.find(PATH) else {
            panic!("it is there");
        };
        let handle = Handle::parse("https://tfhub.dev/google/x/1").unwrap();
        let timeout = ProgressTimeout::new(&handle, Duration::from_secs(20));
        let opened = FillingFile::new(filling.clone(), PATH, handle.url(), timeout, file);
        Arc::new(opened)
    }

    /// Models whose cache is not this one, for their threads.
    fn models_in(dir: &std::path::Path) -> Models {
        models::testing::models(&dir.join("other"), Duration::from_secs(20))
    }

    fn put(filling: &Filling, bytes: &[u8]) {
        let size = bytes.len() as u64;
        let mut writer = filling.file(PATH, size, SystemTime::UNIX_EPOCH).unwrap();
        writer.write(bytes).unwrap();
        writer.end().unwrap();
    }

    #[tokio::test]
    async fn a_later_copy_is_read_by_who_has_read_nothing_of_the_earlier() {
        let dir = tempfile::tempdir().unwrap();
        let lead = lead(dir.path());
        let models = models_in(dir.path());
        let filling = lead.filling();
        put(&filling, b"earlier");
        let (touched, untouched) = (opened(&filling), opened(&filling));
        assert_eq!(*touched.clone().read(&models, 0, 3).await.unwrap(), *b"ear");
        assert_eq!(
            *untouched.clone().read(&models, 7, 3).await.unwrap(),
            *b"",
            "the end is no bytes"
        );
        put(&filling, b"the later copy");
        assert_eq!(
            *untouched.clone().read(&models, 4, 5).await.unwrap(),
            *b"later"
        );
        let error = touched.clone().read(&models, 3, 3).await.unwrap_err();
        assert!(matches!(error, Error::Replaced { .. }), "{error:?}");
    }

    #[tokio::test]
    async fn a_reader_waits_for_the_copy_that_replaces_the_one_it_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let lead = lead(dir.path());
        let models = models_in(dir.path());
        let filling = lead.filling();
        let unfinished = filling.file(PATH, 5, SystemTime::UNIX_EPOCH).unwrap();
        let reader = opened(&filling);
        assert!(matches!(
            reader.read_now(0, 5),
            Try::Wait(Need::Bytes { .. })
        ));
        let read = tokio::spawn(async move { reader.clone().read(&models, 0, 5).await });
        tokio::task::yield_now().await;
        drop(unfinished);
        put(&filling, b"later");
        assert_eq!(*read.await.unwrap().unwrap(), *b"later");
    }

    #[tokio::test]
    async fn a_failed_filling_tells_why() {
        let dir = tempfile::tempdir().unwrap();
        let lead = lead(dir.path());
        let models = models_in(dir.path());
        let filling = lead.filling();
        put(&filling, b"bytes");
        let reader = opened(&filling);
        let handle = "https://tfhub.dev/google/x/1".to_owned();
        filling.fail(Arc::new(models::Error::Lost { handle }));
        let error = reader.clone().read(&models, 0, 5).await.unwrap_err();
        assert!(
            matches!(error, Error::Model(models::Error::Lost { .. })),
            "{error:?}"
        );
    }
}
