//! This host: its name and its boot.

use std::io;

/// When this host was booted, in seconds since the epoch (`btime` of `/proc/stat`). It moves with the clock.
///
/// # Errors
///
/// `/proc` is not mounted.
pub fn boot_time() -> io::Result<u64> {
    std::fs::read_to_string("/proc/stat")?
        .lines()
        .find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// What tells this boot from every other (`boot_id` of the kernel's random numbers).
///
/// # Errors
///
/// `/proc` is not mounted.
pub fn boot_id() -> io::Result<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(text.trim().to_owned())
}

/// What tells the process numbers of this process from others: the boot, and the PID namespace.
///
/// # Errors
///
/// `/proc` is not mounted.
pub fn numbering() -> io::Result<String> {
    let namespace = std::fs::read_link("/proc/self/ns/pid")?;
    Ok(format!("{} {}", boot_id()?, namespace.display()))
}

/// The name of this host, as Python's `socket.gethostname()` gives it (tensorflow_hub writes it into its lock files).
pub fn hostname() -> String {
    let names = rustix::system::uname();
    names.nodename().to_string_lossy().into_owned()
}

/// Who has made this machine, as its firmware says: `Google`, `Amazon EC2`; empty if it says nothing.
pub fn maker() -> String {
    let said = std::fs::read_to_string("/sys/class/dmi/id/sys_vendor").unwrap_or_default();
    said.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_of_the_host() {
        let boot = boot_time().unwrap();
        assert!(boot > 1_000_000_000, "{boot}");
        assert_eq!(boot_id().unwrap().len(), 36);
        assert!(numbering().unwrap().contains(" pid:["));
        let file = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        assert_eq!(hostname(), file.trim());
    }
}
