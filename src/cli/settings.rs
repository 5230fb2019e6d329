//! From what was typed to checked settings.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args::{CacheArgs, SourceArgs};
use super::failure::Failure;
use crate::config::{
    ByteSize, CacheDir, CacheSettings, Env, LoadFormat, Mirror, Origin, Settings, SharedCache,
    gcs_endpoint, kagglehub_cache, parse_duration, private_cache_dir,
};
use crate::daemon::assemble::Assembly;
use crate::os;
use crate::os::mountinfo::{FSTYPE, Table};

/// The variable that tensorflow_hub reads, and that may well point into a mount.
const OF_TFHUB: &str = "TFHUB_CACHE_DIR";

/// Checks what was typed; nothing is opened or created yet.
pub(super) fn assembly(args: &SourceArgs) -> Result<Assembly, Failure> {
    with_env(|env| {
        let settings = settings(args, env)?;
        Ok(Assembly::check(&settings, env)?)
    })
}

/// Checks what was typed of the cache.
pub(super) fn cache(args: &CacheArgs) -> Result<CacheSettings, Failure> {
    with_env(|env| cache_settings(args, env))
}

fn with_env<T>(check: impl FnOnce(&Env<'_>) -> Result<T, Failure>) -> Result<T, Failure> {
    let cwd = std::env::current_dir().map_err(Failure::failed)?;
    check(&Env {
        vars: &|name| std::env::var_os(name),
        uid: os::own::uid(),
        cwd: &cwd,
    })
}

fn settings(args: &SourceArgs, env: &Env<'_>) -> Result<Settings, Failure> {
    let hub_url = args.hub_url.parse().map_err(Failure::usage)?;
    let load_format = LoadFormat::choose(args.load_format.as_deref(), env);
    let dir = args.cache.cache_dir.as_deref().map(Path::as_os_str);
    let shared_cache = SharedCache::choose(args.shared_cache.as_deref(), dir, env);
    let mirrors = args.mirror.iter().map(|typed| typed.parse::<Mirror>());
    let kaggle_url = args.kaggle_url.as_ref().map(|typed| typed.parse());
    let max_model_size = args.max_model_size.as_deref().map(bytes);
    Ok(Settings {
        hub_url,
        load_format: load_format.map_err(Failure::usage)?.0,
        timeout: duration("--timeout", &args.timeout)?,
        mirrors: mirrors.collect::<Result<_, _>>().map_err(Failure::usage)?,
        kaggle_url: kaggle_url.transpose().map_err(Failure::usage)?,
        gcs_endpoint: gcs_endpoint(args.gcs_endpoint.as_deref(), env).map_err(Failure::usage)?,
        allow_http: args.allow_http.clone(),
        prefetch: args.prefetch.parse().map_err(Failure::usage)?,
        memory: bytes(&args.memory)?,
        offline: args.offline,
        max_archive_entries: args.max_archive_entries,
        max_model_size: max_model_size.transpose()?,
        max_archive_ratio: args.max_archive_ratio,
        kagglehub: outside(kagglehub_cache(env))?,
        cache: cache_settings(&args.cache, env)?,
        shared_cache: shared_cache.map_err(Failure::usage)?,
    })
}

fn cache_settings(args: &CacheArgs, env: &Env<'_>) -> Result<CacheSettings, Failure> {
    let (dir, origin) = cache_dir(args, env)?;
    let limit = args.cache_size.as_ref().map(|typed| typed.parse());
    Ok(CacheSettings {
        dir,
        origin,
        private: outside(private_cache_dir(env))?,
        limit: limit.transpose().map_err(Failure::usage)?,
        min_free: args.min_free.parse().map_err(Failure::usage)?,
        evict_foreign: args.evict_foreign,
    })
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

/// A directory, unless it is inside a tfhub-fs mount.
fn outside(dir: Option<PathBuf>) -> Result<Option<PathBuf>, Failure> {
    let Some(dir) = dir else {
        return Ok(None);
    };
    let table = Table::read().map_err(Failure::failed)?;
    let path = os::path::resolve(&dir, &table).map_err(Failure::failed)?;
    Ok(Some(path).filter(|path| !table.inside(path, FSTYPE)))
}

/// The cache's directory, absolute, and who chose it. One inside a tfhub-fs mount is refused, or ignored with a warning where only
/// tensorflow_hub's environment variable points there.
fn cache_dir(args: &CacheArgs, env: &Env<'_>) -> Result<(PathBuf, Origin), Failure> {
    let typed = args.cache_dir.as_deref().map(Path::as_os_str);
    let chosen = CacheDir::choose(typed, env).map_err(Failure::usage)?;
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
    let without = Env {
        vars: &|name| (env.vars)(name).filter(|_| name != OF_TFHUB),
        ..*env
    };
    let default = CacheDir::choose(None, &without).map_err(Failure::usage)?;
    let path = os::path::resolve(&default.path, &table).map_err(Failure::failed)?;
    Ok((path, default.origin))
}
