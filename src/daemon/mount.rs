//! A mount from its first step to its last.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Error;
use super::assemble::Assembly;
use super::background::Readiness;
use super::handle_list::{prefetch, watch::HandleListWatcher};
use super::mountpoint::Mountpoint;
use super::runtime::Runtime;
use super::shutdown::{self, Outcome};
use super::signals::StopSignals;
use crate::fuse::{self, Serving};
use crate::os;
use crate::status::Status;
use crate::vfs::{self, Tree};

/// How often the session is looked at for an unmount from outside.
const LOOK: Duration = Duration::from_millis(100);

/// How to mount.
#[derive(Debug, Clone)]
pub struct MountSettings {
    /// Where, as typed.
    pub mountpoint: PathBuf,
    /// Whether users other than the one who mounts may read.
    pub allow_other: bool,
    /// The owner that files show.
    pub uid: u32,
    /// The group that files show.
    pub gid: u32,
    /// Whether the kernel may read sealed files by itself.
    pub passthrough: bool,
    /// How long open files are served on shutdown.
    pub grace: Duration,
    /// The handle list, as typed.
    pub handle_list: Option<PathBuf>,
    /// Whether listing a model starts its download.
    pub list_fetches: bool,
    /// Where a mount in the background logs to, absolute.
    pub log_file: Option<PathBuf>,
}

/// Mounts, says so through `readiness`, and returns when the mount has ended.
///
/// # Errors
///
/// It could not be mounted; nothing is left behind then.
pub fn mount(
    assembly: &mut Assembly,
    settings: &MountSettings,
    readiness: Readiness,
) -> Result<(), Error> {
    let mountpoint = Mountpoint::prepare(&settings.mountpoint, assembly.cache_dir())?;
    assembly.keep_apart(mountpoint.path());
    raise_open_files();
    let runtime = Runtime::new()?;
    let _entered = runtime.enter();
    let stop = StopSignals::new(readiness.is_background())?;
    let list = match &settings.handle_list {
        Some(typed) => Some(HandleListWatcher::open(
            typed,
            assembly.names(),
            mountpoint.path(),
        )?),
        None => None,
    };
    let models = assembly.models(&runtime)?;
    let tree = Tree::new(
        assembly.names().clone(),
        models.clone(),
        Arc::new(Status::default()),
        vfs::Options {
            list_fetches: settings.list_fetches,
            memory: assembly.memory_of_names(),
        },
    );
    if let Some(list) = &list {
        tree.set_catalog(&list.content().borrow());
    }
    let options = fuse::Options {
        mountpoint: mountpoint.path().to_owned(),
        allow_other: settings.allow_other,
        uid: settings.uid,
        gid: settings.gid,
        passthrough: settings.passthrough,
        space_of: models.cache_dir().map(Path::to_owned),
        backing: models.dirs(),
    };
    let serving = fuse::mount(tree.clone(), &options, &runtime)?;
    if let Some(list) = list {
        runtime.spawn(prefetch::run(models.clone(), list.content()));
        runtime.spawn(list.watch(tree.clone()));
    }
    std::thread::spawn(move || tree.maintain());
    std::thread::spawn(move || models.scrub());
    tracing::info!(
        mountpoint = %mountpoint.path().display(),
        cache = %assembly.cache_dir().display(),
        "mounted"
    );
    if let Some(log_file) = &settings.log_file {
        tracing::info!(log = %log_file.display(), "errors from now on are logged there");
    }
    readiness.ready(settings.log_file.as_deref())?;
    let outcome = runtime.block_on(serve(&serving, stop, settings.grace));
    log_outcome(&outcome, &mountpoint);
    Ok(())
}

/// Raises the limit of open files to what many streamed models need.
pub fn raise_open_files() {
    if let Err(error) = os::own::raise_open_files(1 << 20) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

/// Until a signal, or until somebody has unmounted it.
async fn serve(serving: &Serving, mut stop: StopSignals, grace: Duration) -> Outcome {
    tokio::select! {
        signal = stop.next() => tracing::info!(?signal, "ending the mount"),
        () = ended(serving) => return Outcome::Unmounted,
    }
    let mounted = serving.mounted().clone();
    shutdown::shut_down(mounted, || serving.open_files(), grace, stop.next()).await
}

async fn ended(serving: &Serving) {
    while !serving.has_ended() {
        tokio::time::sleep(LOOK).await;
    }
}

fn log_outcome(outcome: &Outcome, mountpoint: &Mountpoint) {
    let mountpoint = mountpoint.path().display();
    match outcome {
        Outcome::Unmounted => tracing::info!(%mountpoint, "unmounted"),
        Outcome::Drained => tracing::info!(%mountpoint, "unmounted; what was open has been closed"),
        Outcome::Aborted { open } => {
            tracing::warn!(%mountpoint, open, "unmounted; files were still open when the grace ended");
        }
        Outcome::Stuck(error) => {
            tracing::error!(%mountpoint, %error, "the mount could not be removed")
        }
    }
}
