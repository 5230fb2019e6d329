//! `kill -9` of a filler, in another process: this test program, started again for one test only.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::super::layout::{Key, Layout};
use super::*;

const CACHE: &str = "TFHUB_FS_TEST_CRASH_CACHE";
const SEAL: &str = "TFHUB_FS_TEST_CRASH_SEAL";

/// Not a test by itself: what the other process does.
#[test]
fn child() {
    let Some(root) = std::env::var_os(CACHE) else {
        return;
    };
    let cache = Cache::open(Path::new(&root)).unwrap();
    loop {
        let lead = lead(&cache);
        put(&lead.filling(), "saved_model.pb", b"graph");
        let _ = writeln!(std::io::stdout(), "\nfilling"); // nobody listens after the first time
        if std::env::var_os(SEAL).is_none() {
            std::thread::sleep(std::time::Duration::from_secs(60));
        }
        lead.filling().names_known();
        let sealed = lead.seal().unwrap();
        fs::remove_file(sealed.dir().join("saved_model.pb")).unwrap();
    }
}

struct Filler(Child);

impl Filler {
    /// Returns once the other process is filling.
    fn start(root: &Path, seal: bool) -> Filler {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "cache::tests::crash::child", "--nocapture"])
            .env(CACHE, root);
        if seal {
            command.env(SEAL, "1");
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let filler = Filler(child);
        assert!(
            lines.map_while(Result::ok).any(|line| line == "filling"),
            "the other process never filled"
        );
        filler
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn left_over(root: &Path) -> (PathBuf, usize) {
    (
        Layout::new(root.to_path_buf()).lock(&Key::of(URL)),
        names(root).len(),
    )
}

#[test]
fn the_next_one_takes_over_at_once() {
    let (dir, cache) = cache();
    let filler = Filler::start(dir.path(), false);
    let pid = filler.0.id();
    assert!(busy(&cache).who.starts_with(&format!("process {pid} on ")));
    drop(filler);
    let (lock, count) = left_over(dir.path());
    assert!(
        lock.exists() && count == 2,
        "a lock and a staging directory are left"
    );
    seal(lead(&cache));
    assert_eq!(names(dir.path()).len(), 2, "the model and its descriptor");
}

#[test]
fn opening_the_cache_clears_what_the_dead_left() {
    let (dir, _cache) = cache();
    drop(Filler::start(dir.path(), false));
    assert_eq!(left_over(dir.path()).1, 2);
    fs::create_dir_all(dir.path().join(".tfhub-fs/v1/trash/x/y")).unwrap();
    Cache::open(dir.path()).unwrap();
    assert_clean(dir.path());
}

#[test]
fn killed_at_any_moment_it_leaves_a_whole_model_or_none() {
    let (dir, cache) = cache();
    for round in 0..20u64 {
        let filler = Filler::start(dir.path(), true);
        std::thread::sleep(std::time::Duration::from_micros(round * 700));
        drop(filler);
        match cache.begin(URL).unwrap() {
            Begin::Sealed(sealed) => {
                assert_eq!(
                    fs::read(sealed.dir().join("saved_model.pb")).unwrap(),
                    b"graph"
                );
                fs::remove_file(sealed.dir().join("saved_model.pb")).unwrap();
            }
            Begin::Lead(lead) => drop(lead),
            Begin::Busy(holder) => panic!("{holder:?}"),
        }
    }
    Cache::open(dir.path()).unwrap();
    let key = Key::of(URL).to_string();
    let extra: Vec<_> = names(dir.path())
        .into_iter()
        .filter(|name| *name != key && *name != format!("{key}.descriptor.txt"))
        .collect();
    assert_eq!(extra, [""; 0]);
}
