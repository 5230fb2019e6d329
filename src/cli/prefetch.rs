//! `tfhub-fs prefetch`: models are fetched into the cache, several at a time, and how far they are is shown.

use std::collections::HashSet;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde::Serialize;

use super::args::Prefetch;
use super::resolve::newest;
use super::setup::{self, Setup, Stop};
use super::{Failure, catalog, table};
use crate::handle::{CatalogFile, Handle, Kind};
use crate::models::{Content, Models};

/// How often a bar moves, and how often there is a line where there are no bars.
const TICK: Duration = Duration::from_millis(100);
const LINE: Duration = Duration::from_secs(5);

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
    let show = Show::new();
    let fetched = runtime.block_on(async {
        let stop = Stop::new().map_err(Failure::failed)?;
        let fetch = handles.iter().map(|handle| fetch(handle, &models, &show));
        let all = stream::iter(fetch)
            .buffered(command.jobs.into())
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
    let bar = show.begin(typed);
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
                    if let Some(Content::Filling(filling)) = model.here() {
                        let total = filling.files().iter().map(|file| file.size()).sum();
                        bar.moved(filling.progress().bytes, total);
                    }
                }
            }
        }
    };
    let fetched = fetched.await;
    let seconds = begun.elapsed().as_secs_f64();
    let (path, bytes, error) = match fetched {
        Ok(sealed) => (Some(sealed.dir().to_owned()), Some(sealed.bytes()), None),
        Err(error) => (None, None, Some(error)),
    };
    let done = Done {
        handle: typed.url(),
        path,
        bytes,
        seconds,
        error,
    };
    bar.ended(&done);
    done
}

/// Bars on a terminal, lines elsewhere; both on stderr.
struct Show {
    bars: Option<Arc<MultiProgress>>,
}

impl Show {
    fn new() -> Show {
        let terminal = std::io::stderr().is_terminal();
        Show {
            bars: terminal.then(Arc::default),
        }
    }

    fn begin(&self, handle: &Handle) -> Bar {
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::no_length().with_style(style(false)));
            bar.set_message(handle.to_string());
            bar.enable_steady_tick(TICK);
            bar
        });
        let line = parking_lot::Mutex::new(Instant::now());
        Bar {
            handle: handle.to_string(),
            bar,
            line,
        }
    }
}

fn style(sized: bool) -> ProgressStyle {
    let template = match sized {
        true => "{msg:40!} {bar:20} {bytes}/{total_bytes} {bytes_per_sec} {eta} left",
        false => "{msg:40!} {spinner} {bytes} {bytes_per_sec}",
    };
    // A template of our own is well formed, and the default says the same less well.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// How far one model is.
struct Bar {
    handle: String,
    bar: Option<ProgressBar>,
    /// When there was a line last.
    line: parking_lot::Mutex<Instant>,
}

impl Bar {
    /// `total` is 0 for an archive, whose unpacked size nobody knows.
    fn moved(&self, bytes: u64, total: u64) {
        if let Some(bar) = &self.bar {
            if total > 0 && bar.length().is_none() {
                bar.set_length(total);
                bar.set_style(style(true));
            }
            bar.set_position(bytes);
            return;
        }
        let mut line = self.line.lock();
        if line.elapsed() < LINE {
            return;
        }
        *line = Instant::now();
        let of = match total {
            0 => String::new(),
            total => format!(" of {}", table::size(total)),
        };
        eprintln!("{}: {}{of}", self.handle, table::size(bytes));
    }

    fn ended(&self, done: &Done) {
        let text = match (&done.error, done.bytes) {
            (Some(error), _) => format!("{}: {error}", self.handle),
            (None, bytes) => {
                let bytes = bytes.unwrap_or(0);
                let rate = bytes as f64 / done.seconds.max(1e-3);
                format!(
                    "{}: {} in {:.1} s, {}/s",
                    self.handle,
                    table::size(bytes),
                    done.seconds,
                    table::size(rate as u64)
                )
            }
        };
        match &self.bar {
            Some(bar) => {
                bar.finish_and_clear();
                bar.println(text);
            }
            None => eprintln!("{text}"),
        }
    }
}
