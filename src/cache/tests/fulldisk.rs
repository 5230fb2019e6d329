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
    fn new() -> SmallDisk {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("disk");
        std::fs::create_dir(&at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "none"])
            .arg(&at)
            .status();
        assert!(
            mounted.is_ok_and(|status| status.success()),
            "a tmpfs is needed for a small disk; to mount one takes root"
        );
        SmallDisk(at, dir)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn what_was_read_gives_way_to_what_is_read_and_to_archives() {
    let disk = SmallDisk::new();
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
    let disk = SmallDisk::new();
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

/// What is still to be written is not on the disk, and takes its room all the same.
#[test]
fn archives_at_once_get_no_more_room_than_there_is() {
    let disk = SmallDisk::new();
    let cache = limited(&disk.0, 1 << 30);
    let one = lead(&cache);
    let Begin::Lead(other) = cache.begin("https://h/other/1").unwrap() else {
        panic!("it is there already");
    };
    let mut first = one.filling().file("one", 3 * MIB, long_ago()).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1100)); // the disk is asked anew
    let refused = other.filling().file("two", 2 * MIB, long_ago());
    assert!(matches!(refused, Err(Error::Full { .. })), "{refused:?}");
    first.write(&vec![1; 3 << 20]).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let refused = other.filling().file("two", 2 * MIB, long_ago());
    assert!(matches!(refused, Err(Error::Full { .. })), "{refused:?}");
    drop((first, one));
    let again = || other.filling().file("two", 2 * MIB, long_ago()).ok();
    let mut second = (0..30)
        .find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(100));
            again()
        })
        .unwrap();
    second.write(&vec![2; 2 << 20]).unwrap();
}

/// Others have filled the disk: models leave even for the lock of one that comes.
#[test]
fn models_leave_when_others_have_filled_the_disk() {
    let disk = SmallDisk::new();
    let cache = limited(&disk.0, 1 << 30);
    super::evicting::put_model(&cache, "old").unwrap();
    super::evicting::put_model(&cache, "older").unwrap();
    let ballast = std::fs::File::create(disk.0.join("ballast")).unwrap();
    let page = vec![1; 4096];
    let full = (0..1024).find(|at| {
        use std::os::unix::fs::FileExt;
        ballast.write_all_at(&page, at * 4096).is_err()
    });
    assert!(full.is_some());
    super::evicting::put_model(&cache, "new").unwrap();
}
