//! Open files and their bytes.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use super::nodes::Spot;
use super::{Answer, Error, Tree};
use crate::models::{Content, Model, Patience};
use crate::store::{Attr, FillFile, Filling, Found, Need, ReadAt, Sealed};

/// How often a sealed copy that turns out damaged is fetched again within one open.
const HEAL: usize = 2;

/// A file that was opened: its handle for later calls, and how its bytes may be had.
pub struct Opened {
    /// The handle to give back in `read` and `close`.
    pub handle: u64,
    /// A complete file on the local disk, which the kernel may read by itself; `None` while filling.
    pub sealed: Option<Arc<File>>,
}

/// An open file.
pub enum OpenFile {
    /// Of a sealed model.
    Sealed {
        /// The file on the local disk.
        file: Arc<File>,
        /// Its path in the model, for messages.
        path: String,
    },
    /// Of a model that was filling when it was opened.
    Filling(FillingFile),
}

/// A file of a filling model, as one reader sees it.
pub struct FillingFile {
    filling: Arc<Filling>,
    path: String,
    handle: String,
    patience: Patience,
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

impl Copy {
    fn of(file: Arc<FillFile>) -> Copy {
        Copy {
            _held: file.open().ok(),
            file,
            touched: false,
        }
    }
}

/// The table of open files.
#[derive(Default)]
pub(super) struct OpenFiles {
    next: AtomicU64,
    table: RwLock<HashMap<u64, Arc<OpenFile>>>,
}

impl OpenFiles {
    pub fn count(&self) -> usize {
        self.table.read().len()
    }

    fn insert(&self, file: OpenFile) -> u64 {
        let handle = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        self.table.write().insert(handle, Arc::new(file));
        handle
    }
}

impl Tree {
    /// Opens a file for reading.
    pub fn open(&self, number: u64) -> Answer<Opened> {
        let Some(node) = self.shared.nodes.get(number) else {
            return Answer::Now(Err(Error::Stale));
        };
        let Spot::Model { model, inside } = node.spot else {
            return Answer::Now(Err(Error::IsDirectory));
        };
        if let Some(content) = model.here()
            && let Some(opened) = self.open_here(&model, &content, &inside)
        {
            return Answer::Now(opened);
        }
        let tree = self.clone();
        Answer::later(async move { tree.wait_open(model, inside).await })
    }

    /// Reads up to `size` bytes at `offset`; fewer only at the file's end.
    pub fn read(&self, handle: u64, offset: u64, size: usize) -> Answer<Vec<u8>> {
        let Some(file) = self.shared.files.table.read().get(&handle).cloned() else {
            return Answer::Now(Err(Error::Stale));
        };
        match &*file {
            OpenFile::Sealed { file, path } => {
                Answer::Now(read_sealed(file, offset, size).map_err(|cause| disk(path, cause)))
            }
            OpenFile::Filling(filling) => match filling.read_now(offset, size) {
                Some(result) => Answer::Now(result),
                None => Answer::later(async move {
                    match &*file {
                        OpenFile::Filling(filling) => filling.read(offset, size).await,
                        OpenFile::Sealed { .. } => Err(Error::Stale),
                    }
                }),
            },
        }
    }

    /// Closes an open file.
    pub fn close(&self, handle: u64) {
        self.shared.files.table.write().remove(&handle);
    }

    async fn wait_open(self, model: Arc<Model>, inside: String) -> Result<Opened, Error> {
        let patience = self.patience(model.handle());
        for _ in 0..=HEAL {
            let content = model.content().await?;
            if let Content::Filling(filling) = &content {
                patience.until(filling, Need::Name(inside.clone())).await?;
            }
            if let Some(opened) = self.open_here(&model, &content, &inside) {
                return opened;
            }
        }
        Err(Error::absent())
    }

