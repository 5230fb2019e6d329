//! The signals that end a command or a mount.

use std::future::pending;
use std::io;

use tokio::signal::unix::{self, SignalKind, signal};

use crate::os::own;

/// A signal that ends a command or a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: systemd, kill(1).
    Terminate,
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGHUP: the terminal was closed. Only in the foreground.
    HangUp,
}

/// Catches SIGTERM, SIGINT and SIGHUP from the moment it is made: one that comes before [`StopSignals::next`] counts.
#[derive(Debug)]
pub struct StopSignals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hang_up: Option<unix::Signal>,
}

impl StopSignals {
    /// To be made before the work begins, in a tokio runtime. In the background, and where nohup(1) has had it ignored,
    /// SIGHUP means nothing.
    ///
    /// # Errors
    ///
    /// The handlers cannot be installed.
    pub fn new(background: bool) -> io::Result<StopSignals> {
        Ok(StopSignals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: match background || own::ignores_hangup() {
                true => None,
                false => Some(signal(SignalKind::hangup())?),
            },
        })
    }

    /// The next signal; cancel-safe.
    pub async fn next(&mut self) -> Signal {
        let hang_up = async {
            match &mut self.hang_up {
                Some(signal) => signal.recv().await,
                None => pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = hang_up => Signal::HangUp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_signal_is_caught() {
        let mut stop = StopSignals::new(true).unwrap();
        let pid = std::process::id().to_string();
        std::process::Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap();
        assert_eq!(stop.next().await, Signal::Terminate);
    }
}
