//! Which directory is the cache, and who said so.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::{Env, Error, Origin, shown};

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

/// The cache that hosts share, and its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedCache {
    /// A `gs://` or `s3://` URL, as it was given; whether it is one of a bucket has not been looked at.
    pub url: String,
    /// Who chose it.
    pub origin: Origin,
}

impl SharedCache {
    /// Chooses: `--shared-cache`, `TFHUB_FS_SHARED_CACHE`, else what is in a bucket of what [`CacheDir::choose`] chooses
    /// from: the nearest word about the cache counts, be it a directory or a bucket.
    pub fn choose(
        flag: Option<&str>,
        dir: Option<&OsStr>,
        around: &Env<'_>,
    ) -> Result<Option<Self>, Error> {
        let of_env = around
            .var("TFHUB_FS_SHARED_CACHE")
            .map(|value| (value, Origin::Env("TFHUB_FS_SHARED_CACHE")));
        let chosen = flag
            .map(|value| (value.into(), Origin::Flag("--shared-cache")))
            .or(of_env);
        let (value, origin) = match chosen {
            Some(chosen) => chosen,
            None => match word(dir, around).filter(|(value, _)| is_bucket(value)) {
                Some(chosen) => chosen,
                None => return Ok(None),
            },
        };
        if !is_bucket(&value) {
            return Err(Error::SharedCache {
                typed: shown(&value.to_string_lossy()),
                why: String::from("it begins with neither gs:// nor s3://"),
                origin,
            });
        }
        let url = value.to_string_lossy().into_owned();
        Ok(Some(Self { url, origin }))
    }
}

impl CacheDir {
    /// Chooses: `--cache-dir`, `TFHUB_FS_CACHE_DIR`, `TFHUB_CACHE_DIR`, else the user's default,
    /// `<temp>/tfhub_modules` (for root `/var/cache/tfhub-fs`).
    ///
    /// A relative path starts at the working directory and `~` is an ordinary character, as in
    /// tensorflow_hub, so that both find the same directory. Unlike Python, a `TMPDIR` that does
    /// not exist is not skipped. A bucket (`gs://`, `s3://`) is a [`SharedCache`], with the default directory in front.
    pub fn choose(flag: Option<&OsStr>, around: &Env<'_>) -> Result<Self, Error> {
        // What is in a bucket is shared, and the default directory is in front of it.
        let chosen = word(flag, around).filter(|(value, _)| !is_bucket(value));
        let (value, origin) = match chosen {
            Some((value, origin)) => (checked(value, origin)?, origin),
            None => (default_for(around), Origin::Default),
        };
        let path = around.cwd.join(value).components().collect();
        Ok(Self { path, origin })
    }
}

/// The directory for what is missing in a cache that is not ours to write: `$CACHE_DIRECTORY`, which systemd sets; for root
/// `/var/cache/tfhub-fs`; else `$XDG_CACHE_HOME/tfhub-fs` or `~/.cache/tfhub-fs`.
pub fn private_cache_dir(around: &Env<'_>) -> Option<PathBuf> {
    let var = |name| around.var(name).map(PathBuf::from);
    // systemd separates several by colons.
    let of_service = var("CACHE_DIRECTORY").and_then(|dirs| std::env::split_paths(&dirs).next());
    let of_user = || match around.uid {
        0 => Some(PathBuf::from(OF_ROOT)),
        _ => {
            let cache = var("XDG_CACHE_HOME").or_else(|| Some(var("HOME")?.join(".cache")))?;
            Some(cache.join("tfhub-fs"))
        }
    };
    of_service.or_else(of_user).filter(|dir| dir.is_absolute())
}

/// What was said of the cache.
fn word(flag: Option<&OsStr>, around: &Env<'_>) -> Option<(OsString, Origin)> {
    let of_env = |name| around.var(name).map(|value| (value, Origin::Env(name)));
    flag.map(|value| (value.to_owned(), Origin::Flag("--cache-dir")))
        .or_else(|| of_env("TFHUB_FS_CACHE_DIR"))
        .or_else(|| of_env("TFHUB_CACHE_DIR"))
}

