//! What writers ask of a bucket that may be written.
//!
//! | asked | done |
//! |---|---|
//! | `POST /upload/storage/v1/b/<bucket>/o?uploadType=media&name=<object>` | an object is made |
//! | the same with `resumable`, then `PUT` of parts with `Content-Range` | an object is made of parts, in order |
//! | `PUT /<bucket>/<object>` | an object is made |
//! | `POST ?uploads`, `PUT ?partNumber=&uploadId=`, `POST ?uploadId=` | an object is made of parts, in any order |
//! | `DELETE` of an object, on both surfaces | it is gone |
//!
//! Under conditions: `ifGenerationMatch`, `x-goog-if-generation-match`, `If-None-Match: *`, `If-Match`.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderName, Method, StatusCode};
use axum::response::Response;
use tokio::time::timeout;

use super::answer::Parameters;
use super::fault::{Fault, Surface};
use super::folder::{Change, Condition, Folder};
use super::uploads::{self, Told};
use super::{Bucket, Object, Route, json};
use crate::server::blocking;
use crate::server::origin::Origin;
use crate::server::survey::Stamp;
use crate::server::transfer::put;

/// How much of what may not be written is heard out before it is refused, and how long.
const HEARD_BYTES: usize = 1 << 20;
const HEARD: Duration = Duration::from_secs(5);

impl Bucket {
    /// Answers a request that is to change something.
    pub async fn change(&self, route: Route, request: &Parts, body: Body) -> Response {
        let surface = match &route {
            Route::XmlList | Route::XmlObject(_) => Surface::Xml,
            _ => Surface::Json,
        };
        let changed = match &self.folder {
            Some(folder) => self.changed(folder, route, request, body).await,
            None => {
                // Whoever is still sending hears no answer when the connection ends under what it sends.
                let _ = timeout(HEARD, axum::body::to_bytes(body, HEARD_BYTES)).await;
                Err(Fault::Denied)
            }
        };
        changed.unwrap_or_else(|fault| fault.response(surface))
    }

    async fn changed(
        &self,
        folder: &std::sync::Arc<Folder>,
        route: Route,
        request: &Parts,
        body: Body,
    ) -> Result<Response, Fault> {
        let asked = Parameters::of(request);
        let condition = condition(request, &asked)?;
        match (&request.method, route) {
            (&Method::DELETE, Route::XmlObject(_)) if asked.get("uploadId").is_some() => {
                self.uploads.forget(asked.get("uploadId"));
                Ok(status(StatusCode::NO_CONTENT))
            }
            (&Method::DELETE, Route::Object(_, name) | Route::XmlObject(name)) => {
                let (folder, gone) = (folder.clone(), name.clone());
                let change = run(&name, move || folder.remove(&gone, &condition)).await?;
                self.done(&name, change)?;
                Ok(status(StatusCode::NO_CONTENT))
            }
            (&Method::POST, Route::Upload(_)) => {
                let name = asked
                    .text("name")
                    .ok_or_else(|| invalid("Required parameter: name"))?;
                match asked.get("uploadType") {
                    Some("media") => {
                        let aside = uploads::receive(folder, body).await?;
                        self.made(folder, request, &name, aside, condition).await
                    }
                    Some("resumable") => {
                        let id = self.uploads.begin(name, condition)?;
                        let url = Origin::of(&request.headers, &self.name).url;
                        let path = format!("{url}/upload/storage/v1/b/{}/o", self.name);
                        let mut response = status(StatusCode::OK);
                        let place = format!("{path}?uploadType=resumable&upload_id={id}");
                        put(response.headers_mut(), axum::http::header::LOCATION, place);
                        Ok(response)
                    }
                    _ => Err(invalid("uploadType is media or resumable here")),
                }
            }
            (&Method::PUT, Route::Upload(_)) => {
                let id = asked.get("upload_id").unwrap_or_default();
                match self
                    .uploads
                    .part(folder, id, &request.headers, body)
                    .await?
                {
                    Told::More(response) => Ok(response),
                    Told::Whole(name, aside, condition) => {
                        let made = self.made(folder, request, &name, aside, condition).await;
                        self.uploads.forget(Some(id));
                        made
                    }
                }
            }
            (&Method::DELETE, Route::Upload(_)) => {
                self.uploads.forget(asked.get("upload_id"));
                Ok(StatusCode::from_u16(499).map_or_else(|_| status(StatusCode::OK), status))
            }
            (&Method::PUT, Route::XmlObject(_)) if asked.get("uploadId").is_some() => {
                let aside = uploads::receive(folder, body).await?;
                let id = asked.get("uploadId").unwrap_or_default();
                let tag = self.uploads.keep(id, asked.number("partNumber")?, aside)?;
                let mut response = status(StatusCode::OK);
                put(response.headers_mut(), ETAG, tag);
                Ok(response)
            }
            (&Method::PUT, Route::XmlObject(name)) => {
                let aside = uploads::receive(folder, body).await?;
                let stamp = self.commit(folder, &name, aside, condition).await?;
                let mut response = status(StatusCode::OK);
                describe(&mut response, &stamp);
                Ok(response)
            }
            (&Method::POST, Route::XmlObject(name)) if asked.get("uploads").is_some() => {
                let id = self.uploads.begin(name, Condition::default())?;
                Ok(xml(
                    "InitiateMultipartUploadResult",
                    &format!("<UploadId>{id}</UploadId>"),
                ))
            }
            (&Method::POST, Route::XmlObject(name)) if asked.get("uploadId").is_some() => {
                let id = asked.get("uploadId").unwrap_or_default();
                let aside = self.uploads.join(folder, id, body).await?;
                let stamp = self.commit(folder, &name, aside, condition).await?;
                self.uploads.forget(Some(id));
                let tag = super::xml::escape(&stamp.etag());
                let mut response = xml(
                    "CompleteMultipartUploadResult",
                    &format!("<ETag>{tag}</ETag>"),
                );
                describe(&mut response, &stamp);
                Ok(response)
            }
            _ => Err(Fault::NoSuchThing),
        }
    }

