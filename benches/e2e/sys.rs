//! The two system calls that std does not have: mapping a file, and signalling a process.
#![allow(unsafe_code)] // mmap(2), munmap(2) and kill(2).

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// A whole file, mapped for reading.
pub(crate) struct Map {
    start: *const u8,
    len: usize,
}

impl Map {
    /// Maps `file`, as TF Lite maps its models.
    pub(crate) fn of(file: &File) -> io::Result<Map> {
        let len = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        // SAFETY: a new mapping at an address of the kernel's choice; nothing of ours is replaced.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Map {
            start: start.cast::<u8>().cast_const(),
            len,
        })
    }

    /// The mapped bytes. Nobody may cut the file meanwhile; here nobody does.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: `start` and `len` are of a mapping that lives as long as `self` and is never written.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `of`, taken away once.
        unsafe { libc::munmap(self.start.cast_mut().cast(), self.len) };
    }
}

/// Sends `signal` to a process of ours. That it has ended already is no error here.
pub(crate) fn signal(pid: u32, signal: i32) {
    if let Ok(pid) = i32::try_from(pid) {
        // SAFETY: takes no pointers; the pid is that of a child not yet waited for.
        unsafe { libc::kill(pid, signal) };
    }
}
