//! `tfhub-fs resolve`: what `hub.resolve` does, for a shell.

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::cli::args::{Resolve, SourceArgs};
use crate::cli::failure::Failure;
use crate::cli::output::stdout;
use crate::cli::settings;
use crate::daemon::assemble::Assembly;
use crate::daemon::newest::newest;
use crate::daemon::runtime::Runtime;
use crate::handle::{Handle, Kind};
use crate::models::Models;
use crate::os::mountinfo::{FSTYPE, Table};

/// Prints a local directory for each handle, in order; stops at the first that cannot be had. What has been fetched by then is
/// left in the shared cache all the same.
pub(in crate::cli) fn run(command: &Resolve) -> Result<(), Failure> {
    let assembly = settings::assembly(&command.source)?;
    let mut cache = None;
    let mut handles = command.handles.iter();
    let printed = handles.try_for_each(|text| print(text, command, &assembly, &mut cache));
    if let Some((runtime, models)) = &cache {
        runtime.block_on(models.settled());
    }
    printed
}

fn print(
    text: &str,
    command: &Resolve,
    assembly: &Assembly,
    cache: &mut Opened,
) -> Result<(), Failure> {
    if command.remote {
        return stdout::say(&(remote(text, assembly, cache)? + "\n"));
    }
    let path = match local(text)? {
        Some(path) => path,
        None => {
            let handle = Handle::parse(text).map_err(Failure::usage)?;
            match in_mount(&handle, &command.source, assembly.timeout())? {
                Some(path) => path,
                None => in_cache(&handle, assembly, cache)?,
            }
        }
    };
    match path.to_str() {
        Some(path) => stdout::say(&format!("{path}\n")),
        None => {
            // The bytes of the path as they are: a script opens it.
            let line = [path.as_os_str().as_bytes(), b"\n"].concat();
            let written = std::io::stdout().write_all(&line);
            written.map_err(Failure::failed)
        }
    }
}

/// A handle that is a path already is returned as it is, as `hub.resolve` does.
fn local(text: &str) -> Result<Option<PathBuf>, Failure> {
    if text.contains("://") {
        return Ok(None);
    }
    let path = PathBuf::from(text);
    if path.exists() {
        return Ok(Some(path));
    }
    Err(Failure::Failed(format!(
        "{text} does not exist; a handle begins with https://, like https://tfhub.dev/google/nnlm-en-dim128/2"
    )))
}

/// The model's directory in the live mount that is the first to say it has it.
fn in_mount(
    handle: &Handle,
    source: &SourceArgs,
    timeout: Duration,
) -> Result<Option<PathBuf>, Failure> {
    if source.cache.cache_dir.is_some() || std::env::var_os("TFHUB_FS_CACHE_DIR").is_some() {
        return Ok(None);
    }
    let table = Table::read().map_err(Failure::failed)?;
    let (answer, answers) = mpsc::channel();
    for mount in table.of_type(FSTYPE) {
        let pasted = pasted(&mount.mountpoint, handle);
        let answer = answer.clone();
        // A thread each: a mount whose hub is gone answers late, and one whose process hangs never.
        std::thread::spawn(move || {
            // Through the links of the pasted form to the canonical path; ENOENT where this mount does not have it.
            let path = std::fs::canonicalize(pasted).ok();
            let _ = answer.send(path.filter(|path| path.is_dir()));
        });
    }
    drop(answer);
    let deadline = Instant::now() + timeout;
    let next = || answers.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    Ok(std::iter::from_fn(|| next().ok()).flatten().next())
}

/// The whole URL as a path in a mount.
fn pasted(mountpoint: &Path, handle: &Handle) -> PathBuf {
    let url = handle.url();
    let folded = url.replacen("://", ":/", 1);
    let path = mountpoint.join(folded);
    if handle.version().is_some() || handle.kind() == Kind::Archive {
        path
    } else {
        path.join("latest")
    }
}

type Opened = Option<(Runtime, Models)>;

/// The `gs://` folder of a model, or of a bucket's directory as it was typed.
fn remote(text: &str, assembly: &Assembly, opened: &mut Opened) -> Result<String, Failure> {
    let handle = Handle::parse(text).map_err(Failure::usage)?;
    if handle.kind() == Kind::Bucket {
        return Ok(handle.url());
    }
    let (runtime, models) = open(assembly, opened)?;
    let folder = runtime.block_on(models.remote(&handle));
    folder.map_err(Failure::failed)
}

fn open<'a>(assembly: &Assembly, opened: &'a mut Opened) -> Result<&'a (Runtime, Models), Failure> {
    if opened.is_none() {
        let runtime = Runtime::new().map_err(Failure::failed)?;
        let models = assembly.models(&runtime)?;
        *opened = Some((runtime, models));
    }
    let opened = opened.as_ref();
    opened.ok_or_else(|| Failure::Failed("the cache is not open".to_owned()))
}

/// The model's directory in the cache, fetched if it is not there.
fn in_cache(handle: &Handle, assembly: &Assembly, opened: &mut Opened) -> Result<PathBuf, Failure> {
    if handle.kind() == Kind::Bucket {
        return Err(Failure::Failed(format!(
            "{handle} is a directory in a bucket: mount it (tfhub-fs mount) and resolve it again, or print it with --remote"
        )));
    }
    let (runtime, models) = open(assembly, opened)?;
    runtime.block_on(async {
        let handle = newest(handle, models).await.map_err(Failure::failed)?;
        let sealed = models
            .model(&handle)
            .sealed()
            .await
            .map_err(Failure::failed)?;
        Ok(sealed.dir().to_owned())
    })
}
