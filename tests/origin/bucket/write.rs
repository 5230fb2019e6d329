//! What writers ask of a bucket that may be written, on both surfaces and under conditions: whole objects, resumable uploads
//! (Google), uploads in parts (Amazon), deletions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Bucket, Surface, error, list};
use crate::origin::State;
use crate::origin::object::{Object, PATIENT};
use crate::origin::wire::{Reply, Request};

/// An upload whose bytes come in more than one request.
#[derive(Debug)]
pub struct Upload {
    key: String,
    condition: Condition,
    /// What has come so far of a resumable one.
    come: Vec<u8>,
    /// Parts by number.
    parts: BTreeMap<u64, Vec<u8>>,
}

/// When an object may be written or deleted.
#[derive(Debug, Clone, Default)]
struct Condition {
    /// Of this generation; 0: there is none.
    generation: Option<u64>,
    etag: Option<String>,
}

impl Condition {
    fn of(request: &Request) -> Condition {
        let said = request.asked("ifGenerationMatch");
        let header = request.header("x-goog-if-generation-match");
        let generation = said.or(header.map(str::to_owned));
        let new = request.header("if-none-match") == Some("*");
        Condition {
            generation: match new {
                true => Some(0),
                false => generation.and_then(|text| text.parse().ok()),
            },
            etag: request.header("if-match").map(str::to_owned),
        }
    }

    fn holds(&self, there: Option<&Object>) -> bool {
        let generation = there.map_or(0, |there| there.stored().generation);
        let etag = there.map(|there| there.etag(Surface::Xml));
        self.generation.is_none_or(|wanted| wanted == generation)
            && (self.etag.is_none() || self.etag == etag)
    }
}

/// Answers a request that is to change something. Whatever is refused was read to its end before.
pub fn answer(
    state: &State,
    bucket: &Bucket,
    key: Option<&str>,
    request: &Request,
    surface: Surface,
) -> Reply {
    if bucket.folder.is_none() {
        return error(surface, 403, "AccessDenied", "This bucket is only read.");
    }
    let asked = |name: &str| request.asked(name);
    let upload = asked("uploadId").or_else(|| asked("upload_id"));
    let id = upload.as_deref();
    let condition = Condition::of(request);
    match (request.method.as_str(), surface, key) {
        _ if !request.whole && asked("upload_id").is_none() => {
            error(surface, 400, "IncompleteBody", "The body ended early.")
        }
        ("DELETE", _, _) if id.is_some() => {
            bucket.uploads.lock().unwrap().remove(id.unwrap());
            Reply::new(204, "")
        }
        ("DELETE", _, Some(key)) => bucket.delete(key, &condition, surface),
        ("POST", Surface::Json, None) => match (asked("uploadType").as_deref(), asked("name")) {
            (Some("media"), Some(key)) => bucket.put_json(&key, &request.body, &condition),
            (Some("resumable"), Some(key)) => {
                let id = bucket.begin(state, key, condition);
                let host = request.header("host").unwrap_or_default();
                let path = format!("upload/storage/v1/b/{}/o", bucket.name);
                let url = format!("http://{host}/{path}?uploadType=resumable&upload_id={id}");
                Reply::new(200, "").header("Location", url)
            }
            _ => error(
                surface,
                400,
                "invalid",
                "uploadType is media or resumable, name is required.",
            ),
        },
        ("PUT", Surface::Json, None) => bucket.resume(id.unwrap_or_default(), request),
        ("PUT", Surface::Xml, Some(_)) if id.is_some() => bucket.keep(id.unwrap(), request),
        ("PUT", Surface::Xml, Some(key)) => match bucket.write(key, &request.body, &condition) {
            Ok(object) => described(Reply::new(200, ""), &object),
            Err(reply) => reply(surface),
        },
        ("POST", Surface::Xml, Some(key)) if asked("uploads").is_some() => {
            let id = bucket.begin(state, key.to_owned(), condition);
            xml(
                "InitiateMultipartUploadResult",
                &format!("<UploadId>{id}</UploadId>"),
            )
        }
        ("POST", Surface::Xml, Some(key)) if id.is_some() => {
            bucket.complete(key, id.unwrap(), request, &condition)
        }
        _ => error(
            surface,
            404,
            "NotFound",
            "Nothing of Cloud Storage that is known here.",
        ),
    }
}

/// Why something is not done, in the words of a surface.
type Refusal = Box<dyn Fn(Surface) -> Reply>;

fn refusal(status: u16, code: &'static str, text: String) -> Refusal {
    Box::new(move |surface| error(surface, status, code, &text))
}

impl Bucket {
    fn check(&self, key: &str, condition: &Condition) -> Result<Option<Arc<Object>>, Refusal> {
        self.refresh();
        let there = self.find(key);
        match condition.holds(there.as_deref()) {
            true => Ok(there),
            false => Err(refusal(
                412,
                "PreconditionFailed",
                "A condition does not hold.".into(),
            )),
        }
    }

