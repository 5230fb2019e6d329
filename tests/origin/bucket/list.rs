//! Listings of the JSON surface: pages, prefixes, tokens, and the fields that were asked for.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::{Bucket, error};
use crate::origin::object::{Object, PATIENT, Surface, UPDATED};
use crate::origin::script::Fault;
use crate::origin::wire::{Reply, Request};

/// The most that a page holds, whatever is asked for.
const PAGE: usize = 1000;

/// One object's document.
pub fn item(bucket: &Bucket, key: &str, object: &Object, patience: Duration) -> Value {
    let stored = object.stored();
    let generation = stored.generation.to_string();
    let mut item = json!({
        "kind": "storage#object", "id": format!("{}/{key}/{generation}", bucket.name),
        "name": key, "bucket": bucket.name, "size": object.listed_size().to_string(),
        "generation": generation, "metageneration": "1", "etag": object.etag(Surface::Json),
        "updated": UPDATED, "timeCreated": UPDATED,
        "contentType": "application/octet-stream", "storageClass": "STANDARD",
    });
    let (crc, md5) = object.hashes(patience);
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

/// One page of a bucket.
pub fn list(bucket: &Bucket, request: &Request) -> Reply {
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
    let mut reply = Reply::json(200, &page.document(bucket, request, next));
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

/// An object under its name.
pub struct Listed {
    pub key: String,
    pub object: Arc<Object>,
}

#[derive(Default)]
pub struct Page {
    pub objects: Vec<Listed>,
    pub prefixes: Vec<String>,
}

impl Page {
    /// Objects and prefixes.
    pub fn len(&self) -> usize {
        self.objects.len() + self.prefixes.len()
    }

    /// Takes names after `after`, at most so many; the last one taken if more follow.
    pub fn fill(
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
            let (key, object) = left.next()?;
            let past = ceiling.as_ref().is_some_and(|end| key >= end);
            if !key.starts_with(&prefix) || past {
                return None;
            }
            if self.len() == most {
                return last;
            }
            let below = &key[prefix.len()..];
            match below.find(&delimiter) {
                Some(at) if !delimiter.is_empty() => {
                    let dir = format!("{prefix}{}", &below[..at + delimiter.len()]);
                    start = Bound::Excluded(format!("{dir}{}", char::MAX));
                    self.prefixes.push(dir.clone());
                    last = Some(dir);
                }
                _ => {
                    self.objects.push(Listed {
                        key: key.clone(),
                        object: Arc::clone(object),
                    });
                    start = Bound::Excluded(key.clone());
                    last = Some(key.clone());
                }
            }
        }
    }

    /// The page with the fields that were asked for. Empty lists are left out, as Google leaves them out.
    fn document(self, bucket: &Bucket, request: &Request, next: Option<String>) -> Value {
        let fields = request.asked("fields");
        let wanted = |name: &str| fields.as_ref().is_none_or(|fields| fields.contains(name));
        let mut page = Map::new();
        page.insert("kind".into(), "storage#objects".into());
        let items = self.objects.iter();
        let items = items.map(|one| item(bucket, &one.key, &one.object, PATIENT));
        let prefixes = self.prefixes.into_iter().map(Value::from);
        let lists: [(&str, Vec<Value>); 2] =
            [("items", items.collect()), ("prefixes", prefixes.collect())];
        for (name, list) in lists {
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
