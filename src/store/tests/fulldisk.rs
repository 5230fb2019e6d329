//! A disk that is full: what may go goes, and if nothing may, that model alone fails.

use std::path::PathBuf;
use std::process::Command;

use super::ranges::{OBJECT, fill, fill_all, get, limited, partial, read, spec};
use super::*;

const MIB: u64 = 1 << 20;

/// A disk of 4 MiB, gone when dropped.
struct SmallDisk(
    PathBuf,
    #[expect(dead_code, reason = "removed last")] tempfile::TempDir,
);

impl SmallDisk {
    /// `None` where this process may not mount.
    fn new() -> Option<SmallDisk> {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("disk");
        std::fs::create_dir(&at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "none"])
            .arg(&at)
            .status();
        if !mounted.is_ok_and(|status| status.success()) {
            eprintln!("skipped: mounting a tmpfs takes root");
            return None;
        }
        Some(SmallDisk(at, dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn what_was_read_gives_way_to_what_is_read_and_to_archives() {
    let Some(disk) = SmallDisk::new() else {
        return;
    };
    let cache = limited(&disk.0, 1 << 30);
    let partial = partial(&cache, OBJECT, &[spec("big", 12 * MIB)]);
    let big = get(&partial, "big");
    for at in 0..12 {
        assert!(fill(&big, at * MIB..(at + 1) * MIB));
        assert!(read(&big, at * MIB..(at + 1) * MIB).is_some(), "{at}");
    }
    assert!(big.bytes_present() < 4 * MIB);
    let lead = lead(&cache);
    put(&lead.filling(), "saved_model.pb", &vec![1; 3 << 20]);
    lead.filling().names_known();
    lead.seal().unwrap();
    assert!(big.bytes_present() <= MIB);
}

#[test]
fn when_nothing_may_go_the_model_fails_and_others_do_not() {
    let Some(disk) = SmallDisk::new() else {
        return;
    };
    let cache = limited(&disk.0, 1 << 30);
    let small = partial(&cache, OBJECT, &[spec("small", MIB / 2)]);
    let large = partial(&cache, URL, &[spec("large", 6 * MIB)]);
    let (filling, file) = (large.filling(), get(&large, "large"));
    let wait = filling.changed(Need::Bytes {
        file: file.clone(),
        range: 0..u64::MAX,
    });
    let bytes = vec![1; MIB as usize];
    let error = (0..6).find_map(|at| file.write_at(at * MIB, &bytes).err());
    assert!(matches!(error, Some(Error::NoSpace { .. })), "{error:?}");
    large.discard(std::sync::Arc::new(error.unwrap()));
    drop(wait);
    fill_all(&small);
    assert!(read(&get(&small, "small"), 0..MIB / 2).is_some());
}
