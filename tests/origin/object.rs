//! An object: bytes with a generation, served with length, validators, hashes and ranges, and with faults of its own.

use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use md5::{Digest, Md5};

use super::body::Body;
pub use super::digests::PATIENT;
use super::digests::{Digests, Known, SOON};
use super::script::{Fault, Script};
use super::wire::{Reply, Request};

/// When every object was last changed, in the two ways in which it is said.
pub const MODIFIED: &str = "Sat, 18 Oct 2025 13:30:13 GMT";
pub const UPDATED: &str = "2025-10-18T13:30:13.123Z";

/// The generation of the first version of every object; its last digit counts replacements.
pub const GENERATION: u64 = 1_760_794_213_123_450;

/// One thing that is served, under the name by which the log and the tests know it, and what goes wrong with it.
#[derive(Debug)]
pub struct Object {
    pub name: String,
    pub script: Script,
    stored: Mutex<Arc<Stored>>,
    /// Requests for more than the headers.
    asked: AtomicU64,
}

/// One generation of an object.
#[derive(Debug, Clone)]
pub struct Stored {
    pub body: Body,
    pub generation: u64,
    pub encoding: Option<&'static str>,
    pub gone: bool,
    digests: Arc<Digests>,
}

impl Stored {
    fn digests(&self, patience: Duration) -> Option<Known> {
        self.digests.of(&self.body, patience)
    }
}

/// Which of a bucket's two surfaces answers: they say different ETags for the same object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    Xml,
    Json,
}

impl Object {
    pub fn new(name: impl Into<String>, body: impl Into<Bytes>) -> Object {
        Object::of(name, Body::Memory(body.into()), GENERATION)
    }

    /// Bytes that may lie in a file.
    pub fn of(name: impl Into<String>, body: Body, generation: u64) -> Object {
        Object {
            name: name.into(),
            script: Script::default(),
            stored: Mutex::new(Arc::new(Stored {
                body,
                generation,
                encoding: None,
                gone: false,
                digests: Arc::default(),
            })),
            asked: AtomicU64::new(0),
        }
    }

    /// An object stored with `Content-Encoding: gzip`.
    pub fn gzipped(name: impl Into<String>, stored: impl Into<Bytes>) -> Object {
        let object = Object::new(name, stored);
        object.edit(|stored| stored.encoding = Some("gzip"));
        object
    }

    /// Replaces all faults.
    pub fn faults(&self, faults: Vec<Fault>) -> &Object {
        self.script.set(faults);
        self
    }

    /// The bytes as they were published.
    pub fn archive(&self) -> Bytes {
        self.stored().body.bytes()
    }

    pub fn stored(&self) -> Arc<Stored> {
        Arc::clone(&self.stored.lock().unwrap())
    }

    fn edit(&self, change: impl FnOnce(&mut Stored)) {
        let mut stored = self.stored.lock().unwrap();
        let mut other = Stored::clone(&stored);
        other.digests = Arc::default();
        change(&mut other);
        *stored = Arc::new(other);
    }

    /// Puts other bytes in its place, as another generation.
    pub fn replace(&self, body: impl Into<Bytes>) {
        self.edit(|stored| {
            stored.body = Body::Memory(body.into());
            stored.generation += 1;
        });
    }

    /// Takes it away.
    pub fn remove(&self) {
        self.edit(|stored| stored.gone = true);
    }

    /// The faults that change the object itself after so many requests for its bytes.
    pub fn change(&self, request: &Request) {
        if request.is_probe() {
            return;
        }
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        self.script.find(|fault| {
            match fault {
                Fault::Replaced { after } if *after == asked => {
                    let other: Vec<u8> = self.archive().iter().map(|byte| !byte).collect();
                    self.replace(other);
                }
                Fault::Vanished { after } if *after == asked => self.remove(),
                _ => {}
            }
            None::<()>
        });
    }

    /// The size that a listing tells, which a fault may have falsified.
    pub fn listed_size(&self) -> u64 {
        let add = self.script.find(|fault| match fault {
            Fault::Listed { add } => Some(*add),
            _ => None,
        });
        let size = self.stored().body.len();
        size.saturating_add_signed(add.unwrap_or(0))
    }

    /// What a range says of the whole.
    fn said_total(&self, total: u64) -> String {
        let lie = self.script.find(|fault| match fault {
            Fault::Total { add } => Some(total.saturating_add_signed(*add).to_string()),
            Fault::Unmeasured => Some("*".to_owned()),
            _ => None,
        });
        lie.unwrap_or_else(|| total.to_string())
    }

    /// The base64 of its CRC32C and of its MD5, where it has them.
    pub fn hashes(&self, patience: Duration) -> (Option<String>, Option<String>) {
        let has = |like: fn(&Fault) -> bool| self.script.has(like);
        if has(|fault| matches!(fault, Fault::NoHash)) {
            return (None, None);
        }
        let wrong = has(|fault| matches!(fault, Fault::Hash));
        let known = match wrong {
            true => Stored::digests(&Object::new("", &b"other bytes"[..]).stored(), patience),
            false => self.stored().digests(patience),
        };
        let Some((crc, md5)) = known else {
            return (None, None);
        };
        let composite = has(|fault| matches!(fault, Fault::Composite));
        let md5 = md5.filter(|_| !composite).map(|md5| STANDARD.encode(md5));
        (Some(STANDARD.encode(crc.to_be_bytes())), md5)
    }

