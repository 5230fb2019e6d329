//! Several fillers of one cache: threads, caches, tensorflow_hub's locks.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::super::layout::{Key, Layout};
use super::*;
use crate::hubdir::LockText;

#[test]
fn a_second_filler_is_told_who_is_first() {
    let (dir, cache) = cache();
    let second = Cache::open(dir.path()).unwrap();
    let lead = lead(&cache);
    put(&lead.filling(), "saved_model.pb", b"12345");
    for cache in [&cache, &second] {
        let holder = busy(cache);
        assert!(
            holder
                .who
                .starts_with(&format!("process {} on ", std::process::id())),
            "{holder:?}"
        );
        assert_eq!(holder.grown, 5);
    }
    // Opening the cache once more takes nothing away from the living.
    Cache::open(dir.path()).unwrap();
    lead.filling().names_known();
    lead.seal().unwrap();
    assert!(matches!(second.begin(URL).unwrap(), Begin::Sealed(_)));
}

#[test]
fn of_many_threads_exactly_one_leads_at_a_time() {
    let (dir, _cache) = cache();
    let (leading, fills) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let one = |number: usize| {
        let cache = Cache::open(dir.path()).unwrap();
        loop {
            match cache.begin(URL).unwrap() {
                Begin::Sealed(sealed) => return sealed.bytes(),
                Begin::Busy(_) => std::thread::sleep(Duration::from_micros(200)),
                Begin::Lead(lead) => {
                    assert_eq!(leading.fetch_add(1, Ordering::SeqCst), 0, "two lead");
                    put(&lead.filling(), "saved_model.pb", b"graph");
                    lead.filling().names_known();
                    std::thread::sleep(Duration::from_millis(1));
                    let gives_up = fills.fetch_add(1, Ordering::SeqCst) < 20;
                    leading.fetch_sub(1, Ordering::SeqCst);
                    if gives_up {
                        drop(lead);
                    } else {
                        assert_eq!(lead.seal().unwrap().bytes(), 5, "{number}");
                    }
                }
            }
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|number| scope.spawn(move || one(number)))
            .collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), 5);
        }
    });
    assert_eq!(
        fills.load(Ordering::SeqCst),
        21,
        "one fill after the last that gave up"
    );
    let key = Key::of(URL).to_string();
    assert_eq!(
        names(dir.path()),
        [key.clone(), format!("{key}.descriptor.txt")]
    );
}

fn foreign_lock(cache: &Cache, host: &str, pid: u32) -> (Layout, Key, String) {
    let (layout, key) = (
        Layout::new(cache.root().unwrap().to_path_buf()),
        Key::of(URL),
    );
    let uid = "0123456789abcdef0123456789abcdef".to_owned();
    fs::create_dir(layout.staging(&key, &uid)).unwrap();
    fs::write(layout.staging(&key, &uid).join("part"), "123").unwrap();
    let text = LockText {
        host: host.into(),
        pid,
        uid: uid.clone(),
    }
    .to_string();
    fs::write(layout.lock(&key), text).unwrap();
    (layout, key, uid)
}

#[test]
fn a_lock_of_tensorflow_hub_is_waited_for() {
    let (_dir, cache) = cache();
    let (layout, key, uid) = foreign_lock(&cache, "elsewhere", 7);
    assert_eq!(
        busy(&cache),
        Holder {
            who: "process 7 on elsewhere".into(),
            grown: 3,
            beat: None
        }
    );
    assert_eq!(busy(&cache).grown, 3, "asking leaves no trace of our own");
    assert!(layout.staging(&key, &uid).exists() && layout.lock(&key).exists());
    fs::remove_file(layout.lock(&key)).unwrap();
    drop(lead(&cache));
    assert!(layout.staging(&key, &uid).exists(), "not ours to remove");
}

#[test]
fn a_lock_of_a_dead_process_is_taken_over_after_ten_quiet_seconds() {
    let (dir, cache) = cache();
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    let host = crate::os::host::hostname();
    let (layout, key, uid) = foreign_lock(&cache, &host, pid);
    let start = std::time::Instant::now();
    let lead = loop {
        match cache.begin(URL).unwrap() {
            Begin::Lead(lead) => break lead,
            Begin::Busy(_) => std::thread::sleep(Duration::from_millis(100)),
            Begin::Sealed(_) => panic!("nothing is sealed"),
        }
        assert!(start.elapsed() < Duration::from_secs(30));
    };
    assert!(
        start.elapsed() >= Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    assert!(!layout.staging(&key, &uid).exists());
    drop(lead);
    assert_clean(dir.path());
}

#[test]
fn a_thousand_models_open_at_once() {
    let (dir, cache) = cache();
    let layout = Layout::new(dir.path().to_path_buf());
    for number in 0..1000 {
        let url = format!("https://tfhub.dev/google/m/{number}");
        let key = Key::of(&url);
        fs::create_dir(layout.model(&key)).unwrap();
        let text = format!("Module: {url}\nDownload Time: x\nDownloader Hostname: h (PID:1)");
        fs::write(layout.descriptor(&key), text).unwrap();
    }
    fs::write(
        dir.path()
            .join(format!("{}.descriptor.txt", "0".repeat(40))),
        "Module: planted",
    )
    .unwrap();
    drop(cache);
    let start = std::time::Instant::now();
    let cache = Cache::open(dir.path()).unwrap();
    assert!(
        start.elapsed() < Duration::from_millis(200),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(Inventory::of(&cache).keys_known().len(), 1000);
}

#[test]
fn our_own_directories_come_back_if_a_cleaner_takes_them() {
    let (dir, cache) = cache();
    fs::remove_dir_all(dir.path().join(".tfhub-fs")).unwrap();
    seal(lead(&cache));
}
