//! Buckets as Google Cloud Storage serves them: JSON listings and media, plain XML objects; and as Amazon does, as far as the
//! XML surface is his. Those that lie in a directory may be written.

mod folder;
mod list;
mod write;
mod xml;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::json;

use super::body::Body;
use super::object::{self, Object, PATIENT, Surface};
use super::script::Fault;
use super::wire::{Reply, Request};
use super::{Found, State};
use folder::Folder;
use write::Upload;

/// What [`Fault::Private`] buckets want to see, and what the metadata server gives.
pub const TOKEN: &str = "ya29.scripted-token";

/// The service account that such buckets let in, too.
const ACCOUNT: &str = "reader@models.iam.gserviceaccount.com";

/// One bucket: its objects, and the faults of its listings.
#[derive(Debug)]
pub struct Bucket {
    name: String,
    /// Known in the log as `gs://bucket`.
    listing: Arc<Object>,
    objects: Mutex<BTreeMap<String, Arc<Object>>>,
    /// Where its objects lie, if it may be written.
    folder: Option<Folder>,
    uploads: Mutex<HashMap<String, Upload>>,
    /// Held between a condition and what is done under it.
    gate: Mutex<()>,
}

impl Bucket {
    pub fn new(name: &str) -> Bucket {
        Bucket {
            name: name.to_owned(),
            listing: Arc::new(Object::new(format!("gs://{name}"), Bytes::new())),
            objects: Mutex::default(),
            folder: None,
            uploads: Mutex::default(),
            gate: Mutex::default(),
        }
    }

    /// What is below `dir`, which anybody may write.
    pub fn at(name: &str, dir: &Path) -> Bucket {
        let folder = Some(Folder::new(dir));
        Bucket {
            folder,
            ..Bucket::new(name)
        }
    }

    /// Looks what is in its directory now.
    fn refresh(&self) {
        let Some(folder) = &self.folder else { return };
        let mut objects = self.objects.lock().unwrap();
        let (fresh, names) = folder.look(|key| format!("gs://{}/{key}", self.name));
        let fresh = fresh.into_iter();
        objects.extend(fresh.map(|(key, object)| (key, Arc::new(object))));
        let there: std::collections::HashSet<_> = names.into_iter().collect();
        objects.retain(|key, _| there.contains(key));
    }

    /// Replaces all faults of its listings.
    pub fn faults(&self, faults: Vec<Fault>) -> &Bucket {
        self.listing.faults(faults);
        self
    }

    /// Puts an object under any key, however odd. The log knows it as `gs://bucket/key`.
    pub fn put(&self, key: &str, body: impl Into<Bytes>) -> Arc<Object> {
        self.insert(key, Object::new(format!("gs://{}/{key}", self.name), body))
    }

    /// Puts an object whose bytes may lie in a file.
    pub fn put_body(&self, key: &str, body: Body) -> Arc<Object> {
        let name = format!("gs://{}/{key}", self.name);
        self.insert(key, Object::of(name, body, object::GENERATION))
    }

    /// Puts an object that is stored with `Content-Encoding: gzip`; `stored` is the gzip stream.
    pub fn put_gzipped(&self, key: &str, stored: impl Into<Bytes>) -> Arc<Object> {
        self.insert(
            key,
            Object::gzipped(format!("gs://{}/{key}", self.name), stored),
        )
    }

    /// Puts every file below a prefix that ends with a slash.
    pub fn put_all(&self, prefix: &str, files: &[(String, Vec<u8>)]) {
        for (path, bytes) in files {
            self.put(&format!("{prefix}{path}"), bytes.clone());
        }
    }

    /// One object.
    #[track_caller]
    pub fn object(&self, key: &str) -> Arc<Object> {
        let objects = self.objects.lock().unwrap();
        Arc::clone(
            objects
                .get(key)
                .unwrap_or_else(|| panic!("no {key} in {}", self.name)),
        )
    }

    fn insert(&self, key: &str, object: Object) -> Arc<Object> {
        let object = Arc::new(object);
        self.objects
            .lock()
            .unwrap()
            .insert(key.to_owned(), Arc::clone(&object));
        object
    }

    fn find(&self, key: &str) -> Option<Arc<Object>> {
        self.objects
            .lock()
            .unwrap()
            .get(key)
            .cloned()
            .filter(|object| !object.stored().gone)
    }
}

/// True if a path is one of a bucket's.
pub fn is_asked(state: &State, request: &Request) -> bool {
    let parts = request.parts();
    let first = parts.first().map_or("", String::as_str);
    matches!(first, "storage" | "download" | "upload" | "b")
        || state.buckets.lock().unwrap().contains_key(first)
}

