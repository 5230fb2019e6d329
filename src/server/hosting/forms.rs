//! Each form of one version.

use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;

use super::format::Format;
use super::{Hosting, not_found, text, unavailable};
use crate::server::Error;
use crate::server::bucket::Surface;
use crate::server::index::{Form, Found};
use crate::server::survey::Survey;

impl Hosting {
    /// Answers for the version `name`, which lies at `form`.
    pub async fn form(&self, name: &str, form: &Form, format: Format, request: &Parts) -> Response {
        let dir = match (format, form) {
            (Format::Compressed, _) | (Format::JsArchive, Form::Ready(..)) => {
                return self.archive(name, form, request).await;
            }
            (_, Form::Ready(..)) => {
                return lacks(&format!(
                    "{name} is a ready-made archive and has no other form; ask for /{name}?tf-hub-format=compressed, or serve its directory"
                ));
            }
            (_, Form::Tree(dir)) => dir,
        };
        let seen = match self.bucket.whole(name, dir).await {
            Ok(seen) => seen,
            Err(error) => return self.lost(name, &error).await,
        };
        match format {
            Format::Lite => self.lite(name, &seen, request).await,
            Format::JsArchive if !seen.has(b"model.json") => {
                lacks(&format!("{name} is no TF.js model: it holds no model.json"))
            }
            Format::JsArchive => self.archive(name, form, request).await,
            // No newline: a client takes the body as it is. No Location: a client would follow it.
            _ => text(StatusCode::SEE_OTHER, self.bucket.folder(name)),
        }
    }

    async fn lite(&self, name: &str, seen: &Survey, request: &Parts) -> Response {
        let file = seen.only(".tflite").map(|file| str::from_utf8(&file.name));
        match file {
            Some(Ok(file)) => self.file(&format!("{name}/{file}"), request).await,
            _ => lacks(&format!(
                "{name} is no TF Lite model: it does not hold exactly one .tflite file"
            )),
        }
    }

    /// One file of a version, with the headers that it has in the bucket.
    pub async fn file(&self, name: &str, request: &Parts) -> Response {
        match self.bucket.find(name).await {
            Ok(Some(_)) => self.bucket.send(name, request, Surface::Xml).await,
            Ok(None) => lacks(&format!("{name} is no file of a model here")),
            Err(error) => unavailable(name, &error),
        }
    }

    /// A version that was there at the last scan.
    async fn lost(&self, name: &str, error: &Error) -> Response {
        if error.is_gone()
            && let Ok(listing) = self.index().fresh().await
            && !matches!(listing.find(name), Found::Version { .. })
        {
            return not_found(&listing, name);
        }
        unavailable(name, error)
    }
}

fn lacks(why: &str) -> Response {
    text(StatusCode::NOT_FOUND, format!("{why}\n"))
}
