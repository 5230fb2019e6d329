//! Kaggle's credentials and kagglehub's cache, where kagglehub looks for them.
//!
//! This is the one place here that reads files: credentials are kept in them. A file that other users may read is
//! not used, because what is in it may be known to them; one that is broken is not used either. Both are told once,
//! and neither keeps anybody from public models, which need no credentials.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{BaseUrl, Env, Error, Origin};

const TOKEN: &str = "KAGGLE_API_TOKEN";
const USERNAME: &str = "KAGGLE_USERNAME";
const KEY: &str = "KAGGLE_KEY";

/// Tokens are some hundred bytes, `kaggle.json` some sixty.
const MAX_FILE: u64 = 64 << 10;

/// Who may read a file besides its owner: nobody.
const OTHERS: u32 = 0o077;

/// Kaggle's two names.
const HOSTS: [&str; 2] = ["www.kaggle.com", "kaggle.com"];

/// What says to Kaggle who asks. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct KaggleCredentials {
    authorization: String,
}

impl KaggleCredentials {
    /// Looks in kagglehub's order: `KAGGLE_API_TOKEN` (a token, or the path of a file with one),
    /// `~/.kaggle/access_token`, `~/.kaggle/access_token.txt`, `KAGGLE_USERNAME` with `KAGGLE_KEY`,
    /// `$KAGGLE_CONFIG_DIR/kaggle.json` (`~/.kaggle/kaggle.json`).
    ///
    /// # Errors
    ///
    /// An environment variable holds what no request can carry.
    pub fn find(around: &Env<'_>) -> Result<Option<Self>, Error> {
        let home = around.var("HOME").map(|home| around.cwd.join(home));
        let home = home.map(|home| home.join(".kaggle"));
        if let Some(token) = around.var(TOKEN) {
            let path = around.cwd.join(&token);
            if !path.is_file() {
                return token_of(&token).map(Some);
            }
            return Ok(read(&path, bearer));
        }
        for name in ["access_token", "access_token.txt"] {
            let path = home.as_ref().map(|home| home.join(name));
            if let Some(found) = path.and_then(|path| read(&path, bearer)) {
                return Ok(Some(found));
            }
        }
        if let (Some(user), Some(key)) = (around.var(USERNAME), around.var(KEY)) {
            return pair_of(&user, &key).map(Some);
        }
        let dir = around.var("KAGGLE_CONFIG_DIR");
        let dir = dir.map(|dir| around.cwd.join(dir)).or(home);
        Ok(dir.and_then(|dir| read(&dir.join("kaggle.json"), basic_of_json)))
    }

    /// The value of `Authorization`. A secret.
    pub fn authorization(&self) -> &str {
        &self.authorization
    }

    /// The only hosts (`host` or `host:port`) that may be told them: Kaggle's, or what `--kaggle-url` puts in its place.
    pub fn hosts(kaggle_url: Option<&BaseUrl>) -> Vec<String> {
        match kaggle_url {
            Some(url) => vec![url.authority().to_owned()],
            None => HOSTS.map(str::to_owned).to_vec(),
        }
    }
}

impl fmt::Debug for KaggleCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KaggleCredentials").finish_non_exhaustive()
    }
}

/// kagglehub's cache: `KAGGLEHUB_CACHE`, else `~/.cache/kagglehub`. `None` without a home. Not looked at.
pub fn kagglehub_cache(around: &Env<'_>) -> Option<PathBuf> {
    let of_home = || Some(PathBuf::from(around.var("HOME")?).join(".cache/kagglehub"));
    let named = around.var("KAGGLEHUB_CACHE").map(PathBuf::from);
    Some(around.cwd.join(named.or_else(of_home)?))
}

fn token_of(value: &OsString) -> Result<KaggleCredentials, Error> {
    let authorization = value.to_str().and_then(bearer);
    authorization
        .map(|authorization| KaggleCredentials { authorization })
        .ok_or_else(|| unusable(TOKEN))
}

fn pair_of(user: &OsStr, key: &OsStr) -> Result<KaggleCredentials, Error> {
    let user = user.to_str().ok_or_else(|| unusable(USERNAME))?;
    let key = key.to_str().ok_or_else(|| unusable(KEY))?;
    Ok(KaggleCredentials {
        authorization: basic(user, key).ok_or_else(|| unusable(USERNAME))?,
    })
}

fn unusable(name: &'static str) -> Error {
    Error::KaggleCredentials {
        origin: Origin::Env(name),
    }
}

fn bearer(token: &str) -> Option<String> {
    let token = token.trim();
    let fits = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| format!("Bearer {token}"))
}

fn basic(user: &str, key: &str) -> Option<String> {
    let (user, key) = (user.trim(), key.trim());
    let fits = !user.is_empty() && !user.contains(':') && !key.is_empty();
    fits.then(|| format!("Basic {}", STANDARD.encode(format!("{user}:{key}"))))
}

fn basic_of_json(text: &str) -> Option<String> {
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    basic(json.get("username")?.as_str()?, json.get("key")?.as_str()?)
}

/// The credentials in a file; `None`, with a warning, for a file that is there and cannot be used.
fn read(path: &Path, meaning: impl Fn(&str) -> Option<String>) -> Option<KaggleCredentials> {
    let file = path.display();
    let text = match text_of(path) {
        Ok(Ok(text)) => text,
        Ok(Err(Shared)) => {
            tracing::warn!("{file} is not used, because other users may read it: chmod 600 {file}");
            return None;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!(%error, "{file} is not used, because it cannot be read");
            return None;
        }
    };
    let authorization = meaning(&text);
    if authorization.is_none() {
        tracing::warn!("{file} is not used, because it holds no Kaggle credentials");
    }
    Some(KaggleCredentials {
        authorization: authorization?,
    })
}

