//! One part of one file, from its origin into the filling.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};

use crate::cache::{self, FillFile};
use crate::models::Error;
use crate::source::Ranged;

/// Written at once: a reader sees bytes when they are written, and each write costs a change of threads.
const WRITE: usize = 512 << 10;

/// Written without waiting for more, when no more is there yet.
const SOON: usize = 128 << 10;

/// Brings `range` of a file. What has come before an error stays. `false`: not all of it was kept, for want of space.
pub(super) async fn bring(
    from: &Arc<dyn Ranged>,
    file: &Arc<FillFile>,
    range: Range<u64>,
) -> Result<bool, Error> {
    let mut kept = true;
    let mut bytes = from.read(range.clone());
    let mut at = range.start;
    let mut held = Vec::new();
    let mut holding = 0;
    loop {
        let next = match bytes.next().now_or_never() {
            Some(next) => next,
            None => {
                if holding >= SOON {
                    at = write(file, at, std::mem::take(&mut held), &mut kept).await?;
                    holding = 0;
                }
                bytes.next().await
            }
        };
        match next {
            Some(Ok(chunk)) => {
                holding += chunk.len();
                held.push(chunk);
                if holding >= WRITE {
                    at = write(file, at, std::mem::take(&mut held), &mut kept).await?;
                    holding = 0;
                }
            }
            Some(Err(error)) => {
                write(file, at, held, &mut kept).await?;
                return Err(Error::Source(error));
            }
            None => {
                at = write(file, at, held, &mut kept).await?;
                break;
            }
        }
    }
    match at == range.end {
        true => Ok(kept),
        // The promise of Ranged::read.
        false => Err(Error::lost(&from.shown())),
    }
}

/// Writes off the async threads; gives the offset behind it.
async fn write(
    file: &Arc<FillFile>,
    at: u64,
    held: Vec<Bytes>,
    kept: &mut bool,
) -> Result<u64, Error> {
    if held.is_empty() {
        return Ok(at);
    }
    let writing = {
        let file = file.clone();
        tokio::task::spawn_blocking(move || -> Result<(u64, bool), cache::Error> {
            let (mut at, mut kept) = (at, true);
            for bytes in held {
                // What is not kept for want of room is fetched again when somebody waits for it.
                kept &= file.write_at(at, &bytes)?;
                at += bytes.len() as u64;
            }
            Ok((at, kept))
        })
    };
    match writing.await {
        Ok(Ok((at, all))) => {
            *kept &= all;
            Ok(at)
        }
        Ok(Err(cause)) => Err(Error::Store {
            handle: file.path().to_owned(),
            cause: Arc::new(cause),
        }),
        Err(_) => Err(Error::lost(&file.path())),
    }
}