    pub fn etag(&self, surface: Surface) -> String {
        let stored = self.stored();
        if self.script.has(|fault| matches!(fault, Fault::FreshEtags)) {
            let now = std::time::Instant::now();
            return format!("\"{}\"", hex(&Md5::digest(format!("{now:?}"))));
        }
        match surface {
            Surface::Xml => match (&stored.body, stored.digests(Duration::ZERO)) {
                (Body::Memory(_), Some((_, Some(md5)))) => format!("\"{}\"", hex(&md5)),
                _ => format!("\"{:x}\"", stored.generation),
            },
            Surface::Json => STANDARD.encode(stored.generation.to_le_bytes()),
        }
    }

    /// The stored bytes, one bit of which a fault may have spoiled after they were hashed.
    fn flipped(&self, stored: &Body) -> Body {
        let bit = self.script.find(|fault| match fault {
            Fault::Flip { bit } => Some(*bit),
            _ => None,
        });
        let Some(bit) = bit else {
            return stored.clone();
        };
        let mut bytes = stored.bytes().to_vec();
        bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
        Body::Memory(bytes.into())
    }
}

/// The whole object, or the range that was asked for.
pub fn reply(object: &Object, request: &Request, surface: Surface) -> Reply {
    let stored = object.stored();
    let etag = object.etag(surface);
    if request
        .header("if-match")
        .is_some_and(|known| known != etag)
    {
        return Reply::xml(412, "PreconditionFailed", "At least one condition failed.");
    }
    let asks_gzip = request
        .header("accept-encoding")
        .is_some_and(|value| value.contains("gzip"));
    let mut reply = if stored.encoding.is_some() && !asks_gzip {
        transcoded(&stored)
    } else {
        let mut reply = part(object, &object.flipped(&stored.body), request, &etag);
        if let Some(encoding) = stored.encoding {
            reply = reply.header("Content-Encoding", encoding);
        }
        reply
    };
    reply.object = true;
    if object
        .script
        .has(|fault| matches!(fault, Fault::Unmeasured))
        && reply.status == 200
    {
        reply.measured = false;
    }
    if let Some(headers) = object.script.find(|fault| match fault {
        Fault::Bare(headers) => Some(headers.clone()),
        _ => None,
    }) {
        reply.headers.extend(headers);
        return reply;
    }
    reply = reply
        .header("ETag", &etag)
        .header("Content-Type", "application/x-gzip")
        .header("Last-Modified", MODIFIED)
        .header("x-goog-generation", stored.generation)
        .header("x-goog-metageneration", 1)
        .header("x-goog-stored-content-length", stored.body.len())
        .header(
            "x-goog-stored-content-encoding",
            stored.encoding.unwrap_or("identity"),
        );
    // Two lines, as the bucket sends them; they cover the whole stored object whatever the range.
    let (crc, md5) = object.hashes(SOON);
    let crc = crc.map(|crc| format!("crc32c={crc}"));
    let md5 = md5.map(|md5| format!("md5={md5}"));
    for hash in [crc, md5].into_iter().flatten() {
        reply = reply.header("x-goog-hash", hash);
    }
    reply
}

/// Unpacked on the way for who does not say `Accept-Encoding: gzip`: whole, without length, whatever the range.
fn transcoded(stored: &Stored) -> Reply {
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(&stored.body.bytes()[..])
        .read_to_end(&mut plain)
        .unwrap();
    let mut reply = Reply::new(200, plain);
    reply.measured = false;
    reply
}

fn part(object: &Object, stored: &Body, request: &Request, etag: &str) -> Reply {
    let total = stored.len();
    let fresh = request.header("if-range").is_none_or(|known| known == etag);
    let ranges = !object.script.has(|fault| matches!(fault, Fault::NoRange));
    let part = match request.range() {
        Some((first, _)) if ranges && fresh && first >= total => {
            return Reply::new(416, "").header("Content-Range", format!("bytes */{total}"));
        }
        Some((first, last)) if ranges && fresh => {
            Some((first, last.map_or(total, |last| total.min(last + 1))))
        }
        _ => None,
    };
    let shift = object.script.find(|fault| match fault {
        Fault::ContentRange { add } if !request.is_probe() => Some(*add),
        _ => None,
    });
    let said = |at: u64| at.saturating_add_signed(shift.unwrap_or(0));
    let reply = match part {
        Some((first, end)) => {
            let mut reply = Reply::of(206, stored.slice(first, end));
            reply.first = first;
            let total = object.said_total(total);
            let (first, last) = (said(first), said(end - 1));
            reply.header("Content-Range", format!("bytes {first}-{last}/{total}"))
        }
        None => Reply::of(200, stored.clone()),
    };
    if ranges {
        reply.header("Accept-Ranges", "bytes")
    } else {
        reply
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
