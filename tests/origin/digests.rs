//! CRC-32C and MD5 of an object, computed once: an object may be asked for in thousands of ranges.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use md5::{Digest, Md5};

use super::body::Body;

/// Above this an object is taken for a composite one, which has no MD5, and its CRC-32C is computed aside.
const SMALL: u64 = 16 << 20;
const PIECE: u64 = 1 << 20;

/// How long an answer about objects waits for their hashes, and how long their bytes do.
pub const PATIENT: Duration = Duration::from_secs(2);
pub const SOON: Duration = Duration::from_millis(20);

pub type Known = (u32, Option<[u8; 16]>);

#[derive(Debug, Default)]
pub struct Digests {
    known: OnceLock<Known>,
    begun: AtomicBool,
}

impl Digests {
    /// Those of `body`; nothing if it is a large file and they are not known within `patience`.
    pub fn of(self: &Arc<Digests>, body: &Body, patience: Duration) -> Option<Known> {
        if body.len() <= SMALL || matches!(body, Body::Memory(_)) {
            return Some(*self.known.get_or_init(|| compute(body, true)));
        }
        let first = !self.begun.swap(true, Ordering::SeqCst);
        if first {
            let (digests, body) = (Arc::clone(self), body.clone());
            thread::spawn(move || digests.known.set(compute(&body, false)));
        }
        // Not every range of a large object waits for what takes seconds.
        let patience = match first || patience >= PATIENT {
            true => patience,
            false => Duration::ZERO,
        };
        let since = Instant::now();
        while self.known.get().is_none() && since.elapsed() < patience {
            thread::sleep(Duration::from_millis(1));
        }
        self.known.get().copied()
    }
}

fn compute(body: &Body, with_md5: bool) -> Known {
    let (open, len) = (body.open().unwrap(), body.len());
    let (mut crc, mut md5, mut at) = (0, with_md5.then(Md5::new), 0);
    while at < len {
        let piece = open.read(at, PIECE.min(len - at) as usize).unwrap();
        crc = crc32c::crc32c_append(crc, &piece);
        if let Some(md5) = &mut md5 {
            md5.update(&piece);
        }
        at += piece.len() as u64;
    }
    (crc, md5.map(|md5| md5.finalize().into()))
}
