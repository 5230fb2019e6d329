//! The terminal that somebody reads on.

use std::io::IsTerminal;
use std::os::fd::AsFd;

/// How many columns it has; `None` for a file or a pipe, and for a terminal that does not say.
pub fn columns(out: &(impl AsFd + IsTerminal)) -> Option<usize> {
    if !out.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(out).ok()?;
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
