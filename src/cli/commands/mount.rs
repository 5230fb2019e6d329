//! `tfhub-fs mount`.

use std::path::PathBuf;

use crate::cli::args::{Log, Mount};
use crate::cli::failure::Failure;
use crate::cli::output::log;
use crate::cli::settings;
use crate::daemon::background::{self, Start};
use crate::daemon::mount::{MountSettings, mount};
use crate::os;

/// Mounts, and stays until the mount ends; without `--foreground` the caller's part returns when the mount answers.
pub(in crate::cli) fn run(command: &Mount, level: &Log) -> Result<(), Failure> {
    let readiness = match background::start(command.foreground).map_err(Failure::failed)? {
        Start::Parent(0) => return Ok(()),
        Start::Parent(code) => return Err(Failure::Printed(code)),
        Start::Daemon(readiness) => readiness,
    };
    log::to_stderr(level)?;
    let mut assembly = settings::assembly(&command.source)?;
    let is_root = os::own::uid() == 0;
    let settings = MountSettings {
        mountpoint: command.mountpoint.clone(),
        allow_other: command.allow_other.unwrap_or(is_root),
        uid: command.uid.unwrap_or_else(os::own::uid),
        gid: command.gid.unwrap_or_else(os::own::gid),
        passthrough: command.passthrough,
        grace: settings::duration("--grace", &command.grace)?,
        handle_list: command.catalog.clone(),
        list_fetches: command.list_fetches,
        log_file: match readiness.is_background() {
            true => Some(log_file(command)?),
            false => None,
        },
    };
    Ok(mount(&mut assembly, &settings, readiness)?)
}

/// Where a mount in the background logs to; its directory is created where missing.
fn log_file(command: &Mount) -> Result<PathBuf, Failure> {
    if let Some(file) = &command.log_file {
        return std::path::absolute(file).map_err(Failure::failed);
    }
    if os::own::uid() == 0 {
        return Ok(PathBuf::from("/var/log/tfhub-fs.log"));
    }
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let Some(state) = state.filter(|path| path.is_absolute()).or_else(home) else {
        return Err(Failure::Usage(
            "HOME is not set, so there is no default log file; give --log-file FILE".to_owned(),
        ));
    };
    let dir = state.join("tfhub-fs");
    std::fs::create_dir_all(&dir).map_err(|error| {
        Failure::Failed(format!(
            "cannot create {}: {error}; give --log-file FILE",
            dir.display()
        ))
    })?;
    Ok(dir.join("log"))
}
