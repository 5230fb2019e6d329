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

use super::survey::Stamp;

/// Large enough that the hop between threads (some 10 us) does not count beside
/// the copy, small enough to stay in the processor's cache between the two copies.
const CHUNK: u64 = 512 << 10;

struct Reading {
    file: Arc<File>,
    left: Range<u64>,
    state: Option<Stamp>,
    ahead: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Reading {
    fn start_next(&mut self) {
        let at = self.left.start;
        let len = (self.left.end - at).min(CHUNK);
        if len > 0 {
            self.left.start += len;
            let (file, state) = (Arc::clone(&self.file), self.state);
            self.ahead = Some(tokio::task::spawn_blocking(move || {
                read(&file, at, len, state.as_ref())
            }));
        }
    }
}

fn read(file: &File, at: u64, len: u64, state: Option<&Stamp>) -> io::Result<Bytes> {
    let mut buffer = vec![0; usize::try_from(len).map_err(io::Error::other)?];
    file.read_exact_at(&mut buffer, at)?;
    // Looked at after the reading, so that a change before it or during it shows.
    if let Some(state) = state
        && !state.same_content(&Stamp::of(&file.metadata()?))
    {
        return Err(io::Error::other("the file was changed while it was sent"));
    }
    Ok(buffer.into())
}

/// These bytes of `file`. If it turns out to be shorter, or to be written to
/// since it was in `state`, the body ends with an error, which cuts the
/// connection: a client never takes it for complete.
pub fn of(file: Arc<File>, range: Range<u64>, state: Option<Stamp>) -> Body {
    let reading = Reading {
        file,
        left: range,
        state,
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

    use futures_util::StreamExt;

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
            let body = axum::body::to_bytes(of(Arc::clone(&file), range.clone(), None), usize::MAX)
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
            axum::body::to_bytes(of(Arc::new(file), 0..10, None), usize::MAX)
                .await
                .is_err()
        );
    }

    #[tokio::test]
    async fn a_file_that_is_written_to_meanwhile_is_not_sent_on() {
        let bytes = vec![b'a'; CHUNK as usize * 4];
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let file = Arc::new(file);
        let state = Stamp::of(&file.metadata().unwrap());
        let mut sent = of(Arc::clone(&file), 0..bytes.len() as u64, Some(state)).into_data_stream();
        sent.next().await.unwrap().unwrap();
        file.write_all_at(b"b", 0).unwrap();
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
        file.set_modified(later).unwrap();
        let rest: Vec<_> = sent.collect().await;
        assert!(rest.last().unwrap().is_err());
    }
}