/// Answers a request of the bucket host that is for a bucket.
pub fn answer(state: &State, request: &Request) -> Found {
    let parts = request.parts();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    // An object's slashes are encoded on the JSON surface and plain on the other.
    let (surface, name, key) = match parts.as_slice() {
        ["upload", "storage", "v1", "b", name, "o"] => (Surface::Json, *name, None),
        // rclone leaves the rest out when it is told an address alone.
        ["b", name] => (Surface::Json, *name, None),
        ["b", name, "o"] => (Surface::Json, *name, Some(String::new())),
        ["b", name, "o", key @ ..] => (Surface::Json, *name, Some(key.join("/"))),
        ["storage", "v1", "b", name] => (Surface::Json, *name, None),
        ["storage", "v1", "b", name, "o"] => (Surface::Json, *name, Some(String::new())),
        ["download", "storage", "v1", "b", name, "o", key @ ..]
        | ["storage", "v1", "b", name, "o", key @ ..] => {
            (Surface::Json, *name, Some(key.join("/")))
        }
        [name, key @ ..] => (Surface::Xml, *name, Some(key.join("/"))),
        [] => (Surface::Xml, "", None),
    };
    let bucket = state.buckets.lock().unwrap().get(name).cloned();
    let Some(bucket) = bucket else {
        let text = "The specified bucket does not exist.";
        return (error(surface, 404, "NoSuchBucket", text), None);
    };
    bucket.refresh();
    if !matches!(request.method.as_str(), "GET" | "HEAD") {
        let key = key.as_deref().filter(|key| !key.is_empty());
        let about = key.and_then(|key| bucket.find(key));
        let reply = write::answer(state, &bucket, key, request, surface);
        return (reply, about);
    }
    let key = match key {
        Some(key) if !key.is_empty() => key,
        listing => {
            let reply = denied(&bucket, request, surface).unwrap_or_else(|| match (surface, listing) {
                (Surface::Json, Some(_)) => list::list(&bucket, request),
                (Surface::Json, None) => {
                    Reply::json(200, &json!({"kind": "storage#bucket", "id": name, "name": name, "location": "US"}))
                }
                (Surface::Xml, _) => xml::list(&bucket, request),
            });
            return (reply, Some(Arc::clone(&bucket.listing)));
        }
    };
    let known = bucket.objects.lock().unwrap().get(&key).cloned();
    let reply =
        denied(&bucket, request, surface).unwrap_or_else(|| one(&bucket, &key, request, surface));
    (reply, known)
}

/// Private buckets answer as Google does: 401 to nobody in particular, 403 to the wrong somebody.
fn denied(bucket: &Bucket, request: &Request, surface: Surface) -> Option<Reply> {
    let private = bucket
        .listing
        .script
        .has(|fault| matches!(fault, Fault::Private));
    let text = "Anonymous caller does not have storage.objects.list access to the Google Cloud Storage bucket.";
    match request.header("authorization") {
        _ if !private => None,
        None => Some(error(surface, 401, "AccessDenied", text)),
        Some(given) if is_known(given) => None,
        Some(_) => Some(error(surface, 403, "AccessDenied", "Access denied.")),
    }
}

/// True for [`TOKEN`], and for what a service account of the right name says of itself; its signature is not checked.
fn is_known(authorization: &str) -> bool {
    let bearer = authorization.strip_prefix("Bearer ").unwrap_or_default();
    let claims = bearer.split('.').nth(1).unwrap_or_default();
    let claims = URL_SAFE_NO_PAD.decode(claims).unwrap_or_default();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap_or_default();
    bearer == TOKEN || claims["iss"] == ACCOUNT
}

fn error(surface: Surface, status: u16, code: &str, text: &str) -> Reply {
    match surface {
        Surface::Xml => Reply::xml(status, code, text),
        Surface::Json => Reply::json(
            status,
            &json!({"error": {"code": status, "message": text, "errors": [{"message": text, "reason": code}]}}),
        ),
    }
}

fn one(bucket: &Bucket, key: &str, request: &Request, surface: Surface) -> Reply {
    let missing = || {
        let text = format!("No such object: {}/{key}", bucket.name);
        error(surface, 404, "NoSuchKey", &text)
    };
    let Some(object) = bucket.find(key) else {
        return missing();
    };
    let media = surface == Surface::Xml
        || request.path().starts_with("/download/")
        || request.asked("alt").as_deref() == Some("media");
    if media {
        object.change(request);
    }
    let stored = object.stored();
    let pinned = request.asked("generation");
    if stored.gone || pinned.is_some_and(|wanted| wanted != stored.generation.to_string()) {
        return missing();
    }
    let only = request.asked("ifGenerationMatch").or_else(|| {
        request
            .header("x-goog-if-generation-match")
            .map(str::to_owned)
    });
    if only.is_some_and(|wanted| wanted != stored.generation.to_string()) {
        return error(
            surface,
            412,
            "PreconditionFailed",
            "At least one of the pre-conditions you specified did not hold.",
        );
    }
    if media {
        object::reply(&object, request, surface)
    } else {
        Reply::json(200, &list::item(bucket, key, &object, PATIENT))
    }
}
