//! The cache's disk: what happens when it is full.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::common::{
    Mounting, SOON, Tar, eventually, files_below, needs_fuse, saved_model, sha1_of,
};
use crate::origin::Origin;
use crate::sharing::DATA;

/// A small disk, gone when dropped.
pub struct SmallDisk(
    PathBuf,
    #[expect(dead_code, reason = "removed last")] tempfile::TempDir,
);

impl SmallDisk {
    pub fn of(size: &str) -> SmallDisk {
        needs_fuse();
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("disk");
        std::fs::create_dir(&at).unwrap();
        let made = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "none"])
            .arg(&at)
            .status();
        assert!(
            made.unwrap().success(),
            "a tmpfs is needed for a small disk"
        );
        SmallDisk(at, dir)
    }

    pub fn cache(&self) -> &Path {
        &self.0
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// "The disk is full: ENOSPC for that model only."
#[test]
fn a_full_disk_fails_one_model_and_no_other() {
    let origin = Origin::start();
    let (small, large) = (saved_model(1, 500_000), saved_model(2, 6_000_000));
    origin.publish("google/small/1", Tar::of(&small).gz());
    origin.publish("google/large/1", Tar::of(&large).gz());
    origin.publish("google/second/1", Tar::of(&small).gz());
    let disk = SmallDisk::of("4m");
    let mount = Mounting::of(&origin)
        .cache(disk.cache())
        .timeout("20s")
        .start();
    let wanted = small.clone();
    mount.on("google/small/1", move |root| wanted.assert_at(&root));
    let data = "google/large/1/variables/variables.data-00000-of-00001";
    let error = mount.read(data).unwrap_err();
    assert_eq!(
        error.raw_os_error(),
        Some(libc::ENOSPC),
        "{error}\n{}",
        mount.log()
    );
    mount.assert_logged(&[
        "https://tfhub.dev/google/large/1",
        "not enough space",
        "free space on the disk",
    ]);
    eventually(
        "what did not fit is removed",
        Duration::from_secs(5),
        || {
            files_below(disk.cache())
                .iter()
                .all(|path| !path.contains(".tmp"))
        },
    );
    mount.on("google/second/1", move |root| small.assert_at(&root));
    let tries = origin.downloads("google/large/1").len();
    assert_eq!(
        mount.read(data).unwrap_err().raw_os_error(),
        Some(libc::ENOSPC),
        "and it is tried again"
    );
    assert!(origin.downloads("google/large/1").len() > tries);
}

/// What other programs put there is counted, and leaves only with `--evict-foreign`; the limit may be a share of the disk.
#[test]
fn models_of_others_leave_when_the_mount_is_told_so() {
    let origin = Origin::start();
    for (number, name) in ["ours", "new"].iter().enumerate() {
        let model = saved_model(number as u64, 3_000_000);
        origin.publish(&format!("google/{name}/1"), Tar::of(&model).gz());
    }
    for evict in [false, true] {
        let disk = SmallDisk::of("16m");
        let theirs = disk
            .cache()
            .join(sha1_of("https://tfhub.dev/google/theirs/1"));
        std::fs::create_dir(&theirs).unwrap();
        std::fs::write(theirs.join("saved_model.pb"), vec![1; 3_000_000]).unwrap();
        let mount = Mounting::of(&origin)
            .cache(disk.cache())
            .arg("--cache-size=50%")
            .arg("--load-format=compressed");
        let mount = match evict {
            true => mount.arg("--evict-foreign").start(),
            false => mount.start(),
        };
        let here = |name: &str| {
            disk.cache()
                .join(sha1_of(&format!("https://tfhub.dev/google/{name}/1")))
                .exists()
        };
        for name in ["ours", "new"] {
            mount.read(&format!("google/{name}/1/{DATA}")).unwrap();
            eventually("sealed", SOON, || here(name));
            std::thread::sleep(Duration::from_millis(20));
        }
        eventually("two of three fit into half of the disk", SOON, || {
            (here("theirs"), here("ours"), here("new")) == (!evict, evict, true)
        });
    }
}
