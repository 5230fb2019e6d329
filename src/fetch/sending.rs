//! Request bodies whose sending counts as progress: a part of many megabytes takes a slow uplink longer than the timeout.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};

use super::retry::RetryState;

/// Bytes sent at once; a shorter body is sent whole.
const PIECE: usize = 64 << 10;

/// One attempt to send a body.
pub(super) struct Sending {
    body: Bytes,
    /// When the last piece was sent.
    moved: Arc<Mutex<Option<Instant>>>,
}

impl Sending {
    pub fn new(body: &Bytes) -> Sending {
        Sending {
            body: body.clone(),
            moved: Arc::default(),
        }
    }

    /// The body for the HTTP client.
    pub fn body(&self) -> reqwest::Body {
        match self.body.len() > PIECE {
            true => reqwest::Body::wrap(Pieces {
                left: self.body.clone(),
                moved: self.moved.clone(),
            }),
            false => self.body.clone().into(),
        }
    }

    /// Waits for the answer; every piece that is sent starts the clock anew. `None`: nothing has moved within the timeout.
    pub async fn answered<T>(
        &self,
        request: impl Future<Output = T>,
        retry: &mut RetryState,
    ) -> Option<T> {
        let mut request = pin!(request);
        loop {
            let answer = timeout_at(retry.deadline(), &mut request).await.ok();
            let moved = *self.moved.lock();
            let has_moved = moved.is_some_and(|at| retry.record_sent(at));
            if answer.is_some() || !has_moved {
                return answer;
            }
        }
    }
}

/// A body that notes when pieces of it are taken: the connection takes one when it has got rid of those before.
struct Pieces {
    left: Bytes,
    moved: Arc<Mutex<Option<Instant>>>,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        *self.moved.lock() = Some(Instant::now());
        let piece = self.left.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.left.split_to(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}
