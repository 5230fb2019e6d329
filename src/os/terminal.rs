//! The terminal that somebody reads on.
#![allow(unsafe_code)] // ioctl(2) has no counterpart in std.

use std::io::IsTerminal;
use std::os::fd::{AsFd, AsRawFd};

use super::check;

/// How many columns it has; `None` for a file or a pipe, and for a terminal that does not say.
pub fn columns(out: &(impl AsFd + IsTerminal)) -> Option<usize> {
    if !out.is_terminal() {
        return None;
    }
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: the descriptor is open for as long as the borrow lasts, and a struct of the right type is passed, to be filled.
    check(unsafe { libc::ioctl(out.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &mut size) }).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_no_columns() {
        assert_eq!(columns(&tempfile::tempfile().unwrap()), None);
    }
}
