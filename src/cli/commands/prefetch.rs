//! `tfhub-fs prefetch`: models are fetched into the cache, several at a time, and how far they are is shown.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use serde::Serialize;
use tokio::sync::Semaphore;

use crate::cache::Sealed;
use crate::cli::args::Prefetch;
use crate::cli::failure::Failure;
use crate::cli::output::progress::{Bar, Show, TICK, suspend_bars};
use crate::cli::output::stdout;
use crate::cli::settings;
use crate::daemon;
use crate::daemon::handle_list;
use crate::daemon::mount::raise_open_files;
use crate::daemon::newest::newest;
use crate::daemon::runtime::Runtime;
use crate::daemon::signals::{Signal, StopSignals};
use crate::handle::{Handle, HandleList, Kind, Names};
use crate::models::{Content, Error, Models};

/// What is said when somebody ends it.
const STOPPED: &str = "interrupted; complete models stay in the cache";

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
pub(in crate::cli) fn run(command: &Prefetch) -> Result<(), Failure> {
    let assembly = settings::assembly(&command.source)?;
    let catalog = match &command.catalog {
        Some(path) => read(path, assembly.names())?,
        None => HandleList::default(),
    };
    let handles = handles(command, &catalog, assembly.names())?;
    raise_open_files();
    let runtime = Runtime::new().map_err(Failure::failed)?;
    let models = assembly.models(&runtime)?;
    models.keep_completed();
    for handle in catalog.pinned() {
        models.pin(handle, true).map_err(Failure::failed)?;
    }
    let show = Show::new(handles.len());
    let fetched = runtime.block_on(async {
        let mut stop = StopSignals::new(false).map_err(Failure::failed)?;
        tokio::select! {
            fetched = fetch_all(command, &handles, &models, &show) => fetched,
            signal = stop.next() => Err(match signal {
                Signal::Interrupt => Failure::Interrupted(STOPPED.to_owned()),
                _ => Failure::Failed(STOPPED.to_owned()),
            }),
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

/// Fetches so many at a time as places become free, and tells of them in their order: a large model holds up the lines of
/// others, but not their bytes. Whether each failed.
async fn fetch_all(
    command: &Prefetch,
    handles: &[Handle],
    models: &Models,
    show: &Show,
) -> Result<Vec<bool>, Failure> {
    let places = Semaphore::new(command.jobs.into());
    let fetch = handles.iter().map(async |handle| {
        let _place = places.acquire().await;
        fetch(handle, models, show).await
    });
    let mut fetch: FuturesOrdered<_> = fetch.collect();
    let (mut failed, mut held) = (Vec::new(), Vec::new());
    while let Some((done, hold)) = fetch.next().await {
        suspend_bars(|| tell(&done, command.json))?;
        failed.push(done.error.is_some());
        held.extend(hold);
    }
    // What the shared cache is to have is sent before the end.
    models.settled().await;
    Ok(failed)
}

fn tell(done: &Done, json: bool) -> Result<(), Failure> {
    match (&done.path, json) {
        (_, true) => {
            let line = serde_json::to_string(done).map_err(Failure::failed)?;
            stdout::say(&(line + "\n"))
        }
        (Some(path), false) => stdout::say(&format!("{}\n", path.display())),
        (None, false) => Ok(()),
    }
}

fn read(path: &Path, names: &Names) -> Result<HandleList, Failure> {
    Ok(handle_list::read(path, names).map_err(daemon::Error::from)?)
}

/// The handles that were typed, those in the file, and those that the catalog marks, each once.
fn handles(
    command: &Prefetch,
    catalog: &HandleList,
    names: &Names,
) -> Result<Vec<Handle>, Failure> {
    let mut handles = Vec::new();
    for text in &command.handles {
        handles.push(Handle::parse(text).map_err(Failure::usage)?);
    }
    if let Some(file) = &command.file {
        let list = read(file, names)?;
        handles.extend(list.lines().iter().map(|line| line.handle().clone()));
    }
    if let Some(bucket) = handles.iter().find(|handle| handle.kind() == Kind::Bucket) {
        return Err(Failure::Usage(format!(
            "{bucket} is a directory in a bucket, which is never cached; name an archive in it, or a model"
        )));
    }
    handles.extend(catalog.prefetched().cloned());
    let mut seen = HashSet::new();
    handles.retain(|handle| seen.insert(handle.url()));
    if !handles.is_empty() {
        return Ok(handles);
    }
    match &command.catalog {
        Some(path) if catalog.pinned().next().is_none() => Err(Failure::Usage(format!(
            "nothing in {} is marked `prefetch` or `pin`",
            path.display()
        ))),
        _ => {
            eprintln!("nothing to fetch: no model is named");
            Ok(handles)
        }
    }
}

/// Fetches one model. It stays open, so that none of the same run pushes it out.
async fn fetch(typed: &Handle, models: &Models, show: &Show) -> (Done, Option<File>) {
    let begun = Instant::now();
    let mut bar = show.begin(typed);
    let fetched = complete(typed, models, &mut bar).await;
    let took = begun.elapsed();
    let mut done = Done {
        handle: typed.url(),
        path: None,
        bytes: None,
        seconds: took.as_secs_f64(),
        error: None,
    };
    match fetched {
        Ok((sealed, came)) => {
            done.path = Some(sealed.dir().to_owned());
            done.bytes = Some(sealed.bytes());
            match came {
                true => bar.complete(sealed.bytes(), took),
                false => bar.was_here(sealed.bytes()),
            }
            (done, sealed.hold())
        }
        Err(error) => {
            done.error = Some(error.to_string());
            bar.failed(&error.to_string());
            (done, None)
        }
    }
}

/// The complete model, and whether it had to come.
async fn complete(
    typed: &Handle,
    models: &Models,
    bar: &mut Bar<'_>,
) -> Result<(Arc<Sealed>, bool), Error> {
    let handle = newest(typed, models).await?;
    let model = models.model(&handle);
    model.look().await?;
    let was_here = matches!(model.here(), Some(Content::Sealed(_)));
    let sealed = model.sealed();
    tokio::pin!(sealed);
    loop {
        tokio::select! {
            sealed = &mut sealed => return Ok((sealed?, !was_here)),
            () = tokio::time::sleep(TICK) => {
                if let Some(progress) = model.progress() {
                    bar.moved(progress);
                }
            }
        }
    }
}
