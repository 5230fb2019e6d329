//! Open files and their bytes.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use parking_lot::RwLock;

use super::filling::{FillingFile, Try};
use super::nodes::Spot;
use super::{Answer, Buffer, Error, Tree};
use crate::cache::{Attr, FillFile, Filling, Found, Need, Sealed};
use crate::models::{Content, Disk, Model};
use crate::os::{blocking, fs};

/// How often a sealed copy that turns out damaged is fetched again within one open.
const HEAL: usize = 2;

/// A file that was opened: its handle for later calls, and how its bytes may be had.
pub struct Opened {
    /// The handle to give back in `read` and `close`.
    pub handle: u64,
    /// A complete file on the local disk, which the kernel may read by itself; `None` while filling.
    pub sealed: Option<Arc<SealedFile>>,
}

/// A complete file on the local disk.
pub struct SealedFile {
    /// The file.
    pub file: Arc<File>,
    /// Which one it is: device and inode.
    pub id: (u64, u64),
    size: u64,
    disk: Disk,
    /// Its path in the model, and the model, for messages.
    path: String,
    model: String,
}

/// An open file.
pub(super) enum OpenFile {
    /// Of a sealed model.
    Sealed(Arc<SealedFile>),
    /// Of a model that was filling when it was opened.
    Filling(Arc<FillingFile>),
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
        if let Some(Content::Filling(filling)) = model.here()
            && let Found::File(file) = filling.find(inside)
            && file.is_in_memory()
        {
            let opened = self.filling_file(model, &filling, file, inside);
            return Answer::Now(Ok(self.opened(opened)));
        }
        let (tree, model, inside) = (self.clone(), model.clone(), inside.clone());
        Answer::later(async move { tree.wait_open(model, node.path.clone(), inside).await })
    }

    /// Reads up to `size` bytes at `offset`; fewer only at the file's end.
    pub fn read(&self, handle: u64, offset: u64, size: usize) -> Answer<Buffer> {
        let Some(file) = self.shared.files.table.read().get(&handle).cloned() else {
            return Answer::Now(Err(Error::Stale));
        };
        let models = self.shared.models.clone();
        match &*file {
            OpenFile::Sealed(file) => {
                let size = wanted(file.size, offset, size);
                let mut buffer = Buffer::of(size);
                // Most of what is read was read ahead.
                if fs::read_cached(&file.file, &mut buffer, offset).is_ok() {
                    return Answer::Now(Ok(buffer));
                }
                let file = file.clone();
                Answer::later(async move {
                    let of_disk = file.clone();
                    let read = move || of_disk.read(buffer, offset);
                    models.on_disk(file.disk, &file.model, read).await?
                })
            }
            OpenFile::Filling(file) if file.is_in_memory() => match file.read_now(offset, size) {
                Try::Done(result) => Answer::Now(result),
                Try::Wait(_) => {
                    let file = file.clone();
                    Answer::later(async move { file.read(&models, offset, size).await })
                }
            },
            OpenFile::Filling(file) => {
                let file = file.clone();
                Answer::later(async move { file.read(&models, offset, size).await })
            }
        }
    }

    /// Closes an open file.
    pub fn close(&self, handle: u64) {
        let closed = self.shared.files.table.write().remove(&handle);
        let disk = match closed.as_deref() {
            Some(OpenFile::Sealed(file)) => file.disk,
            Some(OpenFile::Filling(file)) if !file.is_in_memory() => Disk::Cache,
            _ => return,
        };
        self.shared.models.leave_to_disk(disk, move || drop(closed));
    }

    async fn wait_open(
        self,
        model: Arc<Model>,
        path: String,
        inside: String,
    ) -> Result<Opened, Error> {
        let timeout = self.progress_timeout(model.handle());
        for _ in 0..=HEAL {
            let content = model.content().await?;
            let disk = match &content {
                Content::Filling(filling) => {
                    timeout.until(filling, Need::Name(inside.clone())).await?;
                    Disk::Cache
                }
                Content::Sealed(sealed) => self.shared.models.disk_of(sealed.dir()),
            };
            let (tree, of_disk) = (self.clone(), model.clone());
            let (path, inside) = (path.clone(), inside.clone());
            let open = move || tree.open_here(&of_disk, &content, &path, &inside);
            let opened = self.shared.models.on_disk(disk, model.handle(), open);
            if let Some(opened) = opened.await? {
                return opened.map(|file| self.opened(file));
            }
        }
        Err(Error::disk(&inside, io::ErrorKind::NotFound.into()))
    }

    /// Opens from what is here; `None` when it has to be waited for, or was found damaged. May wait for the disk.
    fn open_here(
        &self,
        model: &Arc<Model>,
        content: &Content,
        path: &str,
        inside: &str,
    ) -> Option<Result<OpenFile, Error>> {
        match content {
            Content::Sealed(sealed) => self.open_sealed(model, sealed, path, inside),
            Content::Filling(filling) => match filling.find(inside) {
                Found::File(file) => Some(match file.complete() {
                    Some(whole) => self.complete_file(model, whole, file.size(), inside),
                    None => Ok(self.filling_file(model, filling, file, inside)),
                }),
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

    fn open_sealed(
        &self,
        model: &Arc<Model>,
        sealed: &Arc<Sealed>,
        path: &str,
        inside: &str,
    ) -> Option<Result<OpenFile, Error>> {
        let (size, mtime) = match sealed.find(inside) {
            None => return Some(Err(Error::absent())),
            Some(Attr::Dir { .. }) => return Some(Err(Error::IsDirectory)),
            Some(Attr::File { size, mtime }) => (size, mtime),
        };
        match open_whole(model, sealed, inside, (size, mtime)) {
            Ok((file, id)) => {
                model.record_open();
                Some(Ok(OpenFile::Sealed(Arc::new(SealedFile {
                    file: Arc::new(file),
                    id,
                    size,
                    disk: self.shared.models.disk_of(sealed.dir()),
                    path: inside.to_owned(),
                    model: model.handle().url(),
                }))))
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

    /// A file that has all its bytes, of a model that has not.
    fn complete_file(
        &self,
        model: &Arc<Model>,
        file: Arc<File>,
        size: u64,
        inside: &str,
    ) -> Result<OpenFile, Error> {
        let meta = file.metadata();
        let meta = meta.map_err(|cause| Error::disk(inside, cause))?;
        Ok(OpenFile::Sealed(Arc::new(SealedFile {
            id: (meta.dev(), meta.ino()),
            file,
            size,
            disk: Disk::Cache,
            path: inside.to_owned(),
            model: model.handle().url(),
        })))
    }

    fn filling_file(
        &self,
        model: &Arc<Model>,
        filling: &Arc<Filling>,
        file: Arc<FillFile>,
        inside: &str,
    ) -> OpenFile {
        OpenFile::Filling(Arc::new(FillingFile::new(
            filling.clone(),
            inside,
            model.handle().url(),
            self.progress_timeout(model.handle()),
            file,
        )))
    }

    fn opened(&self, file: OpenFile) -> Opened {
        let sealed = match &file {
            OpenFile::Sealed(file) => Some(file.clone()),
            OpenFile::Filling(_) => None,
        };
        let handle = self.shared.files.insert(file);
        Opened { handle, sealed }
    }
}

impl SealedFile {
    /// Exactly what `buffer` holds, which lies within the file as it was sealed: fewer bytes are an error, never a short answer.
    fn read(&self, mut buffer: Buffer, offset: u64) -> Result<Buffer, Error> {
        blocking::may_wait();
        let read = self.file.read_exact_at(&mut buffer, offset);
        read.map_err(|cause| Error::disk(&self.path, cause))?;
        Ok(buffer)
    }
}

/// Opens a file of a sealed model; `InvalidData` if it is not as it was when the model was found whole.
fn open_whole(
    model: &Model,
    sealed: &Sealed,
    inside: &str,
    was: (u64, SystemTime),
) -> io::Result<(File, (u64, u64))> {
    let file = sealed.open(inside)?;
    let found = file.metadata()?;
    if model.is_suspect() || !found.is_file() || (found.len(), found.modified()?) != was {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok((file, (found.dev(), found.ino())))
}

/// How much of a request lies within the file.
pub(super) fn wanted(file: u64, offset: u64, size: usize) -> usize {
    usize::try_from(file.saturating_sub(offset)).map_or(size, |left| left.min(size))
}

/// Whether an error means that a file of a sealed model is gone or not what was sealed: ELOOP, that a link is in its place.
fn is_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::InvalidData | io::ErrorKind::NotADirectory
    ) || error.raw_os_error() == Some(libc::ELOOP)
}
