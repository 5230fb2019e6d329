//! A disk that hangs holds up whoever needs it, and nobody else.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::common::{
    Mount, Mounting, Reader, SOON, Tar, assert_errno, clear, eventually, is_mounted, saved_model,
    signal,
};
use crate::origin::Origin;

const DATA: &str = "variables/variables.data-00000-of-00001";

/// A directory on a file system that can be stopped: bindfs over a directory beside it.
struct Stoppable {
    bindfs: Child,
    at: PathBuf,
    below: PathBuf,
    _dir: tempfile::TempDir,
}

impl Stoppable {
    fn new() -> Stoppable {
        let dir = tempfile::tempdir().unwrap();
        let [at, below] = ["at", "below"].map(|name| dir.path().join(name));
        for path in [&at, &below] {
            std::fs::create_dir(path).unwrap();
        }
        let bindfs = Command::new("bindfs").arg("-f").args([&below, &at]).spawn();
        let bindfs = bindfs.expect("bindfs is not installed: run scripts/setup");
        eventually("bindfs is mounted", SOON, || is_mounted(&at));
        Stoppable {
            bindfs,
            at,
            below,
            _dir: dir,
        }
    }

    fn stop(&self) {
        signal(self.bindfs.id(), "STOP");
    }

    fn go_on(&self) {
        signal(self.bindfs.id(), "CONT");
    }
}

impl Drop for Stoppable {
    fn drop(&mut self) {
        self.go_on();
        clear(&self.at);
        let _ = self.bindfs.kill();
        let _ = self.bindfs.wait();
    }
}

/// Twelve programs that read a file of a disk that hangs.
fn stuck(path: &Path) -> Vec<Reader> {
    let mut readers: Vec<Reader> = (0..12).map(|_| Reader::cat(path)).collect();
    readers[0].wait_until_stuck();
    std::thread::sleep(Duration::from_millis(300));
    for reader in &mut readers {
        assert!(reader.is_alive());
    }
    readers
}

/// What memory knows is answered.
fn assert_answers(mount: &Mount, model: &str) {
    let since = Instant::now();
    assert!(mount.list("").unwrap().contains(&"google".to_owned()));
    assert!(mount.list(model).unwrap().contains(&"assets".to_owned()));
    mount.stat(&format!("{model}/saved_model.pb")).unwrap();
    assert_errno(mount.stat(&format!("{model}/absent")), libc::ENOENT);
    assert_errno(mount.stat(".git"), libc::ENOENT);
    let space = Command::new("stat").arg("-f").arg(&mount.at).output();
    assert!(space.unwrap().status.success());
    let took = since.elapsed();
    assert!(took < Duration::from_secs(1), "what is known took {took:?}");
}

/// The cache's own disk.
#[test]
fn a_cache_that_hangs() {
    let disk = Stoppable::new();
    let origin = Origin::start();
    let model = saved_model(3, 2_000_000);
    for name in ["google/x/1", "google/y/1"] {
        origin.publish(name, Tar::of(&model).gz());
    }
    let mut mount = Mounting::of(&origin)
        .cache(&disk.at)
        .arg("--passthrough=false")
        .start();
    let file = format!("google/x/1/{DATA}");
    assert_eq!(mount.read(&file).unwrap(), model.bytes(DATA));
    eventually("it is sealed", SOON, || {
        std::fs::read_dir(&disk.below).unwrap().count() > 1
            && mount.on("google/x/1", |path| {
                crate::common::xattr(&path, "user.tfhub.state").unwrap() == "sealed"
            })
    });
    disk.stop();
    let mut readers = stuck(&mount.path(&file));
    assert_answers(&mount, "google/x/1");
    // Ctrl-C, and the deadline.
    readers[0].signal("INT");
    readers[0].ended(Duration::from_secs(1));
    for reader in &mut readers {
        reader.ended(Duration::from_secs(8));
    }
    mount.assert_logged(&["google/x/1", "has not answered for 4 s"]);
    // A model that nobody has looked for yet.
    let unknown = mount.start("google/y/1/saved_model.pb", std::fs::read);
    assert_answers(&mount, "google/x/1");
    assert_errno(unknown.take(Duration::from_secs(10)), libc::ETIMEDOUT);
    disk.go_on();
    assert_eq!(mount.read(&file).unwrap(), model.bytes(DATA));
    mount.on("google/y/1", move |root| model.assert_at(&root));
    // The daemon ends, too.
    disk.stop();
    let _readers = stuck(&mount.path(&file));
    mount.signal("TERM");
    mount.signal("TERM");
    mount.ended(SOON);
    mount.assert_not_logged("blocking work");
}

/// The disk of a cache that is only read.
#[test]
fn another_programs_cache_that_hangs() {
    let disk = Stoppable::new();
    let origin = Origin::start();
    let model = saved_model(4, 2_000_000);
    origin.publish("google/x/1", Tar::of(&model).gz());
    let kaggle = "google/nnlm/tensorFlow2/en-dim128/1";
    let at = disk.below.join("models").join(kaggle);
    model.write_to(&at);
    let done = at.with_file_name("1.complete");
    std::fs::write(done, "").unwrap();
    let mount = Mounting::of(&origin)
        .env("KAGGLEHUB_CACHE", disk.at.to_str().unwrap())
        .arg("--passthrough=false")
        .start();
    let file = format!("www.kaggle.com/models/{kaggle}/{DATA}");
    let file = mount.real(&file).unwrap();
    assert_eq!(mount.read(&file).unwrap(), model.bytes(DATA));
    disk.stop();
    let mut readers = stuck(&mount.path(&file));
    // Looks that hang, more than there are threads for them.
    let _looks: Vec<Reader> = (2..102)
        .map(|version| {
            let other = kaggle.replace("/1", &format!("/{version}"));
            Reader::cat(&mount.path(&format!("www.kaggle.com/models/{other}/saved_model.pb")))
        })
        .collect();
    std::thread::sleep(Duration::from_millis(300));
    mount.on("google/x/1", {
        let model = model.clone();
        move |root| model.assert_at(&root)
    });
    assert_answers(&mount, "google/x/1");
    for reader in &mut readers {
        reader.ended(Duration::from_secs(8));
    }
    disk.go_on();
    assert_eq!(mount.read(&file).unwrap(), model.bytes(DATA));
}
