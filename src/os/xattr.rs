//! Extended attributes: how another process's mount is asked what it is.
#![allow(unsafe_code)] // getxattr(2) has no counterpart in std.

use std::io;
use std::path::Path;

use super::c_path;

/// The longest value that is read; ours are short lines.
const LONGEST: usize = 4096;

/// The value of an extended attribute, as text.
///
/// # Errors
///
/// Those of getxattr(2) (ENODATA: not set), or the value is no UTF-8. It waits for the file system, so ask a mount that
/// may hang through [`super::limit::within`].
pub fn get(path: &Path, name: &str) -> io::Result<String> {
    let path = c_path(path)?;
    let name = c_path(Path::new(name))?;
    let mut value = vec![0u8; LONGEST];
    // SAFETY: both strings are NUL-terminated, and the kernel writes at most `value.len()` bytes to `value`.
    let length = unsafe {
        libc::getxattr(
            path.as_ptr(),
            name.as_ptr(),
            value.as_mut_ptr().cast(),
            value.len(),
        )
    };
    match usize::try_from(length) {
        Ok(length) => value.truncate(length),
        Err(_) => return Err(io::Error::last_os_error()),
    }
    String::from_utf8(value).map_err(io::Error::other)
}
