//! TF Lite and TF.js models (tensorflow.org/hub/hosting), which have queries of their own: `lite-format=tflite` gives one
//! file, `tfjs-format=compressed` an archive. tensorflow_hub speaks neither, and not every host does; then the model is
//! asked for as any other, and its archive holds the same files.

use std::sync::Arc;
use std::time::SystemTime;

use futures_util::TryStreamExt;

use super::web::{WebFile, base};
use super::{Archive, Error, Folder, Plan, RemoteFile, hosting};
use crate::fetch::{Client, Resource};
use crate::handle::{Format, Handle, Kind};

const LITE: &str = "lite-format=tflite";
const JS: &str = "tfjs-format=compressed";

/// What a TF Lite file has from its fourth byte on (`file_identifier` in TensorFlow's schema.fbs).
const MARK: &[u8] = b"TFL3";

/// What a host gives for the query of the handle's own format; `None` where there is none, or the host does not know it.
pub(super) async fn plan(client: &Client, handle: &Handle) -> Result<Option<Plan>, Error> {
    match found(client, handle).await? {
        Some(resource) if handle.format() == Format::TfLite => lite(client, handle, resource).await,
        other => Ok(other.map(|resource| Plan::Archive(Archive::web(resource)))),
    }
}

/// What the query of the handle's own format leads to.
pub(super) async fn found(client: &Client, handle: &Handle) -> Result<Option<Resource>, Error> {
    let query = match (handle.kind(), handle.format()) {
        (Kind::Hosted | Kind::Kaggle, Format::TfLite) => LITE,
        (Kind::Hosted | Kind::Kaggle, Format::TfJs) => JS,
        _ => return Ok(None),
    };
    unless_refused(hosting::ask(client, handle, query).await)
}

/// A refusal is a reason to ask for an archive, and silence is none.
fn unless_refused<T>(told: Result<T, Error>) -> Result<Option<T>, Error> {
    match told {
        Ok(told) => Ok(Some(told)),
        Err(error) if error.is_timeout() => Err(error),
        Err(error) => {
            tracing::debug!(%error, "asking for an archive instead");
            Ok(None)
        }
    }
}

/// The model of one file, if that is what was found: many hosts ignore queries that they do not know.
async fn lite(client: &Client, handle: &Handle, found: Resource) -> Result<Option<Plan>, Error> {
    let (Some(size), true) = (found.size, found.ranges) else {
        return Ok(None);
    };
    let (start, end) = (4, 4 + MARK.len());
    if size < end as u64 {
        return Ok(None);
    }
    let file = RemoteFile {
        name: name(handle, &found.url()),
        size,
        mtime: mtime(&found),
        hashes: found.hashes,
        version: found
            .etag
            .clone()
            .or(found.last_modified.clone())
            .unwrap_or_default(),
        from: Arc::new(WebFile::probed(client, handle, found.clone(), size)),
    };
    let mark = file.from.read(start..end as u64);
    let mark: Result<Vec<_>, _> = mark.try_collect().await;
    let mark = unless_refused(mark)?.unwrap_or_default();
    let folder = || Folder {
        shown: found.shown(),
        files: vec![file],
        dirs: Vec::new(),
    };
    Ok((mark.concat() == MARK).then(|| Plan::Files(Arc::new(folder()))))
}

/// What the host calls the file, if that is a name; else the version, as Kaggle has it.
fn name(handle: &Handle, url: &str) -> String {
    let base = base(url);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let fits = base.len() <= 255 && !base.starts_with('.') && base.chars().all(plain);
    match (handle.version(), base.ends_with(".tflite") && fits) {
        (_, true) => base.to_owned(),
        (Some(version), false) => format!("{version}.tflite"),
        (None, false) => String::from("model.tflite"),
    }
}

fn mtime(found: &Resource) -> SystemTime {
    let told = found.last_modified.as_deref();
    told.and_then(|told| httpdate::parse_http_date(told).ok())
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_called_as_the_host_calls_it() {
        let handle =
            Handle::parse("https://tfhub.dev/google/lite-model/x/tflite/float16/4").unwrap();
        for (url, want) in [
            (
                "https://h/kagglesdsdata/models/1/2/1.tflite?X=a",
                "1.tflite",
            ),
            ("https://h/m/4?lite-format=tflite", "4.tflite"),
            ("https://h/m/a%2fb.tflite", "4.tflite"),
            ("https://h/m/.tflite", "4.tflite"),
        ] {
            assert_eq!(name(&handle, url), want, "{url}");
        }
        let unversioned = handle.unversioned().unwrap();
        assert_eq!(name(&unversioned, "https://h/m"), "model.tflite");
    }
}