    /// Opens from what is here; `None` when it has to be waited for, or was found damaged.
    fn open_here(
        &self,
        model: &Arc<Model>,
        content: &Content,
        inside: &str,
    ) -> Option<Result<Opened, Error>> {
        match content {
            Content::Sealed(sealed) => match sealed.find(inside) {
                None => Some(Err(Error::absent())),
                Some(Attr::Dir { .. }) => Some(Err(Error::IsDirectory)),
                Some(Attr::File { size, .. }) => match open_whole(sealed, inside, size) {
                    Ok(file) => Some(Ok(self.opened_sealed(file, inside))),
                    Err(error) if is_damage(&error) => {
                        model.damaged(sealed, inside);
                        None
                    }
                    Err(error) => Some(Err(disk(inside, error))),
                },
            },
            Content::Filling(filling) => match filling.find(inside) {
                Found::File(file) => Some(Ok(self.opened_filling(model, filling, file, inside))),
                Found::Dir { .. } => Some(Err(Error::IsDirectory)),
                Found::Absent => Some(Err(Error::absent())),
                Found::NotYet => None,
                Found::Failed(why) => {
                    let url = model.handle().url();
                    Some(Err(crate::models::Error::of_failure(&why, &url).into()))
                }
            },
        }
    }

    fn opened_sealed(&self, file: File, inside: &str) -> Opened {
        let file = Arc::new(file);
        let handle = self.shared.files.insert(OpenFile::Sealed {
            file: file.clone(),
            path: inside.to_owned(),
        });
        Opened {
            handle,
            sealed: Some(file),
        }
    }

    fn opened_filling(
        &self,
        model: &Arc<Model>,
        filling: &Arc<Filling>,
        file: Arc<FillFile>,
        inside: &str,
    ) -> Opened {
        let handle = self.shared.files.insert(OpenFile::Filling(FillingFile {
            filling: filling.clone(),
            path: inside.to_owned(),
            handle: model.handle().url(),
            patience: self.patience(model.handle()),
            copy: Mutex::new(Copy::of(file)),
        }));
        Opened {
            handle,
            sealed: None,
        }
    }
}

impl FillingFile {
    /// The bytes, if they are on the disk.
    fn read_now(&self, offset: u64, size: usize) -> Option<Result<Vec<u8>, Error>> {
        let Copy { file, touched, .. } = self.copy.lock().clone();
        let mut buffer = vec![0; wanted(file.size(), offset, size)];
        match file.read_at(offset, &mut buffer) {
            ReadAt::Ready(count) => {
                buffer.truncate(count);
                if count > 0 && !touched {
                    self.copy.lock().touched = true;
                }
                Some(Ok(buffer))
            }
            ReadAt::NotYet => None,
            ReadAt::Replaced if touched => Some(Err(Error::Replaced {
                path: self.path.clone(),
            })),
            ReadAt::Replaced => match self.filling.find(&self.path) {
                Found::File(newer) => {
                    *self.copy.lock() = Copy::of(newer);
                    self.read_now(offset, size)
                }
                _ => Some(Err(Error::Stale)),
            },
            ReadAt::Failed(why) => Some(Err(
                crate::models::Error::of_failure(&why, &self.handle).into()
            )),
            ReadAt::Io(cause) => Some(Err(disk(&self.path, cause))),
        }
    }

    async fn read(&self, offset: u64, size: usize) -> Result<Vec<u8>, Error> {
        loop {
            if let Some(result) = self.read_now(offset, size) {
                return result;
            }
            let file = self.copy.lock().file.clone();
            let range = offset..offset.saturating_add(size as u64);
            let need = Need::Bytes { file, range };
            self.patience.until(&self.filling, need).await?;
        }
    }
}

/// Opens a file of a sealed model; `InvalidData` if it is not as long as it was sealed.
fn open_whole(sealed: &Sealed, inside: &str, size: u64) -> io::Result<File> {
    let file = sealed.open(inside)?;
    if file.metadata()?.len() != size {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(file)
}

/// How much of a request lies within the file.
fn wanted(file: u64, offset: u64, size: usize) -> usize {
    usize::try_from(file.saturating_sub(offset)).map_or(size, |left| left.min(size))
}

fn read_sealed(file: &File, offset: u64, size: usize) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; size];
    let mut filled = 0;
    while filled < size {
        match file.read_at(&mut buffer[filled..], offset + filled as u64)? {
            0 => break,
            count => filled += count,
        }
    }
    buffer.truncate(filled);
    Ok(buffer)
}

/// Whether an error means that a file of a sealed model is gone or not what was sealed.
fn is_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::InvalidData | io::ErrorKind::NotADirectory
    )
}

fn disk(path: &str, cause: io::Error) -> Error {
    Error::Disk {
        path: path.to_owned(),
        cause: Arc::new(cause),
    }
}
