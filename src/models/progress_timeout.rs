//! How long a reader waits: as long as something moves, and not longer.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::Error;
use crate::cache::{Filling, Need};
use crate::handle::Handle;

/// The waiting rule of one reader: any progress of the filling gives it another `timeout`.
#[derive(Debug, Clone)]
pub struct ProgressTimeout {
    handle: String,
    timeout: Duration,
}

impl ProgressTimeout {
    /// Waits for `handle`'s bytes that end `timeout` after the last progress.
    pub fn new(handle: &Handle, timeout: Duration) -> ProgressTimeout {
        ProgressTimeout {
            handle: handle.url(),
            timeout,
        }
    }

    /// Waits until `need` is met or the filling has failed (what failed is told by the next look at it).
    pub async fn until(&self, filling: &Filling, need: Need) -> Result<(), Error> {
        let met = filling.changed(need);
        tokio::pin!(met);
        let begun = Instant::now();
        loop {
            // What moved before this wait began does not shorten it.
            let moved = Instant::from_std(filling.progress().grown).max(begun);
            let deadline = moved + self.timeout;
            if timeout_at(deadline, &mut met).await.is_ok() {
                return Ok(());
            }
            if Instant::from_std(filling.progress().grown) <= moved {
                return Err(self.spent());
            }
        }
    }

    fn spent(&self) -> Error {
        let (handle, after) = (self.handle.clone(), self.timeout);
        Error::Stalled { handle, after }
    }
}
