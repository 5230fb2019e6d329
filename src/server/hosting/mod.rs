//! The hosting protocol: what a handle's URL answers.
//!
//! | asked | answer |
//! |---|---|
//! | `/<p>/<m>/<v>?tf-hub-format=compressed` | the archive, with ETag, ranges and `x-goog-hash` |
//! | `/<p>/<m>?tf-hub-format=...` | 302 to the newest version, same query |
//! | `...?tf-hub-format=uncompressed` | 303, its body the `gs://` folder of a directory; 404 for an archive |
//! | `...?lite-format=tflite` | the one `.tflite` file of a directory |
//! | `...?tfjs-format=compressed` | the archive of a directory with a `model.json`, or a ready-made one |
//! | `/<p>/<m>/<v>/<file>?tfjs-format=file` | the file |
//! | a path of the bucket | see `bucket` |
//! | any of these without a format, `/`, `/<p>` | a page for people |
//! | an unknown name | 404 that names what there is |

mod format;
mod forms;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;

use super::archives::Archives;
use super::bucket::{Bucket, Route};
use super::index::{Form, Found, Listing, ModelIndex};
use super::origin::Origin;
use super::page;
use super::{Error, transfer};
use format::Format;

/// Every path, every method.
pub fn router(bucket: Bucket, archives: Archives) -> Router {
    let hosting = Arc::new(Hosting { bucket, archives });
    Router::new().fallback(answer).with_state(hosting)
}

struct Hosting {
    bucket: Bucket,
    archives: Archives,
}

/// The handle in a request's path; one trailing slash is dropped. What does not
/// decode cannot be a name.
fn name_of(path: &str) -> Option<String> {
    let path = path.strip_prefix('/')?;
    let path = path.strip_suffix('/').unwrap_or(path);
    percent_decode_str(path).decode_utf8().ok().map(Into::into)
}

async fn answer(State(hosting): State<Arc<Hosting>>, request: Request) -> Response {
    let (request, body) = request.into_parts();
    let path = request.uri.path().to_owned();
    let (method, format) = (request.method.clone(), Format::of(request.uri.query()));
    let response = match method {
        _ if let Some(route) = Route::of(&path, hosting.bucket.name()) => match method {
            Method::GET | Method::HEAD => hosting.bucket.answer(route, &request).await,
            _ => hosting.bucket.refuse(&route, body).await,
        },
        Method::GET | Method::HEAD => hosting.answer(&request, format).await,
        _ => (
            StatusCode::METHOD_NOT_ALLOWED,
            [(ALLOW, "GET, HEAD")],
            "models are only read here\n",
        )
            .into_response(),
    };
    tracing::debug!(%method, path, ?format, status = response.status().as_u16(), "answered");
    response
}

impl Hosting {
    fn index(&self) -> &ModelIndex {
        self.bucket.index()
    }

    async fn answer(&self, request: &Parts, format: Format) -> Response {
        let Some(name) = name_of(request.uri.path()) else {
            return text(
                StatusCode::NOT_FOUND,
                "this path is no handle: <publisher>/<model>/<version>\n".into(),
            );
        };
        if format == Format::JsFile {
            return self.file(&name, request).await;
        }
        let mut listing = self.index().known();
        // A version that is known is known for good; everything else may have changed.
        let settled =
            matches!(listing.find(&name), Found::Version { .. }) && format == Format::Compressed;
        if !settled {
            listing = match self.index().fresh().await {
                Ok(listing) => listing,
                Err(error) => return unavailable(&name, &error),
            };
        }
        match (listing.find(&name), format) {
            (Found::Nothing, _) => not_found(&listing, &name),
            (Found::Model { .. } | Found::Version { .. }, Format::Unknown(known)) => {
                text(StatusCode::NOT_FOUND, known.to_owned())
            }
            (_, Format::Page) => self.page(&listing, &name, request).await,
            (Found::Version { form, .. }, _) => self.form(&name, form, format, request).await,
            (Found::Model { versions, .. }, _) => match versions.last_key_value() {
                Some((newest, _)) => to_newest(&name, *newest, request.uri.query()),
                None => not_found(&listing, &name),
            },
            (Found::Shelf, _) => not_found(&listing, &name),
        }
    }

