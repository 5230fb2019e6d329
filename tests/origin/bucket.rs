//! Buckets as Google Cloud Storage serves them: JSON listings and media, plain XML objects.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::object::{self, Object, Surface, UPDATED};
use super::script::Fault;
use super::wire::{Reply, Request};
use super::{Found, State};

/// What [`Fault::Private`] buckets want to see, and what the metadata server gives.
pub const TOKEN: &str = "ya29.scripted-token";

/// The most that a page holds, whatever is asked for.
const PAGE: usize = 1000;

/// One bucket: its objects, and the faults of its listings.
#[derive(Debug)]
pub struct Bucket {
    name: String,
    /// Known in the log as `gs://bucket`.
    listing: Arc<Object>,
    objects: Mutex<BTreeMap<String, Arc<Object>>>,
}

impl Bucket {
    pub fn new(name: &str) -> Bucket {
        Bucket {
            name: name.to_owned(),
            listing: Arc::new(Object::new(format!("gs://{name}"), Bytes::new())),
            objects: Mutex::default(),
        }
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

/// Answers a request of the bucket host that is for a bucket.
pub fn answer(state: &State, request: &Request) -> Found {
    let parts = request.parts();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    // An object's slashes are encoded on the JSON surface and plain on the other.
    let (surface, name, key) = match parts.as_slice() {
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
    let key = match key {
        Some(key) if !key.is_empty() => key,
        listing => {
            let reply = denied(&bucket, request, surface).unwrap_or_else(|| match (surface, listing) {
                (Surface::Json, Some(_)) => list(&bucket, request),
                (Surface::Json, None) => {
                    Reply::json(200, &json!({"kind": "storage#bucket", "id": name, "name": name, "location": "US"}))
                }
                (Surface::Xml, _) => error(surface, 501, "NotImplemented", "Listings are asked of the JSON surface."),
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
        Some(given) if given == format!("Bearer {TOKEN}") => None,
        Some(_) => Some(error(surface, 403, "AccessDenied", "Access denied.")),
    }
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
        Reply::json(200, &item(bucket, key, &object))
    }
}

fn item(bucket: &Bucket, key: &str, object: &Object) -> Value {
    let stored = object.stored();
    let generation = stored.generation.to_string();
    let mut item = json!({
        "kind": "storage#object", "id": format!("{}/{key}/{generation}", bucket.name),
        "name": key, "bucket": bucket.name, "size": object.listed_size().to_string(),
        "generation": generation, "metageneration": "1", "etag": object.etag(Surface::Json),
        "updated": UPDATED, "timeCreated": UPDATED,
        "contentType": "application/octet-stream", "storageClass": "STANDARD",
    });
    let (crc, md5) = object.hashes();
    let optional = [
        ("crc32c", crc),
        ("md5Hash", md5),
        ("contentEncoding", stored.encoding.map(str::to_owned)),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            item[name] = value.into();
        }
    }
    item
}

/// Where a page begins.
enum From {
    After(String),
    /// The same, but the page before it has to be an empty one.
    Empty(String),
}

fn list(bucket: &Bucket, request: &Request) -> Reply {
    let script = &bucket.listing.script;
    let number = |name: &str| request.asked(name).and_then(|text| text.parse().ok());
    let cap = script.find(|fault| match fault {
        Fault::Pages { size } => Some(*size),
        _ => None,
    });
    let most = number("maxResults")
        .unwrap_or(PAGE)
        .min(cap.unwrap_or(PAGE))
        .clamp(1, PAGE);
    let given = request.asked("pageToken").filter(|token| !token.is_empty());
    let from = match given.as_deref().map(from_token) {
        None => From::After(String::new()),
        Some(Some(from)) => from,
        Some(None) => return error(Surface::Json, 400, "invalid", "Invalid page token."),
    };
    let mut page = Page::default();
    let next = match from {
        From::Empty(after) => Some(token('n', &after)),
        From::After(after) => {
            let end = page.fill(bucket, request, &after, most);
            let empty = script.has(|fault| matches!(fault, Fault::EmptyPages));
            end.map(|end| token(if empty { 'e' } else { 'n' }, &end))
        }
    };
    let endless = script.has(|fault| matches!(fault, Fault::EndlessPages));
    let next = if endless { Some(token('n', "")) } else { next };
    let mut reply = Reply::json(200, &page.document(request, next));
    reply.object = true;
    reply
}

fn token(kind: char, after: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{kind}{after}"))
}

fn from_token(token: &str) -> Option<From> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let after = text.get(1..)?.to_owned();
    Some(if text.starts_with('e') {
        From::Empty(after)
    } else {
        From::After(after)
    })
}

#[derive(Default)]
struct Page {
    items: Vec<Value>,
    prefixes: Vec<Value>,
}

impl Page {
    /// Takes names after `after`, at most so many; the last one taken if more follow.
    fn fill(
        &mut self,
        bucket: &Bucket,
        request: &Request,
        after: &str,
        most: usize,
    ) -> Option<String> {
        let asked = |name: &str| request.asked(name).unwrap_or_default();
        let (prefix, delimiter, floor) =
            (asked("prefix"), asked("delimiter"), asked("startOffset"));
        let ceiling = request.asked("endOffset");
        let objects = bucket.objects.lock().unwrap();
        let mut start = Bound::Excluded(after.to_owned());
        if after < prefix.as_str() || after < floor.as_str() {
            start = Bound::Included(prefix.clone().max(floor));
        } else if !delimiter.is_empty() && after.ends_with(&delimiter) && after.len() > prefix.len()
        {
            start = Bound::Excluded(format!("{after}{}", char::MAX));
        }
        let mut last = None;
        loop {
            let rest = (start.clone(), Bound::Unbounded);
            let mut left = objects
                .range::<String, _>(rest)
                .filter(|(_, object)| !object.stored().gone);
            let Some((key, object)) = left.next() else {
                return None;
            };
            let past = ceiling.as_ref().is_some_and(|end| key >= end);
            if !key.starts_with(&prefix) || past {
                return None;
            }
            if self.items.len() + self.prefixes.len() == most {
                return last;
            }
            let below = &key[prefix.len()..];
            match below.find(&delimiter) {
                Some(at) if !delimiter.is_empty() => {
                    let dir = format!("{prefix}{}", &below[..at + delimiter.len()]);
                    start = Bound::Excluded(format!("{dir}{}", char::MAX));
                    self.prefixes.push(dir.clone().into());
                    last = Some(dir);
                }
                _ => {
                    self.items.push(item(bucket, key, object));
                    start = Bound::Excluded(key.clone());
                    last = Some(key.clone());
                }
            }
        }
    }

    /// The page with the fields that were asked for. Empty lists are left out, as Google leaves them out.
    fn document(self, request: &Request, next: Option<String>) -> Value {
        let fields = request.asked("fields");
        let wanted = |name: &str| fields.as_ref().is_none_or(|fields| fields.contains(name));
        let mut page = Map::new();
        page.insert("kind".into(), "storage#objects".into());
        for (name, list) in [("items", self.items), ("prefixes", self.prefixes)] {
            if !list.is_empty() && wanted(name) {
                page.insert(name.into(), list.into());
            }
        }
        if let Some(next) = next.filter(|_| wanted("nextPageToken")) {
            page.insert("nextPageToken".into(), next.into());
        }
        page.into()
    }
}
