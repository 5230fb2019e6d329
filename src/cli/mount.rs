//! `tfhub-fs mount`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::args::{Log, Mount};
use super::catalog::Catalog;
use super::life::Runtime;
use super::setup::{self, Setup};
use super::{Failure, log, warm};
use crate::daemon::background::{self, Readiness, Start};
use crate::daemon::mountpoint::Mountpoint;
use crate::daemon::stop::{self, Outcome, Stop};
use crate::fuse::{self, Serving};
use crate::os;
use crate::status::Status;
use crate::vfs::{self, Tree};

/// How often the session is looked at for an unmount from outside.
const LOOK: Duration = Duration::from_millis(100);

/// Mounts, and stays until the mount ends; without `--foreground` the caller's part returns when the mount answers.
pub(super) fn run(command: Mount, level: &Log) -> Result<(), Failure> {
    let readiness = match background::start(command.foreground).map_err(Failure::failed)? {
        Start::Parent(0) => return Ok(()),
        Start::Parent(code) => return Err(Failure::Said(code)),
        Start::Daemon(readiness) => readiness,
    };
    log::to_stderr(level)?;
    let setup = Setup::check(&command.hub)?;
    let grace = setup::duration("--grace", &command.grace)?;
    let log_file = readiness
        .is_background()
        .then(|| log_file(&command))
        .transpose()?;
    let mountpoint =
        Mountpoint::prepare(&command.mountpoint, setup.cache_dir()).map_err(Failure::failed)?;
    raise_open_files();
    let runtime = Runtime::new()?;
    let _entered = runtime.enter();
    let stop = Stop::new(readiness.is_background()).map_err(Failure::failed)?;
    let catalog = match &command.catalog {
        Some(typed) => Some(Catalog::open(typed, setup.names(), mountpoint.path())?),
        None => None,
    };
    let models = setup.models(runtime.handle())?;
    let tree = Tree::new(
        setup.names().clone(),
        models.clone(),
        Arc::new(Status::default()),
        vfs::Options {
            list_fetches: command.list_fetches,
            memory: setup.memory_of_names(),
        },
    );
    if let Some(catalog) = &catalog {
        tree.set_catalog(&catalog.content().borrow());
    }
    let serving = fuse::mount(
        tree.clone(),
        &options(&command, &mountpoint, &setup),
        runtime.handle(),
    )
    .map_err(Failure::failed)?;
    if let Some(catalog) = catalog {
        runtime.spawn(warm::keep(models.clone(), catalog.content()));
        runtime.spawn(catalog.follow(tree.clone()));
    }
    std::thread::spawn(move || tree.keep_house());
    std::thread::spawn(move || models.scrub());
    tracing::info!(
        mountpoint = %mountpoint.path().display(),
        cache = %setup.cache_dir().display(),
        "mounted"
    );
    if let Some(log_file) = &log_file {
        tracing::info!(log = %log_file.display(), "what goes wrong from now on is logged there");
    }
    announce(readiness, log_file)?;
    let outcome = runtime.block_on(serve(&serving, stop, grace));
    told(&outcome, &mountpoint);
    Ok(())
}

fn options(command: &Mount, mountpoint: &Mountpoint, setup: &Setup) -> fuse::Options {
    let root = os::own::uid() == 0;
    fuse::Options {
        mountpoint: mountpoint.path().to_owned(),
        allow_other: command.allow_other.unwrap_or(root),
        uid: command.uid.unwrap_or_else(os::own::uid),
        gid: command.gid.unwrap_or_else(os::own::gid),
        passthrough: command.passthrough,
        cache: setup.cache_dir().to_owned(),
    }
}

fn announce(readiness: Readiness, log_file: Option<PathBuf>) -> Result<(), Failure> {
    readiness
        .ready(log_file.as_deref())
        .map_err(Failure::failed)
}

/// Until a signal, or until somebody has unmounted it.
async fn serve(serving: &Serving, mut stop: Stop, grace: Duration) -> Outcome {
    tokio::select! {
        signal = stop.next() => tracing::info!(?signal, "ending the mount"),
        () = ended(serving) => return Outcome::Unmounted,
    }
    let mounted = serving.mounted().clone();
    stop::shut_down(mounted, || serving.open_files(), grace, stop.next()).await
}

async fn ended(serving: &Serving) {
    while !serving.has_ended() {
        tokio::time::sleep(LOOK).await;
    }
}

fn told(outcome: &Outcome, mountpoint: &Mountpoint) {
    let mountpoint = mountpoint.path().display();
    match outcome {
        Outcome::Unmounted => tracing::info!(%mountpoint, "unmounted"),
        Outcome::Drained => tracing::info!(%mountpoint, "unmounted; what was open has been closed"),
        Outcome::Aborted { open } => {
            tracing::warn!(%mountpoint, open, "unmounted; files were still open when the grace ended");
        }
        Outcome::Stuck(error) => {
            tracing::error!(%mountpoint, %error, "the mount could not be taken away")
        }
    }
}

fn raise_open_files() {
    if let Err(error) = os::own::raise_open_files(1 << 20) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

/// Where a mount in the background logs to; made when missing.
fn log_file(command: &Mount) -> Result<PathBuf, Failure> {
    if let Some(file) = &command.log_file {
        return std::path::absolute(file).map_err(Failure::failed);
    }
    if os::own::uid() == 0 {
        return Ok(PathBuf::from("/var/log/tfhub-fs.log"));
    }
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let Some(state) = state.filter(|path| path.is_absolute()).or_else(home) else {
        return Err(Failure::Usage(
            "no HOME to keep a log in; give --log-file FILE".to_owned(),
        ));
    };
    let dir = state.join("tfhub-fs");
    std::fs::create_dir_all(&dir).map_err(|error| {
        Failure::Failed(format!(
            "cannot make {}: {error}; give --log-file FILE",
            dir.display()
        ))
    })?;
    Ok(dir.join("log"))
}
