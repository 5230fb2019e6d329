//! The runtime of everything that waits.

use std::io;
use std::ops::Deref;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};

/// Each model that is being unpacked holds a thread, also while its origin stalls; others must not wait for one.
const BLOCKING: usize = 4096;

/// How long the end waits for what is on the disk's or a name server's side. A cache is whole whenever it is left.
const END: Duration = Duration::from_secs(1);

/// A tokio runtime. What still runs when it is dropped is left behind soon.
#[derive(Debug)]
pub struct Runtime {
    handle: Handle,
    own: Option<tokio::runtime::Runtime>,
}

impl Runtime {
    /// Starts its threads.
    ///
    /// # Errors
    ///
    /// The kernel refuses a thread or a descriptor.
    pub fn new() -> io::Result<Runtime> {
        let own = Builder::new_multi_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING)
            .build()?;
        Ok(Runtime {
            handle: own.handle().clone(),
            own: Some(own),
        })
    }
}

impl Deref for Runtime {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if let Some(own) = self.own.take() {
            own.shutdown_timeout(END);
        }
    }
}
