//! Where Google Cloud Storage is spoken to.

use super::{BaseUrl, Env, Error};

const OURS: &str = "TFHUB_FS_GCS_ENDPOINT";

/// Google's own variable for emulators: a URL, or `host:port` in plain http as its Go client has it.
const OF_GOOGLE: &str = "STORAGE_EMULATOR_HOST";

/// Chooses: `--gcs-endpoint`, `TFHUB_FS_GCS_ENDPOINT`, `STORAGE_EMULATOR_HOST`, else Google's own (`None`).
///
/// # Errors
///
/// What was typed is no base URL.
pub fn gcs_endpoint(flag: Option<&str>, around: &Env<'_>) -> Result<Option<BaseUrl>, Error> {
    let text = |name| {
        let value = around.var(name)?;
        Some(value.to_string_lossy().into_owned())
    };
    let typed = flag.map(str::to_owned).or_else(|| text(OURS));
    let typed = typed.or_else(|| {
        let host = text(OF_GOOGLE)?;
        Some(match host.contains("://") {
            true => host,
            false => format!("http://{host}"),
        })
    });
    typed.map(|typed| typed.parse()).transpose()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn choose(flag: Option<&str>, env: &[(&str, &str)]) -> Option<String> {
        let around = Env {
            vars: &|name| env.iter().find(|(n, _)| *n == name).map(|(_, v)| v.into()),
            uid: 1000,
            cwd: Path::new("/"),
        };
        let chosen = gcs_endpoint(flag, &around).unwrap();
        chosen.map(|url| url.as_str().to_owned())
    }

    #[test]
    fn the_nearest_word_wins() {
        let env = [(OURS, "https://ours:8443"), (OF_GOOGLE, "127.0.0.1:9023")];
        assert_eq!(
            choose(Some("http://localhost:1/"), &env).as_deref(),
            Some("http://localhost:1")
        );
        assert_eq!(choose(None, &env).as_deref(), Some("https://ours:8443"));
        assert_eq!(
            choose(None, &env[1..]).as_deref(),
            Some("http://127.0.0.1:9023")
        );
        let url = [(OF_GOOGLE, "http://127.0.0.1:9023")];
        assert_eq!(choose(None, &url).as_deref(), Some("http://127.0.0.1:9023"));
        assert_eq!(choose(None, &[]), None);
    }
}
