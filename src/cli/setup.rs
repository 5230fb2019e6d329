//! From what was typed to checked settings, and from those to the rooms below.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Failure;
use super::args::Hub;
use crate::archive::Limits;
use crate::config::{
    BaseUrl, ByteSize, CacheDir, HttpHosts, LoadFormat, Mirror, Origin, Surroundings,
    parse_duration, verify_certificates,
};
use crate::fetch::{self, Client};
use crate::handle::Names;
use crate::models::{self, Models};
use crate::os;
use crate::os::mountinfo::{FSTYPE, Table};
use crate::store::Cache;

/// Each model that is being unpacked holds a thread, also while its origin stalls; others must not wait for one.
const BLOCKING: usize = 4096;

/// What the program calls itself to servers.
const USER_AGENT: &str = concat!("tfhub-fs/", env!("CARGO_PKG_VERSION"));

/// The variable that tensorflow_hub reads, and that may well point into a mount.
const OF_TFHUB: &str = "TFHUB_CACHE_DIR";

/// Checked settings of one run.
pub(super) struct Setup {
    names: Names,
    fetch: fetch::Options,
    models: models::Options,
    cache: PathBuf,
}

impl Setup {
    /// Checks what was typed; nothing is opened or made yet.
    pub fn check(hub: &Hub) -> Result<Setup, Failure> {
        let base: BaseUrl = hub.hub_url.parse().map_err(Failure::usage)?;
        let kaggle: Option<BaseUrl> = match &hub.kaggle_url {
            Some(typed) => Some(typed.parse().map_err(Failure::usage)?),
            None => None,
        };
        let mut mirrors = Vec::new();
        for typed in &hub.mirror {
            mirrors.push(typed.parse::<Mirror>().map_err(Failure::usage)?);
        }
        mirrors.extend(kaggle.iter().flat_map(Mirror::of_kaggle));
        let cwd = std::env::current_dir().map_err(Failure::failed)?;
        let around = Surroundings {
            env: &|name| std::env::var_os(name),
            uid: os::own::uid(),
            cwd: &cwd,
        };
        LoadFormat::choose(hub.load_format.as_deref(), &around).map_err(Failure::usage)?;
        let timeout = duration("--timeout", &hub.timeout)?;
        let configured =
            std::iter::once(base.as_str()).chain(mirrors.iter().map(|mirror| mirror.to.as_str()));
        let http_hosts = HttpHosts::new(configured, &hub.allow_http).map_err(Failure::usage)?;
        Ok(Setup {
            names: Names::new(base.as_str(), http_hosts.clone()).map_err(Failure::usage)?,
            fetch: fetch::Options {
                timeout,
                verify_certificates: verify_certificates(&around),
                http_hosts,
                mirrors,
                user_agent: USER_AGENT.to_owned(),
            },
            models: models::Options {
                timeout,
                limits: limits(hub)?,
            },
            cache: cache_dir(hub, &around)?,
        })
    }

    /// The rules of names.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The cache's directory.
    pub fn cache_dir(&self) -> &Path {
        &self.cache
    }

    /// Opens the cache and the network.
    pub fn models(&self, runtime: &tokio::runtime::Handle) -> Result<Models, Failure> {
        let cache = Cache::open(&self.cache).map_err(Failure::failed)?;
        let client = Client::new(self.fetch.clone()).map_err(Failure::failed)?;
        Ok(Models::new(
            cache,
            client,
            self.models.clone(),
            runtime.clone(),
        ))
    }
}

/// A runtime for everything that waits.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING)
        .build()
        .map_err(Failure::failed)
}

/// Ctrl-C, SIGTERM and a closed terminal, listened to from the moment this is made: one that comes before it is waited for counts.
pub(super) struct Stop {
    interrupt: Signal,
    terminate: Signal,
    /// `None` where nohup(1) has had it ignored.
    hang_up: Option<Signal>,
}

impl Stop {
    /// To be called within a runtime.
    pub fn new() -> std::io::Result<Stop> {
        Ok(Stop {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: match os::own::ignores_hangup() {
                true => None,
                false => Some(signal(SignalKind::hangup())?),
            },
        })
    }

    /// Ends at the first of them.
    pub async fn told(mut self) {
        let hang_up = async {
            match &mut self.hang_up {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hang_up => {}
        }
    }
}

/// A span of time as typed after `flag`.
pub(super) fn duration(flag: &str, typed: &str) -> Result<Duration, Failure> {
    parse_duration(typed).map_err(|error| Failure::Usage(format!("{flag}: {error}")))
}

fn limits(hub: &Hub) -> Result<Limits, Failure> {
    let size = match &hub.max_model_size {
        Some(typed) => Some(typed.parse::<ByteSize>().map_err(Failure::usage)?.bytes()),
        None => None,
    };
    Ok(Limits::from_settings(
        hub.max_archive_entries,
        size,
        hub.max_archive_ratio,
    ))
}

/// The cache's directory, absolute; one inside a tfhub-fs mount is refused, or ignored with a notice when only an
/// environment variable of tensorflow_hub's points there.
fn cache_dir(hub: &Hub, around: &Surroundings<'_>) -> Result<PathBuf, Failure> {
    let typed = hub.cache_dir.as_deref().map(Path::as_os_str);
    let chosen = CacheDir::choose(typed, around).map_err(Failure::usage)?;
    let table = Table::read().map_err(Failure::failed)?;
    let path = os::path::resolve(&chosen.path, &table).map_err(Failure::failed)?;
    if !table.inside(&path, FSTYPE) {
        return Ok(path);
    }
    if chosen.origin != Origin::Env(OF_TFHUB) {
        return Err(Failure::Usage(format!(
            "the cache directory {} ({}) lies inside a tfhub-fs mount; choose one outside of it",
            path.display(),
            chosen.origin
        )));
    }
    tracing::warn!(
        ignored = %path.display(),
        "TFHUB_CACHE_DIR lies inside a tfhub-fs mount; the default cache is used instead"
    );
    let without = Surroundings {
        env: &|name| (around.env)(name).filter(|_| name != OF_TFHUB),
        ..*around
    };
    let default = CacheDir::choose(None, &without).map_err(Failure::usage)?;
    os::path::resolve(&default.path, &table).map_err(Failure::failed)
}