    fn write(
        &self,
        key: &str,
        bytes: &[u8],
        condition: &Condition,
    ) -> Result<Arc<Object>, Refusal> {
        let _gate = self.gate.lock().unwrap();
        self.check(key, condition)?;
        let folder = self.folder.as_ref().unwrap();
        if !folder.write(key, bytes) {
            return Err(refusal(
                400,
                "invalid",
                format!("No file can be called {key}."),
            ));
        }
        self.refresh();
        Ok(self.object(key))
    }

    fn put_json(&self, key: &str, bytes: &[u8], condition: &Condition) -> Reply {
        match self.write(key, bytes, condition) {
            Ok(object) => Reply::json(200, &list::item(self, key, &object, PATIENT)),
            Err(reply) => reply(Surface::Json),
        }
    }

    fn delete(&self, key: &str, condition: &Condition, surface: Surface) -> Reply {
        let _gate = self.gate.lock().unwrap();
        self.refresh();
        if self.find(key).is_none() {
            return error(surface, 404, "NoSuchKey", &format!("No such object: {key}"));
        }
        if let Err(reply) = self.check(key, condition) {
            return reply(surface);
        }
        self.folder.as_ref().unwrap().remove(key);
        Reply::new(204, "")
    }

    fn begin(&self, state: &State, key: String, condition: Condition) -> String {
        let id = format!("upload-{}", state.serial.fetch_add(1, Ordering::SeqCst));
        let (come, parts) = (Vec::new(), BTreeMap::new());
        let upload = Upload {
            key,
            condition,
            come,
            parts,
        };
        self.uploads.lock().unwrap().insert(id.clone(), upload);
        id
    }

    /// The next piece of a resumable upload (`Content-Range: bytes 0-9/100`), or the question how far it has come
    /// (`bytes */100`). What came before a connection broke counts.
    fn resume(&self, id: &str, request: &Request) -> Reply {
        let none = || error(Surface::Json, 404, "notFound", "No such upload.");
        let mut uploads = self.uploads.lock().unwrap();
        let Some(upload) = uploads.get_mut(id) else {
            return none();
        };
        let range = request.header("content-range").unwrap_or("bytes 0-/*");
        let Some((span, total)) = range.strip_prefix("bytes ").and_then(|r| r.split_once('/'))
        else {
            return error(
                Surface::Json,
                400,
                "invalid",
                "Content-Range cannot be read.",
            );
        };
        let first = span
            .split_once('-')
            .and_then(|(first, _)| first.parse::<usize>().ok());
        if let Some(first) = first.filter(|first| *first <= upload.come.len()) {
            // What is there already came before: it is passed over.
            let known = (upload.come.len() - first).min(request.body.len());
            upload.come.extend_from_slice(&request.body[known..]);
        }
        let whole = match total.parse::<usize>() {
            Ok(total) => upload.come.len() == total,
            Err(_) => request.whole && span != "*",
        };
        if !whole {
            let reply = Reply::new(308, "");
            return match upload.come.len() {
                0 => reply,
                come => reply.header("Range", format!("bytes=0-{}", come - 1)),
            };
        }
        let upload = uploads.remove(id).unwrap();
        drop(uploads);
        self.put_json(&upload.key, &upload.come, &upload.condition)
    }

    fn keep(&self, id: &str, request: &Request) -> Reply {
        let number = request
            .asked("partNumber")
            .and_then(|text| text.parse().ok());
        let mut uploads = self.uploads.lock().unwrap();
        match (uploads.get_mut(id), number) {
            (None, _) => error(Surface::Xml, 404, "NoSuchUpload", "No such upload."),
            (Some(upload), Some(number @ 1..=10_000)) => {
                let etag = format!("\"{number}-{}\"", request.body.len());
                upload.parts.insert(number, request.body.clone());
                Reply::new(200, "").header("ETag", etag)
            }
            _ => error(Surface::Xml, 400, "InvalidArgument", "Invalid partNumber."),
        }
    }

    fn complete(&self, key: &str, id: &str, request: &Request, condition: &Condition) -> Reply {
        let mut uploads = self.uploads.lock().unwrap();
        let Some(upload) = uploads.get(id) else {
            return error(Surface::Xml, 404, "NoSuchUpload", "No such upload.");
        };
        let listed = String::from_utf8_lossy(&request.body);
        let listed = listed.matches("<PartNumber>").count();
        if listed == 0 || listed != upload.parts.len() {
            return error(
                Surface::Xml,
                400,
                "InvalidPart",
                "Other parts are listed than came.",
            );
        }
        let whole: Vec<u8> = upload.parts.values().flatten().copied().collect();
        let written = self.write(key, &whole, condition);
        uploads.remove(id);
        match written {
            Ok(object) => {
                let etag = format!("<ETag>{}</ETag>", object.etag(Surface::Xml));
                described(xml("CompleteMultipartUploadResult", &etag), &object)
            }
            Err(reply) => reply(Surface::Xml),
        }
    }
}

fn described(reply: Reply, object: &Object) -> Reply {
    let generation = object.stored().generation;
    reply
        .header("ETag", object.etag(Surface::Xml))
        .header("x-goog-generation", generation)
}

fn xml(root: &str, inner: &str) -> Reply {
    let text = format!("<?xml version='1.0' encoding='UTF-8'?><{root}>{inner}</{root}>");
    Reply::new(200, text).header("Content-Type", "application/xml; charset=UTF-8")
}
