//! Nothing is left behind: whatever was started is written down here, and ended when the bench ends in any way
//! that can be noticed. Each guard cleans up after itself; this is for Ctrl-C, SIGTERM and a bar that hangs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::{Result, sys};

/// How long a process that was told to end may take.
const GRACE: Duration = Duration::from_secs(3);

struct Kept {
    ending: bool,
    children: Vec<u32>,
    dirs: Vec<PathBuf>,
}

static KEPT: Mutex<Kept> = Mutex::new(Kept {
    ending: false,
    children: Vec::new(),
    dirs: Vec::new(),
});

/// Seconds since the start at which the running bar must have ended; 0 for none.
static DEADLINE: AtomicU64 = AtomicU64::new(0);

/// A child that must not outlive the bench. One that comes when everything is being ended already is killed, and its
/// owner waits for the end.
pub(crate) fn remember(pid: u32) {
    let mut kept = KEPT.lock();
    kept.children.push(pid);
    if kept.ending {
        drop(kept);
        sys::signal(pid, libc::SIGKILL);
        loop {
            std::thread::park();
        }
    }
}

/// A child that has been waited for.
pub(crate) fn forget(pid: u32) {
    KEPT.lock().children.retain(|kept| *kept != pid);
}

/// A directory below which things are made and mounted.
pub(crate) fn remember_dir(dir: &Path) {
    KEPT.lock().dirs.push(dir.to_owned());
}

/// The bar that begins now may take this long.
pub(crate) fn allow(started: Instant, limit: Duration) {
    DEADLINE.store((started.elapsed() + limit).as_secs() + 1, Ordering::Relaxed);
}

/// Ends children, mounts and files, in this order.
pub(crate) fn everything() {
    let (children, dirs) = {
        let mut kept = KEPT.lock();
        kept.ending = true;
        (kept.children.clone(), kept.dirs.clone())
    };
    for pid in &children {
        sys::signal(*pid, libc::SIGCONT);
        sys::signal(*pid, libc::SIGTERM);
    }
    let until = Instant::now() + GRACE;
    while Instant::now() < until && children.iter().any(|pid| runs(*pid)) {
        std::thread::sleep(Duration::from_millis(20));
    }
    for dir in &dirs {
        unmount_below(dir);
    }
    for pid in children.iter().filter(|pid| runs(**pid)) {
        sys::signal(*pid, libc::SIGKILL);
    }
    for dir in &dirs {
        remove(dir);
    }
}

/// Removes a directory in which the interrupted bar may still make files for a moment.
fn remove(dir: &Path) {
    for _ in 0..50 {
        match std::fs::remove_dir_all(dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                std::thread::sleep(Duration::from_millis(20));
            }
            _ => return,
        }
    }
}

/// Whether a child of ours is neither gone nor a zombie.
fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .map(|(_, rest)| rest.starts_with('Z'));
    state == Some(false)
}

/// Detaches every mount at or below `dir`.
pub(crate) fn unmount_below(dir: &Path) {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    for point in points.filter(|point| Path::new(point).starts_with(dir)) {
        let as_root = Command::new("umount").args(["--lazy", point]).status();
        if !as_root.is_ok_and(|status| status.success()) {
            let _ = Command::new("fusermount3").args(["-uz", point]).status();
        }
    }
}

/// Watches for Ctrl-C, SIGTERM and a bar beyond its time, for as long as the bench runs.
pub(crate) fn watch(started: Instant) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name("watch".to_owned())
        .spawn(move || {
            let why = runtime.block_on(ended(started));
            eprintln!("bars: {why}; cleaning up");
            everything();
            std::process::exit(1);
        })?;
    Ok(())
}

async fn ended(started: Instant) -> String {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return "SIGTERM cannot be watched".to_owned();
    };
    let late = async {
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let deadline = DEADLINE.load(Ordering::Relaxed);
            if deadline != 0 && started.elapsed().as_secs() > deadline {
                return;
            }
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => "interrupted".to_owned(),
        _ = terminate.recv() => "told to end".to_owned(),
        () = late => "a bar hangs".to_owned(),
    }
}
