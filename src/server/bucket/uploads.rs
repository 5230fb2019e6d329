//! What is on its way into a bucket: files that have no name yet, and uploads in parts.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::header::{CONTENT_RANGE, RANGE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use futures_util::StreamExt;
use parking_lot::Mutex;

use super::fault::Fault;
use super::folder::{Condition, Folder};
use crate::server::{Error, blocking, transfer};

/// Uploads in parts at once, and how long one is kept that nothing comes for.
const MAX_UPLOADS: usize = 1000;
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// As many parts as an object may have.
const MAX_PARTS: u64 = 10_000;

/// A file without a name yet; deleted when it gets none.
#[derive(Debug)]
pub struct Aside {
    pub path: PathBuf,
    pub file: File,
    len: u64,
}

impl Drop for Aside {
    fn drop(&mut self) {
        // It is not there any more if it has got its name.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Aside {
    fn new(folder: &Folder) -> Result<Aside, Fault> {
        let (path, file) = folder
            .aside()
            .map_err(|e| failed(&PathBuf::from("an upload"), e))?;
        Ok(Aside { path, file, len: 0 })
    }
}

fn failed(path: &std::path::Path, error: io::Error) -> Fault {
    Fault::Failed(Error::read(path, error))
}

/// Takes a whole body in.
pub async fn receive(folder: &Folder, body: Body) -> Result<Aside, Fault> {
    append(Aside::new(folder)?, body, u64::MAX).await.0
}

/// Writes what comes to the end of a file, no more than `most` in all. What came before it broke off counts.
async fn append(mut aside: Aside, body: Body, most: u64) -> (Result<Aside, Fault>, bool) {
    let mut stream = body.into_data_stream();
    while let Some(bytes) = stream.next().await {
        let Ok(bytes) = bytes else {
            return (Ok(aside), false);
        };
        if aside.len + bytes.len() as u64 > most {
            let why = String::from("more bytes came than were announced");
            return (Err(Fault::Invalid(why)), false);
        }
        let written = blocking("an upload", move || {
            let written = aside.file.write_all(&bytes);
            written.map_err(|error| Error::read(&aside.path, error))?;
            aside.len += bytes.len() as u64;
            Ok(aside)
        });
        aside = match written.await {
            Ok(aside) => aside,
            Err(error) => return (Err(Fault::Failed(error)), false),
        };
    }
    (Ok(aside), true)
}

/// An upload in parts.
struct Upload {
    name: String,
    condition: Condition,
    at: Instant,
    /// Parts in order; absent while one is coming.
    grown: Option<Aside>,
    begun: bool,
    /// Parts in any order.
    parts: BTreeMap<u64, Aside>,
}

/// All uploads in parts of one bucket.
#[derive(Default)]
pub struct Uploads {
    open: Mutex<HashMap<String, Upload>>,
}

/// What a part has come to.
pub enum Told {
    /// More is to come.
    More(Response),
    /// This is all of it.
    Whole(String, Aside, Condition),
}

impl Uploads {
    /// A new one; its id.
    pub fn begin(&self, name: String, condition: Condition) -> Result<String, Fault> {
        let mut open = self.open.lock();
        open.retain(|_, upload| upload.at.elapsed() < KEPT);
        if open.len() >= MAX_UPLOADS {
            return Err(Fault::Invalid(String::from(
                "too many uploads are under way",
            )));
        }
        let random = || RandomState::new().hash_one(0);
        let id = format!("{:016x}{:016x}", random(), random());
        let upload = Upload {
            name,
            condition,
            at: Instant::now(),
            grown: None,
            begun: false,
            parts: BTreeMap::new(),
        };
        open.insert(id.clone(), upload);
        Ok(id)
    }

    /// There is nothing more to come.
    pub fn forget(&self, id: Option<&str>) {
        let gone = id.and_then(|id| self.open.lock().remove(id));
        drop(gone);
    }

