//! In which form models are asked of a hub.

use std::fmt;
use std::str::FromStr;

use super::{Env, Error, Origin};

/// tensorflow_hub's variable.
const OF_TFHUB: &str = "TFHUB_MODEL_LOAD_FORMAT";

/// The form in which models are asked of a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoadFormat {
    /// Compressed, as in tensorflow_hub, except where the archive has no room in the cache or only files exist.
    #[default]
    Auto,
    /// One archive per model.
    Compressed,
    /// The files where they are, of which only what is read has to be fetched.
    Uncompressed,
}

impl LoadFormat {
    /// Chooses: `--load-format`, `TFHUB_FS_LOAD_FORMAT`, `TFHUB_MODEL_LOAD_FORMAT`, else `auto`.
    ///
    /// Our own take any case. TensorFlow Hub's takes capitals only, because tensorflow_hub does
    /// not know other spellings of them.
    pub fn choose(flag: Option<&str>, around: &Env<'_>) -> Result<(Self, Origin), Error> {
        let ours = "TFHUB_FS_LOAD_FORMAT";
        let text = |name| {
            around
                .var(name)
                .map(|value| value.to_string_lossy().into_owned())
        };
        if let Some(typed) = flag {
            let origin = Origin::Flag("--load-format");
            return Ok((read(typed, origin)?, origin));
        }
        if let Some(typed) = text(ours) {
            let origin = Origin::Env(ours);
            return Ok((read(&typed, origin)?, origin));
        }
        let Some(typed) = text(OF_TFHUB) else {
            return Ok((Self::default(), Origin::Default));
        };
        let origin = Origin::Env(OF_TFHUB);
        let format = read(&typed, origin)?;
        if typed == typed.to_ascii_uppercase() {
            Ok((format, origin))
        } else {
            Err(Error::LoadFormatCase {
                capitals: typed.to_ascii_uppercase(),
                typed,
            })
        }
    }
}

impl FromStr for LoadFormat {
    type Err = Error;

    /// Reads the value of `--load-format`, in any case.
    fn from_str(typed: &str) -> Result<Self, Error> {
        read(typed, Origin::Flag("--load-format"))
    }
}

impl fmt::Display for LoadFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LoadFormat::Auto => "auto",
            LoadFormat::Compressed => "compressed",
            LoadFormat::Uncompressed => "uncompressed",
        })
    }
}

fn read(typed: &str, origin: Origin) -> Result<LoadFormat, Error> {
    match typed.to_ascii_lowercase().as_str() {
        "auto" => Ok(LoadFormat::Auto),
        "compressed" => Ok(LoadFormat::Compressed),
        "uncompressed" => Ok(LoadFormat::Uncompressed),
        _ => Err(Error::LoadFormat {
            typed: typed.escape_debug().to_string(),
            origin,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn choose(flag: Option<&str>, env: &[(&str, &str)]) -> Result<(LoadFormat, Origin), Error> {
        let around = Env {
            vars: &|name| env.iter().find(|(n, _)| *n == name).map(|(_, v)| v.into()),
            uid: 1000,
            cwd: Path::new("/"),
        };
        LoadFormat::choose(flag, &around)
    }

    #[test]
    fn the_nearest_word_wins() {
        let env = [("TFHUB_FS_LOAD_FORMAT", "Auto"), (OF_TFHUB, "COMPRESSED")];
        let (auto, compressed) = (LoadFormat::Auto, LoadFormat::Compressed);
        let flag = Origin::Flag("--load-format");
        assert_eq!(choose(Some("cOmpressed"), &env), Ok((compressed, flag)));
        assert_eq!(
            choose(None, &env),
            Ok((auto, Origin::Env("TFHUB_FS_LOAD_FORMAT")))
        );
        assert_eq!(
            choose(None, &env[1..]),
            Ok((compressed, Origin::Env(OF_TFHUB)))
        );
        assert_eq!(choose(None, &[(OF_TFHUB, "")]), Ok((auto, Origin::Default)));
        assert_eq!("AUTO".parse(), Ok(auto));
        assert_eq!(auto.to_string().parse(), Ok(auto));
        for format in [compressed, LoadFormat::Uncompressed] {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert_eq!(
            choose(None, &[(OF_TFHUB, "UNCOMPRESSED")]),
            Ok((LoadFormat::Uncompressed, Origin::Env(OF_TFHUB)))
        );
    }

    #[test]
    fn what_is_no_format_says_which_there_are() {
        let error = choose(Some("zip"), &[]).unwrap_err().to_string();
        assert!(
            error.contains("`zip`") && error.contains("auto, compressed, uncompressed"),
            "{error}"
        );
        let error = choose(None, &[(OF_TFHUB, "compressed")])
            .unwrap_err()
            .to_string();
        assert!(error.contains("`COMPRESSED`"), "{error}");
    }
}
