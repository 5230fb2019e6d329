//! A file as a response body, read off the async threads, one chunk ahead of
//! the socket. Memory is two chunks a transfer, whatever the file's size.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio::task::JoinHandle;

/// Large enough that the hop between threads (some 10 us) does not count beside
/// the copy, small enough to stay in the processor's cache between the two copies.
const CHUNK: u64 = 512 << 10;

struct Reading {
    file: Arc<File>,
    left: Range<u64>,
    ahead: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Reading {
    fn start_next(&mut self) {
        let at = self.left.start;
        let len = (self.left.end - at).min(CHUNK);
        if len > 0 {
            self.left.start += len;
            let file = Arc::clone(&self.file);
            self.ahead = Some(tokio::task::spawn_blocking(move || read(&file, at, len)));
        }
    }
}

fn read(file: &File, at: u64, len: u64) -> io::Result<Bytes> {
    let mut buffer = vec![0; usize::try_from(len).map_err(io::Error::other)?];
    file.read_exact_at(&mut buffer, at)?;
    Ok(buffer.into())
}

/// These bytes of `file`. If it turns out to be shorter the body ends with an
/// error, which cuts the connection: a client never takes it for complete.
pub fn of(file: Arc<File>, range: Range<u64>) -> Body {
    let reading = Reading {
        file,
        left: range,
        ahead: None,
    };
    Body::from_stream(stream::try_unfold(reading, |mut reading| async move {
        if reading.ahead.is_none() {
            reading.start_next();
        }
        let Some(ahead) = reading.ahead.take() else {
            return Ok(None);
        };
        let bytes = ahead.await.map_err(io::Error::other).flatten()?;
        reading.start_next();
        Ok::<_, io::Error>(Some((bytes, reading)))
    }))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[tokio::test]
    async fn a_range_of_a_file_comes_whole_and_in_order() {
        let bytes: Vec<u8> = (0..CHUNK as u32 * 3 + 7).map(|i| (i % 251) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let file = Arc::new(file);
        let len = bytes.len() as u64;
        for range in [
            0..len,
            0..0,
            0..1,
            len - 1..len,
            CHUNK..CHUNK * 2,
            CHUNK - 1..CHUNK * 2 + 1,
        ] {
            let body = axum::body::to_bytes(of(Arc::clone(&file), range.clone()), usize::MAX)
                .await
                .unwrap();
            assert!(
                body == bytes[range.start as usize..range.end as usize],
                "{range:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_file_that_is_too_short_is_an_error_not_a_short_body() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"short").unwrap();
        assert!(
            axum::body::to_bytes(of(Arc::new(file), 0..10), usize::MAX)
                .await
                .is_err()
        );
    }
}