    /// Makes the object, and tells of it as the JSON surface does.
    async fn made(
        &self,
        folder: &std::sync::Arc<Folder>,
        request: &Parts,
        name: &str,
        aside: uploads::Aside,
        condition: Condition,
    ) -> Result<Response, Fault> {
        let stamp = self.commit(folder, name, aside, condition).await?;
        let found = folder.find(name).map_err(Fault::Failed)?;
        let object = Object {
            stamp,
            ..found.ok_or_else(|| Fault::NoObject(self.name.clone(), name.to_owned()))?
        };
        let sums = self.sums_of(std::slice::from_ref(&object)).await;
        let origin = Origin::of(&request.headers, &self.name);
        let sums = sums.first().copied().flatten();
        Ok(json::response(&json::object(&origin, &object, sums)))
    }

    async fn commit(
        &self,
        folder: &std::sync::Arc<Folder>,
        name: &str,
        aside: uploads::Aside,
        condition: Condition,
    ) -> Result<Stamp, Fault> {
        let (folder, named) = (folder.clone(), name.to_owned());
        let change = run(name, move || {
            aside.file.sync_data()?;
            folder.put(&named, &aside.path, &condition)
        });
        self.done(name, change.await?)
    }

    fn done(&self, name: &str, change: Change) -> Result<Stamp, Fault> {
        match change {
            Change::Done(stamp) => Ok(stamp),
            Change::Refused => Err(Fault::Precondition),
            Change::Absent => Err(Fault::NoObject(self.name.clone(), name.to_owned())),
            Change::Unnameable => Err(invalid("no file can be called so beside what is there")),
        }
    }
}

/// Work on the disk about the object called `name`.
async fn run<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, Fault> {
    let path = std::path::PathBuf::from(name);
    let work = move || work().map_err(|error| crate::server::Error::read(&path, error));
    blocking(name, work).await.map_err(Fault::Failed)
}

fn condition(request: &Parts, asked: &Parameters) -> Result<Condition, Fault> {
    let header = |name: HeaderName| {
        request
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let mut condition = Condition {
        generation: asked.number("ifGenerationMatch")?,
        tag: header(IF_MATCH).map(str::to_owned),
    };
    match header(IF_NONE_MATCH) {
        None => {}
        Some("*") => condition.generation = Some(0),
        Some(_) => return Err(invalid("If-None-Match is * here")),
    }
    Ok(condition)
}

fn invalid(why: &str) -> Fault {
    Fault::Invalid(why.to_owned())
}

fn status(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn describe(response: &mut Response, stamp: &Stamp) {
    let headers = response.headers_mut();
    put(headers, ETAG, stamp.etag());
    let generation = HeaderName::from_static("x-goog-generation");
    put(headers, generation, stamp.generation().to_string());
}

fn xml(root: &str, inner: &str) -> Response {
    let body = format!("<?xml version='1.0' encoding='UTF-8'?><{root}>{inner}</{root}>");
    let mut response = Response::new(Body::from(body));
    let name = axum::http::header::CONTENT_TYPE;
    put(
        response.headers_mut(),
        name,
        String::from("application/xml; charset=UTF-8"),
    );
    response
}
