//! The files of one version, listed by Kaggle and read one by one where its redirects lead.

use std::sync::Arc;
use std::time::SystemTime;

use serde::Deserialize;

use super::name::Name;
use crate::checksum::Hashes;
use crate::fetch::{Client, redacted};
use crate::handle::Handle;
use crate::source::api::{About, Api, Page, encoded, url};
use crate::source::listed::{conflict, is_plain};
use crate::source::web::WebFile;
use crate::source::{Error, Folder, RemoteFile};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Files {
    #[serde(default)]
    files: Option<Vec<File>>,
    next_page_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    name: String,
    size: Number,
    creation_date: Option<String>,
}

/// Google's APIs write large numbers as strings.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Number {
    Plain(u64),
    Text(String),
}

impl Number {
    fn read(&self) -> Option<u64> {
        match self {
            Number::Plain(number) => Some(*number),
            Number::Text(text) => text.parse().ok(),
        }
    }
}

impl Page for Files {
    type Item = File;

    fn into_parts(self) -> (Vec<File>, Option<String>) {
        (self.files.unwrap_or_default(), self.next_page_token)
    }
}

/// Lists `name` at `version`.
pub(super) async fn folder(
    client: &Client,
    handle: &Handle,
    name: &Name,
    version: u64,
    about: &About,
) -> Result<Folder, Error> {
    let place = format!("{}/{version}", name.path());
    let path = format!("{place}/files");
    let shown = redacted(&client.mirrored(&url(&path)));
    let listed = Api { client }.all::<Files>(about, &path, "").await?;
    let odd = listed.iter().filter(|file| !is_plain(&file.name)).count();
    if odd > 0 {
        tracing::warn!(model = %handle, odd, "Kaggle lists names that cannot be files; they are left out");
    }
    let plain = listed.into_iter().filter(|file| is_plain(&file.name));
    let mut files = Vec::new();
    for file in plain {
        let Some(size) = file.size.read() else {
            return Err(about.broken(&shown, &format!("lists {:?} without its size", file.name)));
        };
        let parts: Vec<String> = file.name.split('/').map(encoded).collect();
        let from = url(&format!("{place}/download/{}", parts.join("/")));
        files.push(RemoteFile {
            size,
            mtime: mtime(file.creation_date.as_deref()),
            // Not listed: asked of the file itself when it is complete.
            hashes: Hashes::default(),
            // A version is never changed.
            version: format!("kaggle {place}"),
            from: Arc::new(WebFile::listed(client, handle, from, size)),
            name: file.name,
        });
    }
    files.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    if let Some(twice) = conflict(files.iter().map(|file| file.name.as_str())) {
        return Err(about.broken(&shown, &format!("lists {twice:?} twice, or below a file")));
    }
    if files.is_empty() {
        return Err(about.broken(&shown, "lists no files"));
    }
    Ok(Folder {
        shown,
        files,
        dirs: Vec::new(),
    })
}

fn mtime(date: Option<&str>) -> SystemTime {
    let date = date.and_then(|date| date.parse::<jiff::Timestamp>().ok());
    date.and_then(|date| SystemTime::try_from(date).ok())
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_have_up_to_nine_digits() {
        let at = |seconds: u64, nanos| SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos);
        for (text, time) in [
            (Some("1970-01-01T00:00:02Z"), at(2, 0)),
            (Some("1970-01-01T00:00:02.123456789Z"), at(2, 123_456_789)),
            (Some("soon"), at(0, 0)),
            (None, at(0, 0)),
        ] {
            assert_eq!(mtime(text), time, "{text:?}");
        }
    }
}
