//! Amazon's files of credentials and settings, where its own programs look for them.
//!
//! <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>. Only keys that stand in the files are used: profiles that
//! assume roles or ask other programs need the environment variables that those programs print.

use std::collections::HashMap;
use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::Env;

/// Hundreds of profiles fit.
const MAX_FILE: u64 = 1 << 20;

/// What says to Amazon who asks. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct AwsKeys {
    /// The public part.
    pub id: String,
    /// The secret.
    pub secret: String,
    /// Of temporary keys.
    pub token: Option<String>,
}

impl fmt::Debug for AwsKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsKeys").finish_non_exhaustive()
    }
}

/// What the files say of the profile in use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AwsProfile {
    /// Its keys.
    pub keys: Option<AwsKeys>,
    /// Where its buckets are.
    pub region: Option<String>,
}

impl AwsProfile {
    /// The profile `AWS_PROFILE` (else `AWS_DEFAULT_PROFILE`, else `default`) of `~/.aws/credentials` and `~/.aws/config`, or of the
    /// files that `AWS_SHARED_CREDENTIALS_FILE` and `AWS_CONFIG_FILE` name. The first file counts more.
    pub fn find(around: &Env<'_>) -> AwsProfile {
        let text = |name| Some(around.var(name)?.to_string_lossy().into_owned());
        let profile = text("AWS_PROFILE").or_else(|| text("AWS_DEFAULT_PROFILE"));
        let profile = profile.unwrap_or_else(|| "default".to_owned());
        let home = around.var("HOME").map(|home| around.cwd.join(home));
        let file = |name, usual| {
            let named = around.var(name).map(|path| around.cwd.join(path));
            let usual = home.as_ref().map(|home| home.join(".aws").join(usual));
            read(&named.or(usual)?)
        };
        let credentials = file("AWS_SHARED_CREDENTIALS_FILE", "credentials");
        let config = file("AWS_CONFIG_FILE", "config");
        let mut found = config
            .and_then(|text| section(&text, &[&format!("profile {profile}"), &profile]))
            .unwrap_or_default();
        found.extend(
            credentials
                .and_then(|text| section(&text, &[&profile]))
                .unwrap_or_default(),
        );
        let keys = || {
            Some(AwsKeys {
                id: found.get("aws_access_key_id")?.clone(),
                secret: found.get("aws_secret_access_key")?.clone(),
                token: found.get("aws_session_token").cloned(),
            })
        };
        AwsProfile {
            keys: keys(),
            region: found.get("region").cloned(),
        }
    }
}

fn read(path: &Path) -> Option<String> {
    match text_of(path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            tracing::warn!(%error, "{} is not used, because it cannot be read", path.display());
            None
        }
    }
}

fn text_of(path: &Path) -> io::Result<String> {
    // A FIFO in its place makes nobody wait.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a plain file"));
    }
    let mut text = String::new();
    file.take(MAX_FILE).read_to_string(&mut text)?;
    Ok(text)
}

/// The settings below the first heading that is one of `names`.
fn section(text: &str, names: &[&str]) -> Option<HashMap<String, String>> {
    let mut found: Option<HashMap<String, String>> = None;
    let mut inside = false;
    for line in text.lines() {
        if let Some(heading) = line.trim().strip_prefix('[') {
            let heading = heading.split(']').next().unwrap_or("");
            let heading: Vec<&str> = heading.split_whitespace().collect();
            inside = found.is_none() && names.contains(&heading.join(" ").as_str());
            if inside {
                found = Some(HashMap::new());
            }
            continue;
        }
        // An indented line belongs to the setting above it; a remark to nobody.
        if !inside || line.starts_with([' ', '\t', '#', ';']) {
            continue;
        }
        if let (Some((name, value)), Some(found)) = (line.split_once('='), &mut found) {
            let value = value.split(" #").next().unwrap_or("").trim();
            if !value.is_empty() {
                found.insert(name.trim().to_ascii_lowercase(), value.to_owned());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    fn found(env: &[(&str, &str)], credentials: &str, config: &str) -> AwsProfile {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".aws")).unwrap();
        for (name, text) in [("credentials", credentials), ("config", config)] {
            if !text.is_empty() {
                std::fs::write(home.path().join(".aws").join(name), text).unwrap();
            }
        }
        let get = |name: &str| match name {
            "HOME" => Some(home.path().as_os_str().to_owned()),
            _ => {
                let value = env.iter().find(|(known, _)| *known == name)?.1;
                Some(OsString::from(value))
            }
        };
        AwsProfile::find(&Env {
            vars: &get,
            uid: 1000,
            cwd: Path::new("/"),
        })
    }

    fn keys(id: &str, secret: &str, token: Option<&str>) -> Option<AwsKeys> {
        Some(AwsKeys {
            id: id.into(),
            secret: secret.into(),
            token: token.map(str::to_owned),
        })
    }

    #[test]
    fn profiles_are_found_where_amazons_programs_find_them() {
        let credentials = "[default]\naws_access_key_id = A\naws_secret_access_key=S=/+ # mine\n\n\
            [work]\nAWS_ACCESS_KEY_ID = B\naws_secret_access_key = T\naws_session_token = U\n";
        let config = "[default]\nregion = eu-central-1\n[profile work]\nregion=us-west-2\ns3 =\n  region = wrong\n\
            [profile only]\naws_access_key_id = C\naws_secret_access_key = V\n";
        let default = found(&[], credentials, config);
        assert_eq!(default.keys, keys("A", "S=/+", None));
        assert_eq!(default.region.as_deref(), Some("eu-central-1"));
        let work = found(&[("AWS_PROFILE", "work")], credentials, config);
        assert_eq!(work.keys, keys("B", "T", Some("U")));
        assert_eq!(work.region.as_deref(), Some("us-west-2"));
        let only = found(&[("AWS_DEFAULT_PROFILE", "only")], credentials, config);
        assert_eq!(only.keys, keys("C", "V", None));
        assert_eq!(
            found(&[("AWS_PROFILE", "none")], credentials, config),
            AwsProfile::default()
        );
        assert_eq!(found(&[], "", ""), AwsProfile::default());
        let half = found(&[], "[default]\naws_access_key_id = A\n", "");
        assert_eq!(half.keys, None);
        assert!(!format!("{default:?}").contains("S=/+"));
    }

    proptest::proptest! {
        #[test]
        fn any_file_is_read(text in "[\\[\\]a-z=#; \\t\\n]{0,80}") {
            let _ = section(&text, &["default"]);
        }
    }
}
