//! `tfhub-fs unmount`.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::cli::args::Unmount;
use crate::cli::failure::Failure;
use crate::os::mountinfo::{FSTYPE, Table};
use crate::os::path::resolve;
use crate::os::process::Process;
use crate::os::unmount::{Error, Way, unmount};
use crate::os::users::{Users, users};
use crate::os::{limit, xattr};

/// How long the search for whoever uses the mount may take.
const SEARCH: Duration = Duration::from_secs(5);

/// How long the mount's process may take to end after the mount has gone.
const END: Duration = Duration::from_secs(5);

/// Unmounts a mount that nobody uses, or detaches it with `--lazy`.
pub(in crate::cli) fn run(command: &Unmount) -> Result<(), Failure> {
    let table = Table::read().map_err(Failure::failed)?;
    let mountpoint = resolve(&command.mountpoint, &table).map_err(Failure::failed)?;
    match table.at(&mountpoint) {
        Some(mount) if mount.fstype == FSTYPE => {}
        Some(mount) => return Err(not_ours(&mountpoint, &mount.fstype)),
        None => return Err(not_mounted(&mountpoint, &table)),
    }
    let daemon = daemon_of(&mountpoint);
    let way = if command.lazy { Way::Lazy } else { Way::Normal };
    match unmount(&mountpoint, way) {
        Ok(()) => {}
        Err(Error::Busy { .. }) => return Err(busy(&mountpoint)),
        Err(error) => return Err(Failure::failed(error)),
    }
    // A detached mount lives as long as its open files; an unmounted one ends at once.
    if let (Some(daemon), Way::Normal) = (daemon, way) {
        let _ = daemon.wait(Instant::now() + END);
    }
    Ok(())
}

/// The process that serves a mount, as the mount itself says; `None` when it is dead or does not answer.
fn daemon_of(mountpoint: &Path) -> Option<Process> {
    let mountpoint = mountpoint.to_owned();
    let asked = limit::within(Duration::from_secs(1), move || {
        xattr::get(&mountpoint, "user.tfhub.pid")
    });
    let pid = asked?.ok()?;
    Process::of(pid.parse().ok()?)
}

fn not_ours(mountpoint: &Path, fstype: &str) -> Failure {
    Failure::Failed(format!(
        "{} is a mount of type {fstype}, not of tfhub-fs; umount(8) unmounts it",
        mountpoint.display()
    ))
}

fn not_mounted(mountpoint: &Path, table: &Table) -> Failure {
    let ours: Vec<String> = table
        .of_type(FSTYPE)
        .map(|mount| mount.mountpoint.display().to_string())
        .collect();
    let hint = match ours.as_slice() {
        [] => "there is no tfhub-fs mount on this machine".to_owned(),
        some => format!("mounted are: {}", some.join(", ")),
    };
    Failure::Failed(format!(
        "nothing is mounted on {}; {hint}",
        mountpoint.display()
    ))
}

fn busy(mountpoint: &Path) -> Failure {
    let Users { found, unseen } = users(mountpoint, SEARCH);
    let mut who: Vec<String> = found
        .iter()
        .map(|user| format!("{} ({})", user.pid, user.command))
        .collect();
    match unseen {
        0 => {}
        1 => who.push("1 process that could not be looked into".to_owned()),
        more => who.push(format!("{more} processes that could not be looked into")),
    }
    Failure::Failed(format!(
        "{0} is in use by {1}; end them, or detach it with `tfhub-fs unmount --lazy {0}`",
        mountpoint.display(),
        if who.is_empty() {
            "somebody".to_owned()
        } else {
            who.join(", ")
        }
    ))
}
