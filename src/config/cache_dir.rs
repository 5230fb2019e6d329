//! Which directory is the cache, and who said so.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::{Error, Origin, Surroundings};

/// Root's default. Never the shared temp directory: there root would lock other users out, or
/// serve what they planted.
const OF_ROOT: &str = "/var/cache/tfhub-fs";

/// tensorflow_hub's default within the system's temp directory (`resolver.py`,
/// `tfhub_cache_dir(use_temp=True)`).
const OF_USERS: &str = "tfhub_modules";

/// Where Python's `tempfile` looks for the temp directory, in this order, before `/tmp`.
const TEMP_VARIABLES: [&str; 3] = ["TMPDIR", "TEMP", "TMP"];

/// The cache directory and its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheDir {
    /// Absolute; it may not exist yet, and has not been looked at.
    pub path: PathBuf,
    /// Who chose it.
    pub origin: Origin,
}

impl CacheDir {
    /// Chooses: `--cache-dir`, `TFHUB_FS_CACHE_DIR`, `TFHUB_CACHE_DIR`, else the user's default,
    /// `<temp>/tfhub_modules` (for root `/var/cache/tfhub-fs`).
    ///
    /// A relative path starts at the working directory and `~` is an ordinary character, as in
    /// tensorflow_hub, so that both find the same directory. Unlike Python, a `TMPDIR` that does
    /// not exist is not skipped.
    pub fn choose(flag: Option<&OsStr>, around: &Surroundings<'_>) -> Result<Self, Error> {
        let of_env = |name| around.var(name).map(|value| (value, Origin::Env(name)));
        let chosen = flag
            .map(|value| (value.to_owned(), Origin::Flag("--cache-dir")))
            .or_else(|| of_env("TFHUB_FS_CACHE_DIR"))
            .or_else(|| of_env("TFHUB_CACHE_DIR"));
        let (value, origin) = match chosen {
            Some((value, origin)) => (checked(value, origin)?, origin),
            None => (default_for(around), Origin::Default),
        };
        let path = around.cwd.join(value).components().collect();
        Ok(Self { path, origin })
    }
}

fn checked(value: OsString, origin: Origin) -> Result<PathBuf, Error> {
    if value.is_empty() {
        return Err(Error::EmptyCacheDir { origin });
    }
    let text = value.to_string_lossy();
    if let Some((scheme, _)) = text.split_once("://") {
        return Err(Error::RemoteCacheDir {
            scheme: scheme.escape_debug().to_string(),
            origin,
        });
    }
    Ok(PathBuf::from(value))
}

fn default_for(around: &Surroundings<'_>) -> PathBuf {
    if around.uid == 0 {
        return PathBuf::from(OF_ROOT);
    }
    TEMP_VARIABLES
        .iter()
        .find_map(|name| around.var(name))
        .map_or_else(|| Path::new("/tmp").to_owned(), PathBuf::from)
        .join(OF_USERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(flag: Option<&str>, uid: u32, env: &[(&str, &str)]) -> Result<CacheDir, Error> {
        let around = Surroundings {
            env: &|name| env.iter().find(|(n, _)| *n == name).map(|(_, v)| v.into()),
            uid,
            cwd: Path::new("/home/u"),
        };
        CacheDir::choose(flag.map(OsStr::new), &around)
    }

    #[track_caller]
    fn is(chosen: Result<CacheDir, Error>, path: &str, origin: Origin) {
        let path = PathBuf::from(path);
        assert_eq!(chosen, Ok(CacheDir { path, origin }));
    }

    #[test]
    fn the_nearest_word_wins() {
        let env = [
            ("TFHUB_FS_CACHE_DIR", "/ours"),
            ("TFHUB_CACHE_DIR", "/theirs"),
            ("TMPDIR", "/scratch"),
        ];
        is(
            choose(Some("/typed"), 1000, &env),
            "/typed",
            Origin::Flag("--cache-dir"),
        );
        is(
            choose(None, 1000, &env),
            "/ours",
            Origin::Env("TFHUB_FS_CACHE_DIR"),
        );
        is(
            choose(None, 0, &env[1..]),
            "/theirs",
            Origin::Env("TFHUB_CACHE_DIR"),
        );
        is(
            choose(None, 1000, &env[2..]),
            "/scratch/tfhub_modules",
            Origin::Default,
        );
    }

    #[test]
    fn defaults_differ_for_root() {
        is(
            choose(None, 1000, &[]),
            "/tmp/tfhub_modules",
            Origin::Default,
        );
        is(
            choose(None, 0, &[("TMPDIR", "/scratch")]),
            "/var/cache/tfhub-fs",
            Origin::Default,
        );
        let env = [("TMPDIR", ""), ("TEMP", "/b"), ("TMP", "/c")];
        is(choose(None, 7, &env), "/b/tfhub_modules", Origin::Default);
        is(
            choose(None, 7, &env[2..]),
            "/c/tfhub_modules",
            Origin::Default,
        );
        is(
            choose(None, 7, &[("TFHUB_CACHE_DIR", "")]),
            "/tmp/tfhub_modules",
            Origin::Default,
        );
        is(
            choose(None, 7, &[("TMPDIR", "tmp")]),
            "/home/u/tmp/tfhub_modules",
            Origin::Default,
        );
    }

    #[test]
    fn paths_mean_what_they_mean_to_tensorflow_hub() {
        let origin = Origin::Env("TFHUB_CACHE_DIR");
        is(
            choose(None, 1, &[("TFHUB_CACHE_DIR", "a/./b/")]),
            "/home/u/a/b",
            origin,
        );
        is(
            choose(None, 1, &[("TFHUB_CACHE_DIR", "~/x")]),
            "/home/u/~/x",
            origin,
        );
        is(
            choose(None, 1, &[("TFHUB_CACHE_DIR", "../x")]),
            "/home/u/../x",
            origin,
        );
    }

    #[test]
    fn buckets_are_not_directories_yet() {
        for value in ["gs://bucket/dir", "s3://bucket", "hdfs://x"] {
            for (flag, env) in [
                (Some(value), vec![]),
                (None, vec![("TFHUB_FS_CACHE_DIR", value)]),
                (None, vec![("TFHUB_CACHE_DIR", value)]),
            ] {
                let error = choose(flag, 1000, &env).unwrap_err();
                assert!(matches!(error, Error::RemoteCacheDir { .. }), "{error}");
            }
        }
        assert!(matches!(
            choose(Some(""), 1, &[]),
            Err(Error::EmptyCacheDir { .. })
        ));
    }
}
