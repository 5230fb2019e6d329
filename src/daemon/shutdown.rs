//! The end of a mount, in order.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::notify;
use crate::os::mount::Mounted;
use crate::os::unmount::{self, Way};
use crate::os::users::users;

/// How often the number of open files is asked for during the grace.
const LOOK: Duration = Duration::from_millis(50);

/// How long the search for the users of a busy mount may delay its end.
const SEARCH: Duration = Duration::from_secs(1);

/// How it ended.
#[derive(Debug)]
pub enum Outcome {
    /// Nobody used it; it is unmounted (perhaps by somebody else, before).
    Unmounted,
    /// It was in use; it was detached, and the last open file has been closed since.
    Drained,
    /// It was in use, and so many files were still open when the grace was over or cut short: their readers get
    /// "Transport endpoint is not connected".
    Aborted {
        /// Files that were open to the end.
        open: usize,
    },
    /// It could not even be detached; the connection has been ended, but the dead mount is still there.
    Stuck(unmount::Error),
}

/// Ends a mount in order: unmounts it if nobody uses it; else detaches it, so that nobody new comes in, and goes on serving
/// until `open` says that no file is open any more, `grace` is over, or `again` resolves (a second signal); then ends the
/// connection. The FUSE session must go on answering meanwhile, and may end afterwards.
pub async fn shut_down(
    mounted: Arc<Mounted>,
    open: impl Fn() -> usize,
    grace: Duration,
    again: impl Future,
) -> Outcome {
    notify::stopping();
    match unmount_off(&mounted, Way::Normal).await {
        Ok(()) => return Outcome::Unmounted,
        Err(unmount::Error::Busy { .. }) => tell_users(&mounted, grace).await,
        Err(error) => tracing::warn!("{error}; detaching it instead"),
    }
    if let Err(error) = unmount_off(&mounted, Way::Lazy).await {
        abort(&mounted);
        return Outcome::Stuck(error);
    }
    let left = drain(&open, grace, again).await;
    if left == 0 {
        return Outcome::Drained;
    }
    abort(&mounted);
    Outcome::Aborted { open: left }
}

/// Off the runtime's threads: it may start a program, and the kernel may take its time.
async fn unmount_off(mounted: &Arc<Mounted>, way: Way) -> Result<(), unmount::Error> {
    let moved = Arc::clone(mounted);
    let call = tokio::task::spawn_blocking(move || moved.unmount(way));
    call.await.unwrap_or_else(|error| {
        let mountpoint = mounted.mountpoint().to_path_buf();
        Err(unmount::Error::Failed {
            mountpoint,
            source: io::Error::other(error),
        })
    })
}

async fn tell_users(mounted: &Arc<Mounted>, grace: Duration) {
    let moved = Arc::clone(mounted);
    let found = tokio::task::spawn_blocking(move || users(moved.mountpoint(), SEARCH))
        .await
        .unwrap_or_default();
    let who: Vec<String> = found
        .found
        .iter()
        .map(|user| format!("{} ({})", user.pid, user.command))
        .collect();
    let who = if who.is_empty() {
        "a process that cannot be seen".to_owned()
    } else {
        who.join(", ")
    };
    tracing::warn!(
        "{} is in use by {who}: detaching it and serving what is open for up to {} s",
        mounted.mountpoint().display(),
        grace.as_secs_f32(),
    );
}

/// How many files were open at the end of the wait: 0 as soon as there are none.
async fn drain(open: &impl Fn() -> usize, grace: Duration, again: impl Future) -> usize {
    let deadline = Instant::now() + grace;
    let mut again = std::pin::pin!(again);
    loop {
        let left = open();
        let now = Instant::now();
        if left == 0 || now >= deadline {
            return left;
        }
        tokio::select! {
            () = sleep_until(deadline.min(now + LOOK)) => {}
            _ = &mut again => return open(),
        }
    }
}

/// Where it cannot be done, closing `/dev/fuse` at the end of the process does the same.
fn abort(mounted: &Mounted) {
    if let Err(error) = mounted.abort() {
        tracing::debug!(
            "cannot abort the connection of {}: {error}",
            mounted.mountpoint().display()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::testing::{TestMount, needs_fuse};
    use std::fs::File;
    use std::future::pending;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const GRACE: Duration = Duration::from_millis(300);

    #[tokio::test]
    async fn an_idle_mount_is_unmounted() {
        needs_fuse();
        let mount = TestMount::new();
        let outcome = shut_down(Arc::clone(mount.mounted()), || 0, GRACE, pending::<()>()).await;
        assert!(matches!(outcome, Outcome::Unmounted), "{outcome:?}");
        assert!(!mount.mounted().is_mounted());
    }

    #[tokio::test]
    async fn a_busy_mount_is_detached_and_drained() {
        needs_fuse();
        let mount = TestMount::new();
        let file = File::open(mount.path().join("file")).unwrap();
        let open = Arc::new(AtomicUsize::new(1));
        let reader = std::thread::spawn({
            let open = Arc::clone(&open);
            let mounted = Arc::clone(mount.mounted());
            move || {
                while mounted.is_mounted() {
                    std::thread::sleep(Duration::from_millis(5));
                }
                let text = io::read_to_string(file);
                open.store(0, Ordering::SeqCst);
                text
            }
        });
        let count = || open.load(Ordering::SeqCst);
        let long = Duration::from_secs(60);
        let outcome = shut_down(Arc::clone(mount.mounted()), count, long, pending::<()>()).await;
        assert!(matches!(outcome, Outcome::Drained), "{outcome:?}");
        assert_eq!(reader.join().unwrap().unwrap(), "hello");
    }

    #[tokio::test]
    async fn the_grace_ends_with_time_or_a_second_signal() {
        needs_fuse();
        for (grace, again) in [(GRACE, None), (Duration::from_secs(60), Some(GRACE))] {
            let mount = TestMount::new();
            let _file = File::open(mount.path().join("file")).unwrap();
            let again = async move {
                match again {
                    Some(after) => tokio::time::sleep(after).await,
                    None => pending().await,
                }
            };
            let start = Instant::now();
            let outcome = shut_down(Arc::clone(mount.mounted()), || 1, grace, again).await;
            assert!(
                matches!(outcome, Outcome::Aborted { open: 1 }),
                "{outcome:?}"
            );
            assert!(start.elapsed() >= GRACE && start.elapsed() < Duration::from_secs(30));
            assert!(!mount.mounted().is_mounted());
        }
    }
}
