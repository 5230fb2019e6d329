//! From what was typed to checked settings, and from those to the rooms below.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Failure;
use super::args::{Hub, Keep};
use super::reach::Reach;
use crate::archive::Limits;
use crate::cache::{self, Cache};
use crate::config::{
    BaseUrl, ByteSize, CacheDir, LoadFormat, Origin, SharedCache, Surroundings, kagglehub_cache,
    parse_duration, private_cache_dir,
};
use crate::handle::{BucketPath, Names};
use crate::models::{self, Models};
use crate::os;
use crate::os::mountinfo::{FSTYPE, Table};
use crate::shared_cache::{self, SharedCacheOptions};
use crate::source::{Source, SourceOptions};

/// The variable that tensorflow_hub reads, and that may well point into a mount.
const OF_TFHUB: &str = "TFHUB_CACHE_DIR";

/// Checked settings of one run.
pub(super) struct Setup {
    names: Names,
    reach: Reach,
    format: LoadFormat,
    models: models::Options,
    cache: cache::Options,
    shared: Option<BucketPath>,
}

impl Setup {
    /// Checks what was typed; nothing is opened or made yet.
    pub fn check(hub: &Hub) -> Result<Setup, Failure> {
        let base: BaseUrl = hub.hub_url.parse().map_err(Failure::usage)?;
        let cwd = std::env::current_dir().map_err(Failure::failed)?;
        let around = Surroundings {
            env: &|name| std::env::var_os(name),
            uid: os::own::uid(),
            cwd: &cwd,
        };
        let format = LoadFormat::choose(hub.load_format.as_deref(), &around);
        let (format, _) = format.map_err(Failure::usage)?;
        let timeout = duration("--timeout", &hub.timeout)?;
        let reach = Reach::check(hub, &base, timeout, &around)?;
        let http_hosts = reach.http_hosts.clone();
        Ok(Setup {
            names: Names::new(base.as_str(), http_hosts).map_err(Failure::usage)?,
            reach,
            format,
            models: models::Options {
                timeout,
                limits: limits(hub)?,
                may_stream: format == LoadFormat::Auto,
                prefetch: hub.prefetch.parse().map_err(Failure::usage)?,
                kagglehub: outside(kagglehub_cache(&around))?,
                shared_cache: None,
            },
            cache: cache::Options {
                memory: bytes(&hub.memory)?,
                ..kept(&hub.keep, &around)?.0
            },
            shared: shared_cache(hub, &around)?.filter(|_| !hub.offline),
        })
    }

    /// How long a wait without progress may last.
    pub fn timeout(&self) -> Duration {
        self.models.timeout
    }

    /// The rules of names.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// How much memory looked up names may take, in bytes: a quarter of `--memory`, and a few MiB where that
    /// is little.
    pub fn memory_of_names(&self) -> usize {
        usize::try_from((self.cache.memory / 4).max(4 << 20)).unwrap_or(usize::MAX)
    }

    /// The cache's directory, whether or not it can be used.
    pub fn cache_dir(&self) -> &Path {
        self.cache.dir.as_deref().unwrap_or(Path::new("/"))
    }

    /// Opens the cache and the network.
    pub fn models(&self, runtime: &tokio::runtime::Handle) -> Result<Models, Failure> {
        let cache = Cache::with(&self.cache).map_err(Failure::failed)?;
        let (client, buckets) = self.reach.open()?;
        let format = self.format;
        let mut options = self.models.clone();
        options.shared_cache = self.shared.clone().map(|at| {
            let host = os::host::hostname();
            let mut options = SharedCacheOptions::new(at, host, os::process::pid_exists);
            options.place = os::host::numbering().ok();
            shared_cache::SharedCache::new(buckets.clone(), options)
        });
        let source = Source::new(client, SourceOptions { format, buckets });
        Ok(Models::new(cache, source, options, runtime.clone()))
    }
}

/// What was said of the cache alone, and who chose its directory.
pub(super) fn kept_here(keep: &Keep) -> Result<(cache::Options, Origin), Failure> {
    let cwd = std::env::current_dir().map_err(Failure::failed)?;
    let around = Surroundings {
        env: &|name| std::env::var_os(name),
        uid: os::own::uid(),
        cwd: &cwd,
    };
    kept(keep, &around)
}

fn kept(keep: &Keep, around: &Surroundings<'_>) -> Result<(cache::Options, Origin), Failure> {
    let (dir, origin) = cache_dir(keep, around)?;
    let options = cache::Options {
        dir: Some(dir),
        private: outside(private_cache_dir(around))?,
        limit: match &keep.cache_size {
            Some(typed) => Some(typed.parse().map_err(Failure::usage)?),
            None => None,
        },
        min_free: keep.min_free.parse().map_err(Failure::usage)?,
        evict_foreign: keep.evict_foreign,
        ..cache::Options::default()
    };
    Ok((options, origin))
}

/// A span of time as typed after `flag`.
pub(super) fn duration(flag: &str, typed: &str) -> Result<Duration, Failure> {
    parse_duration(typed).map_err(|error| Failure::Usage(format!("{flag}: {error}")))
}

/// A size as typed.
fn bytes(typed: &str) -> Result<u64, Failure> {
    let size = typed.parse::<ByteSize>().map_err(Failure::usage)?;
    Ok(size.bytes())
}

/// A directory, unless it lies inside a tfhub-fs mount.
fn outside(dir: Option<PathBuf>) -> Result<Option<PathBuf>, Failure> {
    let Some(dir) = dir else {
        return Ok(None);
    };
    let table = Table::read().map_err(Failure::failed)?;
    let path = os::path::resolve(&dir, &table).map_err(Failure::failed)?;
    Ok(Some(path).filter(|path| !table.inside(path, FSTYPE)))
}

/// The shared cache, if there shall be one.
fn shared_cache(hub: &Hub, around: &Surroundings<'_>) -> Result<Option<BucketPath>, Failure> {
    let dir = hub.keep.cache_dir.as_deref().map(Path::as_os_str);
    let chosen = SharedCache::choose(hub.shared_cache.as_deref(), dir, around);
    let Some(chosen) = chosen.map_err(Failure::usage)? else {
        return Ok(None);
    };
    let at = BucketPath::parse(&chosen.url);
    at.map(Some)
        .map_err(|why| Failure::Usage(format!("{}: {why}", chosen.origin)))
}

fn limits(hub: &Hub) -> Result<Limits, Failure> {
    let size = match &hub.max_model_size {
        Some(typed) => Some(bytes(typed)?),
        None => None,
    };
    Ok(Limits::from_settings(
        hub.max_archive_entries,
        size,
        hub.max_archive_ratio,
    ))
}

/// The cache's directory, absolute, and who chose it; one inside a tfhub-fs mount is refused, or ignored with a notice when only an
/// environment variable of tensorflow_hub's points there.
fn cache_dir(keep: &Keep, around: &Surroundings<'_>) -> Result<(PathBuf, Origin), Failure> {
    let typed = keep.cache_dir.as_deref().map(Path::as_os_str);
    let chosen = CacheDir::choose(typed, around).map_err(Failure::usage)?;
    let table = Table::read().map_err(Failure::failed)?;
    let path = os::path::resolve(&chosen.path, &table).map_err(Failure::failed)?;
    if !table.inside(&path, FSTYPE) {
        return Ok((path, chosen.origin));
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
    let path = os::path::resolve(&default.path, &table).map_err(Failure::failed)?;
    Ok((path, default.origin))
}