/// A file that others may read.
struct Shared;

fn text_of(path: &Path) -> io::Result<Result<String, Shared>> {
    // A FIFO in its place makes nobody wait.
    let file: File = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::other("it is not a plain file"));
    }
    if meta.permissions().mode() & OTHERS != 0 {
        return Ok(Err(Shared));
    }
    let mut text = String::new();
    file.take(MAX_FILE).read_to_string(&mut text)?;
    Ok(Ok(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found with these variables, in a home of these files (name, mode, text).
    fn found(
        env: &[(&str, &str)],
        files: &[(&str, u32, &str)],
    ) -> Result<Option<KaggleCredentials>, Error> {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".kaggle")).unwrap();
        for (name, mode, text) in files {
            let path = home.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(*mode)).unwrap();
        }
        let of_env = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, v)| v.into());
        KaggleCredentials::find(&Env {
            vars: &|name| match name {
                "HOME" => Some(home.path().into()),
                _ => of_env(name),
            },
            uid: 1000,
            cwd: home.path(),
        })
    }

    fn authorization(env: &[(&str, &str)], files: &[(&str, u32, &str)]) -> Option<String> {
        found(env, files).unwrap().map(|found| found.authorization)
    }

    // `me:k`
    const BASIC: &str = "Basic bWU6aw==";
    const PAIR: [(&str, &str); 2] = [("KAGGLE_USERNAME", "me"), ("KAGGLE_KEY", "k")];
    const JSON: &str = r#"{"username":"me","key":"k"}"#;

    #[test]
    fn they_are_looked_for_in_kagglehubs_order() {
        let token = (".kaggle/access_token", 0o600, "T1\n");
        let text = (".kaggle/access_token.txt", 0o600, "T2");
        let json = (".kaggle/kaggle.json", 0o600, JSON);
        let all = [token, text, json];
        let env = [("KAGGLE_API_TOKEN", "T0"), PAIR[0], PAIR[1]];
        let bearer = |token: &str| Some(format!("Bearer {token}"));
        assert_eq!(authorization(&env, &all), bearer("T0"));
        assert_eq!(authorization(&PAIR, &all), bearer("T1"));
        assert_eq!(authorization(&PAIR, &all[1..]), bearer("T2"));
        assert_eq!(authorization(&PAIR, &[]).as_deref(), Some(BASIC));
        assert_eq!(authorization(&PAIR[..1], &[]), None);
        assert_eq!(authorization(&[], &all[2..]).as_deref(), Some(BASIC));
        assert_eq!(authorization(&[], &[]), None);
    }

    #[test]
    fn files_may_be_named() {
        let elsewhere = [("token", 0o600, "T3"), ("kaggle.json", 0o600, JSON)];
        let token = [("KAGGLE_API_TOKEN", "token")];
        assert_eq!(
            authorization(&token, &elsewhere).as_deref(),
            Some("Bearer T3")
        );
        let dir = [("KAGGLE_CONFIG_DIR", ".")];
        assert_eq!(authorization(&dir, &elsewhere).as_deref(), Some(BASIC));
    }

    #[test]
    fn what_others_may_read_and_what_is_broken_is_not_used() {
        for mode in [0o644, 0o640, 0o604, 0o660] {
            let files = [
                (".kaggle/access_token", mode, "T"),
                (".kaggle/kaggle.json", mode, JSON),
            ];
            assert_eq!(authorization(&[], &files), None, "{mode:o}");
        }
        for text in [
            "",
            "{}",
            r#"{"username":"me"}"#,
            r#"{"username":"","key":"k"}"#,
        ] {
            let json = (".kaggle/kaggle.json", 0o600, text);
            assert_eq!(authorization(&[], &[json]), None, "{text}");
        }
        let good = (".kaggle/kaggle.json", 0o600, JSON);
        let bad = (".kaggle/access_token", 0o644, "T");
        assert_eq!(authorization(&[], &[bad, good]).as_deref(), Some(BASIC));
    }

    #[test]
    fn they_are_never_shown() {
        let error = found(&[("KAGGLE_API_TOKEN", "S3C RET")], &[]).unwrap_err();
        assert!(!error.to_string().contains("S3C"), "{error}");
        assert!(error.to_string().contains("KAGGLE_API_TOKEN"), "{error}");
        let found = found(&[("KAGGLE_API_TOKEN", "S3CRET")], &[]).unwrap();
        assert!(!format!("{found:?}").contains("S3CRET"));
    }

    #[test]
    fn they_are_for_kaggles_hosts() {
        let url = "http://127.0.0.1:7777/x".parse().unwrap();
        assert_eq!(KaggleCredentials::hosts(Some(&url)), ["127.0.0.1:7777"]);
        assert_eq!(
            KaggleCredentials::hosts(None),
            ["www.kaggle.com", "kaggle.com"]
        );
    }

    #[test]
    fn kagglehubs_cache_is_named_or_in_the_home() {
        let at = |env: &[(&str, &str)]| {
            kagglehub_cache(&Env {
                vars: &|name| env.iter().find(|(n, _)| *n == name).map(|(_, v)| v.into()),
                uid: 1000,
                cwd: Path::new("/start"),
            })
        };
        let home = ("HOME", "/home/me");
        assert_eq!(at(&[home]), Some("/home/me/.cache/kagglehub".into()));
        let named = ("KAGGLEHUB_CACHE", "kh");
        assert_eq!(at(&[home, named]), Some("/start/kh".into()));
        assert_eq!(at(&[]), None);
    }
}
