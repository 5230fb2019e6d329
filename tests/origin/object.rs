//! An object: bytes with a generation, served with length, validators, hashes and ranges, and with faults of its own.

use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use md5::{Digest, Md5};

use super::script::{Fault, Script};
use super::wire::{Reply, Request};

/// When every object was last changed, in the two ways in which it is said.
pub const MODIFIED: &str = "Sat, 18 Oct 2025 13:30:13 GMT";
pub const UPDATED: &str = "2025-10-18T13:30:13.123Z";

/// The generation of the first version of every object; its last digit counts replacements.
const GENERATION: u64 = 1_760_794_213_123_450;

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
    pub body: Bytes,
    pub generation: u64,
    pub encoding: Option<&'static str>,
    pub gone: bool,
    digests: OnceLock<(u32, [u8; 16])>,
}

impl Stored {
    /// CRC32C and MD5, reckoned once: an object may be asked for in thousands of ranges.
    fn digests(&self) -> (u32, [u8; 16]) {
        *self.digests.get_or_init(|| digests(&self.body))
    }
}

fn digests(bytes: &[u8]) -> (u32, [u8; 16]) {
    (crc32c::crc32c(bytes), Md5::digest(bytes).into())
}

/// Which of a bucket's two surfaces answers: they say different ETags for the same object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    Xml,
    Json,
}

impl Object {
    pub fn new(name: impl Into<String>, body: impl Into<Bytes>) -> Object {
        Object {
            name: name.into(),
            script: Script::default(),
            stored: Mutex::new(Arc::new(Stored {
                body: body.into(),
                generation: GENERATION,
                encoding: None,
                gone: false,
                digests: OnceLock::new(),
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
        self.stored().body.clone()
    }

    pub fn stored(&self) -> Arc<Stored> {
        Arc::clone(&self.stored.lock().unwrap())
    }

    fn edit(&self, change: impl FnOnce(&mut Stored)) {
        let mut stored = self.stored.lock().unwrap();
        let mut other = Stored::clone(&stored);
        other.digests = OnceLock::new();
        change(&mut other);
        *stored = Arc::new(other);
    }

    /// Puts other bytes in its place, as another generation.
    pub fn replace(&self, body: impl Into<Bytes>) {
        self.edit(|stored| {
            stored.body = body.into();
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
        let size = self.stored().body.len() as u64;
        size.saturating_add_signed(add.unwrap_or(0))
    }

    /// The base64 of its CRC32C and of its MD5, where it has them.
    pub fn hashes(&self) -> (Option<String>, Option<String>) {
        let has = |like: fn(&Fault) -> bool| self.script.has(like);
        if has(|fault| matches!(fault, Fault::NoHash)) {
            return (None, None);
        }
        let wrong = has(|fault| matches!(fault, Fault::Hash));
        let (crc, md5) = match wrong {
            true => digests(b"other bytes"),
            false => self.stored().digests(),
        };
        let composite = has(|fault| matches!(fault, Fault::Composite));
        let md5 = (!composite).then(|| STANDARD.encode(md5));
        (Some(STANDARD.encode(crc.to_be_bytes())), md5)
    }

    pub fn etag(&self, surface: Surface) -> String {
        let stored = self.stored();
        if self.script.has(|fault| matches!(fault, Fault::FreshEtags)) {
            let now = std::time::Instant::now();
            return format!("\"{}\"", hex(&Md5::digest(format!("{now:?}"))));
        }
        match surface {
            Surface::Xml => format!("\"{}\"", hex(&stored.digests().1)),
            Surface::Json => STANDARD.encode(stored.generation.to_le_bytes()),
        }
    }

    /// The stored bytes, one bit of which a fault may have spoiled after they were hashed.
    fn flipped(&self, stored: &Bytes) -> Bytes {
        let bit = self.script.find(|fault| match fault {
            Fault::Flip { bit } => Some(*bit),
            _ => None,
        });
        let Some(bit) = bit else {
            return stored.clone();
        };
        let mut bytes = stored.to_vec();
        bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
        bytes.into()
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
    let (crc, md5) = object.hashes();
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
    flate2::read::MultiGzDecoder::new(&stored.body[..])
        .read_to_end(&mut plain)
        .unwrap();
    let mut reply = Reply::new(200, plain);
    reply.measured = false;
    reply
}

fn part(object: &Object, stored: &Bytes, request: &Request, etag: &str) -> Reply {
    let total = stored.len() as u64;
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
            let mut reply = Reply::new(206, stored.slice(first as usize..end as usize));
            reply.first = first;
            reply.header(
                "Content-Range",
                format!("bytes {}-{}/{total}", said(first), said(end - 1)),
            )
        }
        None => Reply::new(200, stored.clone()),
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