    async fn archive(&self, name: &str, form: &Form, request: &Parts) -> Response {
        let mut outcome = self.archives.get(self.index().root(), name, form).await;
        if outcome.as_ref().is_err_and(|e| e.is_gone()) {
            // Removed, or exchanged for the other form, since the last scan.
            let listing = match self.index().fresh().await {
                Ok(listing) => listing,
                Err(error) => return unavailable(name, &error),
            };
            let Found::Version { form, .. } = listing.find(name) else {
                return not_found(&listing, name);
            };
            outcome = self.archives.get(self.index().root(), name, form).await;
        }
        match outcome {
            Ok(archive) => {
                match transfer::respond(name, self.index().root(), &archive, request).await {
                    Ok(response) => response,
                    Err(error) => unavailable(name, &error),
                }
            }
            Err(error) => unavailable(name, &error),
        }
    }

    async fn page(&self, listing: &Listing, name: &str, request: &Parts) -> Response {
        let origin = Origin::of(&request.headers, self.bucket.name());
        let html = match listing.find(name) {
            Found::Version {
                model,
                number,
                form,
            } => {
                let content = match page::Content::of(self.index().root(), form).await {
                    Ok(content) => content,
                    Err(error) => return unavailable(name, &error),
                };
                page::version(&origin, listing, model, number, &content)
            }
            Found::Model { model, versions } => page::model(&origin, listing, model, versions),
            Found::Shelf | Found::Nothing => page::shelf(&origin, listing, name),
        };
        page::response(html)
    }
}

fn to_newest(model: &str, newest: u64, query: Option<&str>) -> Response {
    let query = query.map(|q| format!("?{q}")).unwrap_or_default();
    // Only the index's own characters are in `model`, and a query that came in a request line fits a header.
    match HeaderValue::try_from(format!("/{model}/{newest}{query}")) {
        Ok(location) => (StatusCode::FOUND, [(LOCATION, location)]).into_response(),
        Err(_) => text(
            StatusCode::BAD_REQUEST,
            "the query cannot be repeated in a redirect\n".into(),
        ),
    }
}

/// Says what there is instead, the nearest first.
fn not_found(listing: &Listing, name: &str) -> Response {
    let parent = name.rsplit_once('/').map_or("", |(parent, _)| parent);
    let message = match listing.find(parent) {
        Found::Model { versions, .. } => {
            let versions: Vec<_> = versions.keys().map(u64::to_string).collect();
            format!(
                "{name} is not here; versions of {parent}: {}\n",
                versions.join(", ")
            )
        }
        _ if name.is_empty() => "no model is here yet\n".to_owned(),
        _ => format!("{name} is not here; / lists the models\n"),
    };
    text(StatusCode::NOT_FOUND, message)
}

fn text(status: StatusCode, message: String) -> Response {
    (
        status,
        [(CONTENT_TYPE, "text/plain; charset=utf-8")],
        Body::from(message),
    )
        .into_response()
}

/// The reason goes to the log: it names paths that are no client's business.
fn unavailable(name: &str, error: &Error) -> Response {
    tracing::warn!("{name} cannot be sent: {error}");
    let (status, why) = match error {
        Error::Changed { .. } | Error::Incomplete { .. } => (
            StatusCode::SERVICE_UNAVAILABLE,
            "it is being changed or only half there",
        ),
        Error::Spool { .. } => (
            StatusCode::SERVICE_UNAVAILABLE,
            "there is no room to pack it",
        ),
        Error::Stray { .. } | Error::Unnameable { .. } => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "its directory holds something that must not be offered",
        ),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "it cannot be read"),
    };
    let message = format!("{name} cannot be sent just now: {why}; the server's log says more\n");
    let mut response = text(status, message);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

#[cfg(test)]
mod tests;
