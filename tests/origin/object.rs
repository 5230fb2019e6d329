//! An object as a bucket serves it: length, validators, hashes and ranges.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use md5::{Digest, Md5};

use super::Model;
use super::script::Fault;
use super::wire::{Reply, Request};

/// The whole object, or the range that was asked for.
pub fn reply(model: &Model, request: &Request) -> Reply {
    let published = model.archive();
    let etag = etag(model, &published);
    let stored = flipped(model, &published);
    let total = stored.len() as u64;
    let fresh = request.header("if-range").is_none_or(|known| known == etag);
    let ranges = !model.script.has(|fault| matches!(fault, Fault::NoRange));
    let part = match request.range() {
        Some((first, _)) if ranges && fresh && first >= total => {
            return Reply::new(416, "").header("Content-Range", format!("bytes */{total}"));
        }
        Some((first, last)) if ranges && fresh => {
            Some((first, last.map_or(total, |last| total.min(last + 1))))
        }
        _ => None,
    };
    let mut reply = match part {
        Some((first, end)) => {
            let mut reply = Reply::new(206, stored.slice(first as usize..end as usize));
            reply.first = first;
            reply.header(
                "Content-Range",
                format!("bytes {first}-{}/{total}", end - 1),
            )
        }
        None => Reply::new(200, stored),
    };
    if ranges {
        reply = reply.header("Accept-Ranges", "bytes");
    }
    reply = reply
        .header("ETag", &etag)
        .header("Content-Type", "application/x-gzip");
    reply = reply
        .header("Last-Modified", "Sat, 18 Oct 2025 13:30:13 GMT")
        .header("x-goog-generation", 1_760_794_213);
    hashes(model, &published, reply)
}

fn etag(model: &Model, published: &Bytes) -> String {
    let digest = hex(&Md5::digest(published));
    let nonce = model
        .script
        .has(|fault| matches!(fault, Fault::FreshEtags))
        .then(std::time::Instant::now);
    nonce.map_or_else(
        || format!("\"{digest}\""),
        |now| format!("\"{}\"", hex(&Md5::digest(format!("{digest}{now:?}")))),
    )
}

/// The stored bytes, which a fault may have spoiled after they were hashed.
fn flipped(model: &Model, published: &Bytes) -> Bytes {
    let bit = model.script.find(|fault| match fault {
        Fault::Flip { bit } => Some(*bit),
        _ => None,
    });
    let Some(bit) = bit else {
        return published.clone();
    };
    let mut bytes = published.to_vec();
    bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
    bytes.into()
}

/// Two `x-goog-hash` lines, as the bucket sends them; they cover the whole object whatever the range.
fn hashes(model: &Model, published: &Bytes, reply: Reply) -> Reply {
    if model.script.has(|fault| matches!(fault, Fault::NoHash)) {
        return reply;
    }
    let wrong = model.script.has(|fault| matches!(fault, Fault::Hash));
    let of: &[u8] = if wrong { b"other bytes" } else { published };
    let crc = STANDARD.encode(crc32c::crc32c(of).to_be_bytes());
    let md5 = STANDARD.encode(Md5::digest(of));
    reply
        .header("x-goog-hash", format!("crc32c={crc}"))
        .header("x-goog-hash", format!("md5={md5}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
