//! Small files that anybody who may write to the cache can have put there: read without being led astray, held up or filled up.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A lock is some 80 bytes, a descriptor some 200.
const SHORT: u64 = 64 << 10;

/// Opens a plain file: a link in its place is not followed, and a FIFO or a device does not make anybody wait.
pub(in crate::cache) fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a plain file"));
    }
    Ok(file)
}

/// The bytes of a lock or a descriptor.
///
/// # Errors
///
/// Those of open(2) and read(2); it is no plain file, or far longer than its kind is.
pub(in crate::cache) fn read(path: &Path) -> io::Result<Vec<u8>> {
    read_up_to(path, SHORT)
}

/// The bytes of a plain file that has at most `limit` of them.
pub(in crate::cache) fn read_up_to(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// The text of a lock or a descriptor.
///
/// # Errors
///
/// Those of [`read`]; it is not UTF-8.
pub(in crate::cache) fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|_| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_short_plain_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("plain"), "text").unwrap();
        symlink(at("plain"), at("link")).unwrap();
        std::fs::create_dir(at("dir")).unwrap();
        let made = std::process::Command::new("mkfifo")
            .arg(at("fifo"))
            .status();
        assert!(made.unwrap().success());
        File::create(at("long"))
            .unwrap()
            .set_len(SHORT + 1)
            .unwrap();
        assert_eq!(read_text(&at("plain")).unwrap(), "text");
        for name in ["link", "dir", "fifo", "long"] {
            assert!(read(&at(name)).is_err(), "{name}");
        }
        let missing = read(&at("missing")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