    /// Takes the next part of a resumable upload, or tells how far it has come.
    pub async fn part(
        self: &Arc<Uploads>,
        folder: &Arc<Folder>,
        id: &str,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Told, Fault> {
        let range = headers
            .get(CONTENT_RANGE)
            .and_then(|value| value.to_str().ok());
        let (span, total) = match range {
            Some(range) => content_range(range)
                .ok_or_else(|| Fault::Invalid(String::from("Content-Range cannot be read")))?,
            None => (Some((0, u64::MAX)), None),
        };
        let (name, condition, grown) = self.take(id, folder)?;
        let (uploads, id) = (self.clone(), id.to_owned());
        let work = async move {
            uploads
                .grow(&id, (name, condition, grown), (span, total), body)
                .await
        };
        // A task of its own: a connection that breaks leaves what has come, and the place where the rest goes.
        let lost = |_| {
            Fault::Failed(Error::Changed {
                path: PathBuf::from("an upload"),
            })
        };
        tokio::spawn(work).await.map_err(lost)?
    }

    async fn grow(
        &self,
        id: &str,
        (name, condition, grown): (String, Condition, Aside),
        (span, total): Came,
        body: Body,
    ) -> Result<Told, Fault> {
        let (aside, whole) = match span {
            None => (grown, true),
            Some((first, last)) => {
                if first > grown.len {
                    let told = more(grown.len);
                    self.give_back(id, grown);
                    return Ok(Told::More(told));
                }
                // What is there already came before: it is passed over.
                let skip = grown.len - first;
                let most = last.saturating_add(1);
                let (aside, whole) = append(grown, skipped(body, skip), most).await;
                (aside?, whole)
            }
        };
        let all = match total {
            Some(total) => aside.len == total,
            None => whole && span == Some((0, u64::MAX)),
        };
        if all {
            return Ok(Told::Whole(name, aside, condition));
        }
        let told = more(aside.len);
        self.give_back(id, aside);
        Ok(Told::More(told))
    }

    fn take(&self, id: &str, folder: &Folder) -> Result<(String, Condition, Aside), Fault> {
        let mut open = self.open.lock();
        let none = || Fault::NoObject(String::from("upload"), id.to_owned());
        let upload = open.get_mut(id).ok_or_else(none)?;
        upload.at = Instant::now();
        let grown = match upload.grown.take() {
            Some(grown) => grown,
            None if !upload.begun => Aside::new(folder)?,
            // Another request has it.
            None => {
                return Err(Fault::Failed(Error::Changed {
                    path: PathBuf::from("an upload"),
                }));
            }
        };
        upload.begun = true;
        Ok((upload.name.clone(), upload.condition.clone(), grown))
    }

    fn give_back(&self, id: &str, grown: Aside) {
        if let Some(upload) = self.open.lock().get_mut(id) {
            upload.grown = Some(grown);
        }
    }

    /// Keeps a part of a multipart upload; its entity tag.
    pub fn keep(&self, id: &str, number: Option<u64>, part: Aside) -> Result<String, Fault> {
        let number = number.filter(|number| (1..=MAX_PARTS).contains(number));
        let number = number.ok_or_else(|| Fault::Invalid(String::from("Invalid partNumber.")))?;
        let tag = format!("\"{number}-{}\"", part.len);
        let mut open = self.open.lock();
        let none = || Fault::NoObject(String::from("upload"), id.to_owned());
        let upload = open.get_mut(id).ok_or_else(none)?;
        upload.at = Instant::now();
        let before = upload.parts.insert(number, part);
        drop((open, before));
        Ok(tag)
    }

    /// All parts that `body` lists, as one file.
    pub async fn join(&self, folder: &Arc<Folder>, id: &str, body: Body) -> Result<Aside, Fault> {
        let list = axum::body::to_bytes(body, 4 << 20).await;
        let list = list.map_err(|why| Fault::Invalid(why.to_string()))?;
        let listed = String::from_utf8_lossy(&list)
            .matches("<PartNumber>")
            .count();
        let none = || Fault::NoObject(String::from("upload"), id.to_owned());
        let parts = {
            let mut open = self.open.lock();
            let upload = open.get_mut(id).ok_or_else(none)?;
            if upload.parts.len() != listed || listed == 0 {
                return Err(Fault::Invalid(String::from(
                    "other parts are listed than came",
                )));
            }
            std::mem::take(&mut upload.parts)
        };
        let mut whole = Aside::new(folder)?;
        let joined = blocking("an upload", move || {
            for part in parts.values() {
                let mut file = &part.file;
                let copied = file
                    .seek(SeekFrom::Start(0))
                    .and_then(|_| io::copy(&mut file.take(part.len), &mut whole.file));
                whole.len += copied.map_err(|error| Error::read(&part.path, error))?;
            }
            Ok(whole)
        });
        joined.await.map_err(Fault::Failed)
    }
}

/// First and last byte of a part, and the size of the whole.
type Came = (Option<(u64, u64)>, Option<u64>);

/// `bytes 0-9/100`, `bytes */100`, `bytes 0-9/*`.
fn content_range(text: &str) -> Option<Came> {
    let (span, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let total = match total {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    if span == "*" {
        return Some((None, total));
    }
    let (first, last) = span.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let fits = first <= last && total.is_none_or(|total| last < total);
    fits.then_some((Some((first, last)), total))
}

fn more(come: u64) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    if let Some(last) = come.checked_sub(1) {
        transfer::put(response.headers_mut(), RANGE, format!("bytes=0-{last}"));
    }
    response
}

fn skipped(body: Body, skip: u64) -> Body {
    let mut left = usize::try_from(skip).unwrap_or(usize::MAX);
    let stream = body.into_data_stream().map(move |bytes| {
        bytes.map(|mut bytes| {
            let now = left.min(bytes.len());
            left -= now;
            bytes.split_off(now)
        })
    });
    Body::from_stream(stream)
}
