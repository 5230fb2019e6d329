//! A file that is there whole or not at all: written beside its place, and renamed at the end.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::cli::failure::Failure;
use crate::daemon::runtime::Runtime;
use crate::daemon::signals::{Signal, StopSignals};
use crate::os;

/// Where an export goes.
pub(in crate::cli) enum Output {
    /// What was open before, and what is no plain file: a pipe, `/dev/null`.
    Direct(Box<dyn Write>),
    /// A plain file, which is what it was until the new one is whole.
    Replacement(Replacement),
}

/// The new file, under a name that goes away with this.
pub(in crate::cli) struct Replacement {
    file: File,
    to: PathBuf,
    /// Taken by whoever ends it: the end of the writing, a failure, or a signal.
    temp: Arc<Mutex<Option<PathBuf>>>,
    /// Waits for Ctrl-C.
    _runtime: Runtime,
}

impl Output {
    /// Begins to write `to`; `-` is stdout.
    ///
    /// # Errors
    ///
    /// Nothing can be written there. What was there is as it was.
    pub fn begin(to: &Path) -> Result<Output, Failure> {
        let cannot = |error| at(to, &error);
        if to == Path::new("-") {
            return Ok(Output::Direct(Box::new(io::stdout().lock())));
        }
        match fs::metadata(to) {
            Ok(meta) if meta.is_dir() => Err(Failure::Failed(format!(
                "cannot write {}: it is a directory; name a file in it",
                to.display()
            ))),
            Ok(meta) if !meta.is_file() => {
                let file = File::options().write(true).open(to).map_err(cannot)?;
                Ok(Output::Direct(Box::new(file)))
            }
            old => Replacement::new(to, old.ok()).map(Output::Replacement),
        }
    }

    /// Gives the file its name, once all of it is on the disk.
    ///
    /// # Errors
    ///
    /// The disk failed. What was there is as it was.
    pub fn finish(self) -> io::Result<()> {
        match self {
            Output::Direct(mut out) => out.flush(),
            Output::Replacement(replacement) => replacement.finish(),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Output::Direct(out) => out.write(bytes),
            Output::Replacement(replacement) => replacement.file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Output::Direct(out) => out.flush(),
            Output::Replacement(replacement) => replacement.file.flush(),
        }
    }
}

impl Replacement {
    /// `old` is what has the name now.
    fn new(to: &Path, old: Option<fs::Metadata>) -> Result<Replacement, Failure> {
        // The file that a link leads to is replaced, and not the link.
        let place = fs::canonicalize(to).unwrap_or_else(|_| to.to_owned());
        let mut name = std::ffi::OsString::from(".");
        name.push(place.file_name().unwrap_or_default());
        name.push(format!(".{}.tmp", std::process::id()));
        let temp = place.with_file_name(name);
        let runtime = Runtime::new().map_err(Failure::failed)?;
        let held = Arc::new(Mutex::new(Some(temp.clone())));
        runtime.block_on(listen(held.clone(), to.to_owned()))?;
        let file = File::create_new(&temp).map_err(|error| at(to, &error))?;
        let replacement = Replacement {
            file,
            to: place,
            temp: held,
            _runtime: runtime,
        };
        if let Some(old) = old {
            let kept = replacement.file.set_permissions(old.permissions());
            kept.map_err(|error| at(to, &error))?;
        }
        Ok(replacement)
    }

    fn finish(self) -> io::Result<()> {
        self.file.sync_all()?;
        let mut temp = self.temp.lock();
        if let Some(named) = temp.as_ref() {
            fs::rename(named, &self.to)?;
        }
        *temp = None;
        drop(temp);
        match self.to.parent().filter(|dir| *dir != Path::new("")) {
            Some(dir) => os::fs::sync_dir(dir),
            None => os::fs::sync_dir(Path::new(".")),
        }
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if let Some(temp) = self.temp.lock().take() {
            let _ = fs::remove_file(temp); // whoever finds a part of it takes it for all
        }
    }
}

/// Removes the unfinished file when the process is told to end, and ends it.
async fn listen(temp: Arc<Mutex<Option<PathBuf>>>, to: PathBuf) -> Result<(), Failure> {
    let mut stop = StopSignals::new(false).map_err(Failure::failed)?;
    tokio::spawn(async move {
        let is_interrupt = stop.next().await == Signal::Interrupt;
        let mut temp = temp.lock();
        let Some(named) = temp.take() else {
            return; // it has its name, or has failed
        };
        let _ = fs::remove_file(named); // it may not be there yet
        eprintln!("tfhub-fs: stopped; {} is unchanged", to.display());
        if is_interrupt {
            os::own::die_of_interrupt();
        }
        std::process::exit(1);
    });
    Ok(())
}

/// What is wrong with the file that was to be written.
pub(in crate::cli) fn at(file: &Path, error: &io::Error) -> Failure {
    Failure::Failed(format!("cannot write {}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn names(dir: &Path) -> usize {
        fs::read_dir(dir).unwrap().count()
    }

    #[test]
    fn a_file_is_replaced_at_the_end_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let (to, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&to, "old").unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&to, &link).unwrap();
        let mut given_up = Output::begin(&to).unwrap();
        given_up.write_all(b"new").unwrap();
        assert_eq!(names(dir.path()), 3);
        drop(given_up);
        assert_eq!(
            (fs::read(&to).unwrap(), names(dir.path())),
            (b"old".to_vec(), 2)
        );
        let mut out = Output::begin(&link).unwrap();
        out.write_all(b"new").unwrap();
        out.finish().unwrap();
        assert_eq!(
            (fs::read(&to).unwrap(), names(dir.path())),
            (b"new".to_vec(), 2)
        );
        let mode = fs::metadata(&to).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn what_is_no_plain_file_stays_what_it_is() {
        use std::os::unix::fs::FileTypeExt;
        let mut out = Output::begin(Path::new("/dev/null")).unwrap();
        out.write_all(b"bytes").unwrap();
        out.finish().unwrap();
        let null = fs::metadata("/dev/null").unwrap();
        assert!(null.file_type().is_char_device());
        assert!(Output::begin(Path::new("/")).is_err());
        assert!(Output::begin(Path::new("/no/such/dir/file")).is_err());
    }
}
