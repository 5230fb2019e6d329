//! Threads that answer the kernel, and work that may wait for a disk: a test build tells where the two meet.

use std::cell::Cell;

thread_local! {
    static IS_ANSWERING: Cell<bool> = const { Cell::new(false) };
}

/// Runs `callback`, in which nothing may wait for a disk or a network.
pub fn answering<T>(callback: impl FnOnce() -> T) -> T {
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            IS_ANSWERING.set(self.0);
        }
    }
    let _before = Before(IS_ANSWERING.replace(true));
    callback()
}

/// Marks work that may wait for a disk.
///
/// # Panics
///
/// Within [`answering`], in a debug build.
#[track_caller]
pub fn may_wait() {
    debug_assert!(
        !IS_ANSWERING.get(),
        "blocking work in a thread that answers the kernel"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_may_wait_is_found_in_a_callback_and_nowhere_else() {
        may_wait();
        answering(|| ());
        may_wait();
        let caught = std::panic::catch_unwind(|| answering(may_wait));
        assert_eq!(caught.is_err(), cfg!(debug_assertions));
        may_wait();
    }
}
