//! `tfhub-fs prefetch`: models are fetched into the cache, several at a time, and how far they are is shown.

use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use serde::Serialize;
use tokio::sync::Semaphore;

use super::args::Prefetch;
use super::progress::{Show, TICK};
use super::resolve::newest;
use super::setup::{self, Setup, Stop};
use super::{Failure, catalog, table};
use crate::handle::{CatalogFile, Handle, Kind};
use crate::models::Models;

/// What became of one handle.
#[derive(Debug, Serialize)]
struct Done {
    handle: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Fetches what was named. A failure of one model does not keep the others from coming.
pub(super) fn run(command: &Prefetch) -> Result<(), Failure> {
    let setup = Setup::check(&command.hub)?;
    let catalog = match &command.catalog {
        Some(path) => catalog::read(path, setup.names())?,
        None => CatalogFile::default(),
    };
    let handles = handles(command, &catalog)?;
    let runtime = setup::runtime()?;
    let models = setup.models(runtime.handle())?;
    for handle in catalog.pinned() {
        models.pin(handle, true).map_err(Failure::failed)?;
    }
    let show = Show::new(handles.len());
    let fetched = runtime.block_on(async {
        let stop = Stop::new().map_err(Failure::failed)?;
        let places = Semaphore::new(command.jobs.into());
        // Told in order, and fetched as places become free: a large model holds up the lines of others, but not their bytes.
        let fetch = handles.iter().map(async |handle| {
            let _place = places.acquire().await;
            fetch(handle, &models, &show).await
        });
        let all = fetch
            .collect::<FuturesOrdered<_>>()
            .map(|done| tell(&done, command.json).map(|()| done.error.is_some()))
            .collect::<Vec<_>>();
        // What the shared cache is to have is sent before the end.
        let all = async {
            let all = all.await;
            models.settled().await;
            all
        };
        tokio::select! {
            all = all => all.into_iter().collect::<Result<Vec<bool>, Failure>>(),
            () = stop.told() => Err(Failure::Failed(
                "interrupted; what is complete stays in the cache".to_owned(),
            )),
        }
    })?;
    match fetched.iter().filter(|failed| **failed).count() {
        0 => Ok(()),
        count => Err(Failure::Failed(format!(
            "{count} of {} models could not be fetched",
            handles.len()
        ))),
    }
}

fn tell(done: &Done, json: bool) -> Result<(), Failure> {
    match (&done.path, json) {
        (_, true) => {
            let line = serde_json::to_string(done).map_err(Failure::failed)?;
            table::say(&(line + "\n"))
        }
        (Some(path), false) => table::say(&format!("{}\n", path.display())),
        (None, false) => Ok(()),
    }
}

/// The handles that were typed, those in the file, and those that the catalog marks, each once.
fn handles(command: &Prefetch, catalog: &CatalogFile) -> Result<Vec<Handle>, Failure> {
    let mut texts = command.handles.clone();
    if let Some(file) = &command.file {
        let text = read(file)
            .map_err(|error| Failure::Failed(format!("cannot read {}: {error}", file.display())))?;
        let lines = text
            .lines()
            .map(|line| line.split('#').next().unwrap_or(""));
        let lines = lines.map(str::trim).filter(|line| !line.is_empty());
        texts.extend(lines.map(str::to_owned));
    }
    let mut seen = HashSet::new();
    let mut handles = Vec::new();
    for text in texts {
        let handle = Handle::parse(&text).map_err(Failure::usage)?;
        if handle.kind() == Kind::Bucket {
            return Err(Failure::Usage(format!(
                "{handle} is a directory of a bucket, which is read where it is; name an archive in it, or a model"
            )));
        }
        if seen.insert(handle.url()) {
            handles.push(handle);
        }
    }
    let marked = catalog.prefetched();
    handles.extend(marked.filter(|handle| seen.insert(handle.url())).cloned());
    match (&command.catalog, handles.is_empty()) {
        (Some(path), true) => Err(Failure::Usage(format!(
            "nothing in {} is marked `prefetch`",
            path.display()
        ))),
        _ => Ok(handles),
    }
}

fn read(file: &Path) -> std::io::Result<String> {
    if file != Path::new("-") {
        return std::fs::read_to_string(file);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

async fn fetch(typed: &Handle, models: &Models, show: &Show) -> Done {
    let begun = Instant::now();
    let mut bar = show.begin(typed);
    let fetched = async {
        let handle = newest(typed, models)
            .await
            .map_err(|error| error.to_string())?;
        let model = models.model(&handle);
        let sealed = model.sealed();
        tokio::pin!(sealed);
        loop {
            let wait = tokio::time::sleep(TICK);
            tokio::select! {
                sealed = &mut sealed => return sealed.map_err(|error| error.to_string()),
                () = wait => {
                    if let Some(progress) = model.progress() {
                        bar.moved(progress);
                    }
                }
            }
        }
    };
    let fetched = fetched.await;
    let seconds = begun.elapsed().as_secs_f64();
    match &fetched {
        Ok(sealed) => bar.complete(sealed.bytes(), begun.elapsed()),
        Err(error) => bar.failed(error),
    }
    let (path, bytes, error) = match fetched {
        Ok(sealed) => (Some(sealed.dir().to_owned()), Some(sealed.bytes()), None),
        Err(error) => (None, None, Some(error)),
    };
    Done {
        handle: typed.url(),
        path,
        bytes,
        seconds,
        error,
    }
}
