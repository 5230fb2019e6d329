//! How a command lives and ends: its runtime, and the signals that stop it.

use std::ops::Deref;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Failure;
use crate::os;

/// Each model that is being unpacked holds a thread, also while its origin stalls; others must not wait for one.
const BLOCKING: usize = 4096;

/// How long the end waits for what is on the disk's or a name server's side. A cache is whole whenever it is left.
const END: Duration = Duration::from_secs(1);

/// A runtime for everything that waits. What still goes on when it is dropped is left behind soon.
pub(super) struct Runtime {
    handle: Handle,
    own: Option<tokio::runtime::Runtime>,
}

impl Runtime {
    pub fn new() -> Result<Runtime, Failure> {
        let own = Builder::new_multi_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING)
            .build()
            .map_err(Failure::failed)?;
        Ok(Runtime {
            handle: own.handle().clone(),
            own: Some(own),
        })
    }

    pub fn handle(&self) -> &Handle {
        &self.handle
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

/// Ctrl-C, SIGTERM and a closed terminal, listened to from the moment this is made: one that comes before it is waited for counts.
pub(super) struct Stop {
    interrupt: Signal,
    terminate: Signal,
    /// `None` where nohup(1) has had it ignored.
    hang_up: Option<Signal>,
}

impl Stop {
    /// To be called within a runtime.
    pub fn new() -> std::io::Result<Stop> {
        Ok(Stop {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: match os::own::ignores_hangup() {
                true => None,
                false => Some(signal(SignalKind::hangup())?),
            },
        })
    }

    /// Ends at the first of them. Whether it was Ctrl-C.
    pub async fn told(mut self) -> bool {
        let hang_up = async {
            match &mut self.hang_up {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => true,
            _ = self.terminate.recv() => false,
            _ = hang_up => false,
        }
    }
}
