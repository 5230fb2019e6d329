//! Files without a name, which vanish with the process.

use std::env;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// `TMPDIR` if set, else `/var/tmp`: packed models may be large, and `/tmp` is
/// often memory.
pub fn default_dir() -> PathBuf {
    let large = Path::new("/var/tmp");
    match env::var_os("TMPDIR") {
        Some(dir) if !dir.is_empty() => PathBuf::from(dir),
        _ if large.is_dir() => large.to_owned(),
        _ => env::temp_dir(),
    }
}

/// A new file in `dir`, readable by nobody else, which no longer has a name.
///
/// # Errors
/// As for creating a file there.
pub fn unlinked(dir: &Path) -> io::Result<File> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let name = format!(
            ".tfhub-fs-serve.{}.{count}.{}",
            std::process::id(),
            now.as_nanos()
        );
        let path = dir.join(name);
        // `create_new` follows no link: in a shared directory nobody can plant the file.
        match File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
        {
            Ok(file) => {
                fs::remove_file(&path)?;
                return Ok(file);
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, Write};

    use super::*;

    #[test]
    fn a_spool_file_works_and_has_no_name() {
        let temp = tempfile::tempdir().unwrap();
        let mut file = unlinked(temp.path()).unwrap();
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0);
        file.write_all(b"bytes").unwrap();
        file.rewind().unwrap();
        let mut back = String::new();
        file.read_to_string(&mut back).unwrap();
        assert_eq!(back, "bytes");
        assert!(unlinked(&temp.path().join("none")).is_err());
    }
}