fn is_bucket(value: &OsStr) -> bool {
    let text = value.as_encoded_bytes();
    text.starts_with(b"gs://") || text.starts_with(b"s3://")
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

fn default_for(around: &Env<'_>) -> PathBuf {
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
        let around = Env {
            vars: &|name| env.iter().find(|(n, _)| *n == name).map(|(_, v)| v.into()),
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
    fn the_private_directory_is_the_services_or_the_users() {
        let private = |uid, env: &[(&str, &str)]| {
            let around = Env {
                vars: &|name| env.iter().find(|(n, _)| *n == name).map(|(_, v)| v.into()),
                uid,
                cwd: Path::new("/"),
            };
            private_cache_dir(&around).map(|dir| dir.display().to_string())
        };
        let all = [
            ("CACHE_DIRECTORY", "/var/cache/x:/y"),
            ("XDG_CACHE_HOME", "/c"),
            ("HOME", "/home/u"),
        ];
        for (uid, from, want) in [
            (1000, 0, Some("/var/cache/x")),
            (1000, 1, Some("/c/tfhub-fs")),
            (1000, 2, Some("/home/u/.cache/tfhub-fs")),
            (1000, 3, None),
            (0, 1, Some("/var/cache/tfhub-fs")),
        ] {
            assert_eq!(private(uid, &all[from..]).as_deref(), want);
        }
        assert_eq!(private(1000, &[("HOME", "relative")]), None);
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
    fn buckets_have_the_default_directory_in_front() {
        for value in ["gs://bucket/dir", "s3://bucket"] {
            for (flag, env, origin) in [
                (Some(value), vec![], Origin::Flag("--cache-dir")),
                (
                    None,
                    vec![("TFHUB_FS_CACHE_DIR", value), ("TFHUB_CACHE_DIR", "/x")],
                    Origin::Env("TFHUB_FS_CACHE_DIR"),
                ),
                (
                    None,
                    vec![("TFHUB_CACHE_DIR", value)],
                    Origin::Env("TFHUB_CACHE_DIR"),
                ),
            ] {
                let url = value.to_owned();
                assert_eq!(
                    shared(None, flag, &env),
                    Ok(Some(SharedCache { url, origin }))
                );
                is(
                    choose(flag, 1000, &env),
                    "/tmp/tfhub_modules",
                    Origin::Default,
                );
            }
        }
    }

    #[test]
    fn a_directory_may_be_said_beside_the_bucket() {
        let env = [
            ("TFHUB_FS_SHARED_CACHE", "s3://b"),
            ("TFHUB_CACHE_DIR", "gs://c"),
        ];
        let url = |found: Result<Option<SharedCache>, Error>| found.unwrap().unwrap().url;
        assert_eq!(url(shared(Some("gs://a"), None, &env)), "gs://a");
        assert_eq!(url(shared(None, Some("/dir"), &env)), "s3://b");
        assert_eq!(shared(None, Some("/dir"), &env[1..]), Ok(None));
        for wrong in ["", "/dir", "hdfs://x", "gs:/b", "https://b"] {
            let error = shared(Some(wrong), None, &[]).unwrap_err();
            assert!(matches!(error, Error::SharedCache { .. }), "{error}");
        }
    }

    #[test]
    fn what_is_neither_is_refused() {
        assert!(matches!(
            choose(Some("hdfs://x"), 1, &[]),
            Err(Error::RemoteCacheDir { .. })
        ));
        assert!(matches!(
            choose(Some(""), 1, &[]),
            Err(Error::EmptyCacheDir { .. })
        ));
    }

    fn shared(
        flag: Option<&str>,
        dir: Option<&str>,
        env: &[(&str, &str)],
    ) -> Result<Option<SharedCache>, Error> {
        let around = Env {
            vars: &|name| env.iter().find(|(n, _)| *n == name).map(|(_, v)| v.into()),
            uid: 1000,
            cwd: Path::new("/home/u"),
        };
        SharedCache::choose(flag, dir.map(OsStr::new), &around)
    }
}
