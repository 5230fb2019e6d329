//! Whether a file is in use by anybody, asked of the kernel by trying for a write lease.
#![allow(unsafe_code)] // fcntl(2) with F_SETLEASE has no counterpart in std.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Linux's `F_SETSIG`, which the libc crate does not have for every target.
const F_SETSIG: libc::c_int = 10;

/// Whether another open file, of this process or any other, or a mapping, refers to what `file` refers to. The kernel gives a
/// write lease to the only one (fcntl(2), "Leases"). The lease is given back at once.
///
/// # Errors
///
/// EACCES: the file is another user's. EINVAL: its file system has no leases.
pub fn probe_use(file: &File) -> io::Result<bool> {
    // Whoever opens the file in this moment breaks the lease, which is told by a signal: not by SIGIO, which would kill.
    fcntl(file, F_SETSIG, libc::SIGURG)?;
    match fcntl(file, libc::F_SETLEASE, libc::F_WRLCK) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
        Err(error) => return Err(error),
    }
    fcntl(file, libc::F_SETLEASE, libc::F_UNLCK)?;
    Ok(false)
}

/// The commands of fcntl(2) that take a number.
fn fcntl(file: &File, command: libc::c_int, number: libc::c_int) -> io::Result<()> {
    // SAFETY: the descriptor is open for as long as the borrow lasts; these commands touch no memory of ours.
    match unsafe { libc::fcntl(file.as_raw_fd(), command, number) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::time::Duration;

    #[test]
    fn a_file_that_somebody_has_open_is_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "x").unwrap();
        let file = File::open(&path).unwrap();
        match probe_use(&file) {
            Ok(in_use) => assert!(!in_use),
            // tmpfs in some kernels, and network file systems.
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
                return;
            }
        }
        let other = File::open(&path).unwrap();
        assert!(probe_use(&file).unwrap());
        drop(other);
        assert!(!probe_use(&file).unwrap());
    }

    #[test]
    fn a_mapped_file_is_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, vec![1; 4096]).unwrap();
        let mapped = File::open(&path).unwrap();
        // SAFETY: a new mapping, which is not looked into and is unmapped below.
        let at = unsafe {
            let fd = mapped.as_raw_fd();
            libc::mmap(
                std::ptr::null_mut(),
                4096,
                libc::PROT_READ,
                libc::MAP_SHARED,
                fd,
                0,
            )
        };
        assert_ne!(at, libc::MAP_FAILED);
        drop(mapped);
        let file = File::open(&path).unwrap();
        let while_mapped = probe_use(&file);
        // SAFETY: the mapping made above, which nothing refers to.
        assert_eq!(unsafe { libc::munmap(at, 4096) }, 0);
        if let Ok(in_use) = while_mapped {
            assert!(in_use && !probe_use(&file).unwrap());
        }
    }

    #[test]
    fn a_file_whose_users_are_just_looked_for_can_be_opened() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "x").unwrap();
        let file = File::open(&path).unwrap();
        // SIGURG is ignored where nobody listens to it.
        fcntl(&file, F_SETSIG, libc::SIGURG).unwrap();
        if fcntl(&file, libc::F_SETLEASE, libc::F_WRLCK).is_err() {
            return; // a file system without leases
        }
        let base = File::open(dir.path()).unwrap();
        let name = Path::new("file");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(20));
                fcntl(&file, libc::F_SETLEASE, libc::F_UNLCK).unwrap();
            });
            crate::os::beneath::open_read(&base, name).unwrap();
        });
    }
}
