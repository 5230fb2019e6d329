//! Open files and their bytes.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use parking_lot::RwLock;

use super::filling::{FillingFile, Try};
use super::nodes::Spot;
use super::{Answer, Buffer, Error, Tree};
use crate::cache::{Attr, FillFile, Filling, Found, Need, Sealed};
use crate::models::{Content, Model};

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
pub(super) enum OpenFile {
    /// Of a sealed model.
    Sealed {
        /// The file on the local disk.
        file: Arc<File>,
        /// Its size when it was sealed.
        size: u64,
        /// Its path in the model, for messages.
        path: String,
    },
    /// Of a model that was filling when it was opened.
    Filling(FillingFile),
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
        let Spot::Model { model, inside } = &node.spot else {
            return Answer::Now(Err(Error::IsDirectory));
        };
        if model.is_outdated() {
            // The kernel looks the name up again, and gets what the bucket has now.
            return Answer::Now(Err(Error::Stale));
        }
        if let Some(content) = model.here()
            && let Some(opened) = self.open_here(model, &content, &node.path, inside)
        {
            return Answer::Now(opened);
        }
        let (tree, model, inside) = (self.clone(), model.clone(), inside.clone());
        Answer::later(async move { tree.wait_open(model, node.path.clone(), inside).await })
    }

    /// Reads up to `size` bytes at `offset`; fewer only at the file's end.
    pub fn read(&self, handle: u64, offset: u64, size: usize) -> Answer<Buffer> {
        let Some(file) = self.shared.files.table.read().get(&handle).cloned() else {
            return Answer::Now(Err(Error::Stale));
        };
        match &*file {
            OpenFile::Sealed {
                file,
                size: whole,
                path,
            } => {
                let read = read_whole(file, offset, wanted(*whole, offset, size));
                Answer::Now(read.map_err(|cause| Error::disk(path, cause)))
            }
            OpenFile::Filling(filling) => match filling.read_now(offset, size) {
                Try::Done(result) => Answer::Now(result),
                Try::Wait(_) => Answer::later(async move {
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
        let closed = self.shared.files.table.write().remove(&handle);
        // close(2) without the lock.
        drop(closed);
    }

    async fn wait_open(
        self,
        model: Arc<Model>,
        path: String,
        inside: String,
    ) -> Result<Opened, Error> {
        let patience = self.patience(model.handle());
        for _ in 0..=HEAL {
            let content = model.content().await?;
            if let Content::Filling(filling) = &content {
                patience.until(filling, Need::Name(inside.clone())).await?;
            }
            if let Some(opened) = self.open_here(&model, &content, &path, &inside) {
                return opened;
            }
        }
        Err(Error::disk(&inside, io::ErrorKind::NotFound.into()))
    }

    /// Opens from what is here; `None` when it has to be waited for, or was found damaged.
    fn open_here(
        &self,
        model: &Arc<Model>,
        content: &Content,
        path: &str,
        inside: &str,
    ) -> Option<Result<Opened, Error>> {
        match content {
            Content::Sealed(sealed) => match sealed.find(inside) {
                None => Some(Err(Error::absent())),
                Some(Attr::Dir { .. }) => Some(Err(Error::IsDirectory)),
                Some(Attr::File { size, mtime }) => {
                    match open_whole(model, sealed, inside, (size, mtime)) {
                        Ok(file) => {
                            model.is_opened();
                            Some(Ok(self.opened_sealed(Arc::new(file), size, inside)))
                        }
                        Err(error) if is_damage(&error) => {
                            model.damaged(sealed, inside);
                            let root = path.strip_suffix(inside).unwrap_or(path);
                            self.invalidate_model(root.trim_end_matches('/'));
                            None
                        }
                        Err(error) => Some(Err(Error::disk(inside, error))),
                    }
                }
            },
            Content::Filling(filling) => match filling.find(inside) {
                Found::File(file) => Some(Ok(match file.complete() {
                    Some(whole) => self.opened_sealed(whole, file.size(), inside),
                    None => self.opened_filling(model, filling, file, inside),
                })),
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

    fn opened_sealed(&self, file: Arc<File>, size: u64, inside: &str) -> Opened {
        let handle = self.shared.files.insert(OpenFile::Sealed {
            file: file.clone(),
            size,
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
        let handle = self.shared.files.insert(OpenFile::Filling(FillingFile::new(
            filling.clone(),
            inside,
            model.handle().url(),
            self.patience(model.handle()),
            file,
        )));
        Opened {
            handle,
            sealed: None,
        }
    }
}

/// Opens a file of a sealed model; `InvalidData` if it is not as it was when the model was found whole.
fn open_whole(
    model: &Model,
    sealed: &Sealed,
    inside: &str,
    was: (u64, SystemTime),
) -> io::Result<File> {
    let file = sealed.open(inside)?;
    let found = file.metadata()?;
    if model.is_suspect() || !found.is_file() || (found.len(), found.modified()?) != was {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(file)
}

/// How much of a request lies within the file.
pub(super) fn wanted(file: u64, offset: u64, size: usize) -> usize {
    usize::try_from(file.saturating_sub(offset)).map_or(size, |left| left.min(size))
}

/// Exactly `size` bytes, which lie within the file as it was sealed: fewer are an error, never a short answer.
fn read_whole(file: &File, offset: u64, size: usize) -> io::Result<Buffer> {
    let mut buffer = Buffer::of(size);
    file.read_exact_at(&mut buffer, offset)?;
    Ok(buffer)
}

/// Whether an error means that a file of a sealed model is gone or not what was sealed: ELOOP, that a link is in its place.
fn is_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::InvalidData | io::ErrorKind::NotADirectory
    ) || error.raw_os_error() == Some(libc::ELOOP)
}
