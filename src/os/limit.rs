//! A call that may hang in the kernel, given up after a while.

use std::sync::mpsc;
use std::time::Duration;

/// Runs `call` on a thread of its own and waits at most `limit` for it.
///
/// `None` if it took longer (the thread is left behind and ends when the kernel lets it go), if it panicked, or if no
/// thread could be had.
pub fn within<T: Send + 'static>(
    limit: Duration,
    call: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (send, receive) = mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name("may-hang".to_owned())
        .spawn(move || {
            let _ = send.send(call());
        })
        .ok()?;
    receive.recv_timeout(limit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn an_answer_in_time_is_returned_and_a_late_one_given_up() {
        assert_eq!(within(Duration::from_secs(10), || 7), Some(7));
        let start = Instant::now();
        assert_eq!(
            within(Duration::from_millis(20), || std::thread::sleep(
                Duration::from_secs(5)
            )),
            None
        );
        assert!(start.elapsed() < Duration::from_secs(3));
    }
}
