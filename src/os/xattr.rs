//! Extended attributes: how another process's mount is asked what it is.

use std::io;
use std::path::Path;

/// The longest value that is read; ours are short lines.
const LONGEST: usize = 4096;

/// The value of an extended attribute, as text.
///
/// # Errors
///
/// Those of getxattr(2) (ENODATA: not set), or the value is no UTF-8. It waits for the file system, so ask a mount that
/// may hang through [`super::limit::within`].
pub fn get(path: &Path, name: &str) -> io::Result<String> {
    let mut value = vec![0u8; LONGEST];
    let length = rustix::fs::getxattr(path, name, &mut value[..])?;
    value.truncate(length);
    String::from_utf8(value).map_err(io::Error::other)
}
