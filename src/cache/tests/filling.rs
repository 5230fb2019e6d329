//! One writer and its readers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::*;

pub(super) fn done(wait: &mut Wait) -> bool {
    Pin::new(wait).poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
}

fn bytes(file: &Arc<FillFile>, range: std::ops::Range<u64>) -> Need {
    Need::Bytes {
        file: file.clone(),
        range,
    }
}

fn read(file: &FillFile, offset: u64, len: usize) -> Result<Vec<u8>, ReadAt> {
    let mut buf = vec![0; len];
    match file.read_at(offset, &mut buf) {
        ReadAt::Ready(n) => {
            buf.truncate(n);
            Ok(buf)
        }
        other => Err(other),
    }
}

#[test]
fn bytes_are_read_as_soon_as_they_are_written_and_not_before() {
    let (_dir, cache) = cache();
    let lead = lead(&cache);
    let filling = lead.filling();
    let mut name = filling.changed(Need::Name("a/b".into()));
    let mut other = filling.changed(Need::Name("a/c".into()));
    assert!(matches!(filling.find("a/b"), Found::NotYet) && !done(&mut name));

    let mut writer = filling.file("a/b", 10, long_ago()).unwrap();
    assert!(done(&mut name) && !done(&mut other));
    assert!(matches!(filling.find("a"), Found::Dir { .. }));
    let b = file(&filling, "a/b");
    assert_eq!((b.size(), b.mtime()), (10, long_ago()));

    let mut head = filling.changed(bytes(&b, 0..4));
    let mut tail = filling.changed(bytes(&b, 8..u64::MAX));
    assert!(matches!(read(&b, 0, 4), Err(ReadAt::NotYet)));
    writer.write(b"0123").unwrap();
    assert!(done(&mut head) && !done(&mut tail));
    assert_eq!(read(&b, 1, 3).unwrap(), b"123");
    assert!(matches!(read(&b, 1, 4), Err(ReadAt::NotYet)));
    writer.hole(4).unwrap();
    assert_eq!(
        read(&b, 3, 5).unwrap(),
        b"3\0\0\0\0",
        "a hole is zeros at once"
    );
    writer.write(b"89").unwrap();
    assert!(done(&mut tail) && b.is_complete());
    writer.end().unwrap();
    assert_eq!(read(&b, 6, 100).unwrap(), b"\0\x0089", "clamped to the end");
    assert_eq!(read(&b, 10, 1).unwrap(), b"");
    assert_eq!(read(&b, u64::MAX, 1).unwrap(), b"");
    assert_eq!(filling.progress().bytes, 10);
    assert!(!done(&mut other));
}

#[test]
fn names_are_open_until_all_are_known() {
    let (_dir, cache) = cache();
    let lead = lead(&cache);
    let filling = lead.filling();
    put(&filling, "saved_model.pb", b"x");
    put(&filling, "empty", b"");
    filling.dir("variables", long_ago()).unwrap();
    let mut absent = filling.changed(Need::Name("tfhub_module.pb".into()));
    let mut all = filling.changed(Need::Names);
    assert!(filling.children("").is_none() && !done(&mut absent) && !done(&mut all));
    assert!(
        matches!(filling.find("saved_model.pb/x"), Found::Absent),
        "a file is in the way for good"
    );
    assert!(file(&filling, "empty").is_complete());
    filling.names_known();
    assert!(done(&mut absent) && done(&mut all));
    assert!(matches!(filling.find("tfhub_module.pb"), Found::Absent));
    let listed = filling.children("").unwrap();
    assert_eq!(
        listed
            .iter()
            .map(|child| child.name.as_str())
            .collect::<Vec<_>>(),
        ["empty", "saved_model.pb", "variables"]
    );
    assert_eq!(
        listed[1].attr,
        Attr::File {
            size: 1,
            mtime: long_ago()
        }
    );
    assert_eq!(listed[2].attr, Attr::Dir { mtime: long_ago() });
    assert!(done(&mut filling.changed(Need::Names)));
    assert_eq!(filling.children("variables").unwrap(), []);
    assert_eq!(filling.children("saved_model.pb"), None);
}

#[test]
fn the_last_of_two_entries_wins_and_the_first_is_never_read_again() {
    let (_dir, cache) = cache();
    let lead = lead(&cache);
    let filling = lead.filling();
    put(&filling, "a", b"first");
    let first = file(&filling, "a");
    let fd = first.open().unwrap();
    let mut writer = filling.file("a", 9, long_ago()).unwrap();
    let second = file(&filling, "a");
    assert!(matches!(read(&first, 0, 1), Err(ReadAt::Replaced)));
    assert!(done(&mut filling.changed(bytes(&first, 0..5))));
    assert!(matches!(read(&second, 0, 1), Err(ReadAt::NotYet)));
    writer.write(b"secondary").unwrap();
    writer.end().unwrap();
    assert_eq!(read(&second, 0, 9).unwrap(), b"secondary");
    drop(fd);
    filling.names_known();
    let sealed = lead.seal().unwrap();
    assert_eq!(std::fs::read(sealed.dir().join("a")).unwrap(), b"secondary");
    assert!(matches!(read(&first, 0, 1), Err(ReadAt::Replaced)));
}

#[test]
fn a_replaced_file_wakes_those_who_wait_for_its_bytes() {
    let (_dir, cache) = cache();
    let lead = lead(&cache);
    let filling = lead.filling();
    let unfinished = filling.file("a", 5, long_ago()).unwrap();
    let mut wait = filling.changed(bytes(&file(&filling, "a"), 0..5));
    assert!(!done(&mut wait));
    put(&filling, "a", b"x");
    assert!(done(&mut wait));
    drop(unfinished);
}

#[test]
fn a_failure_wakes_everybody_and_ends_every_read() {
    let (dir, cache) = cache();
    let lead = lead(&cache);
    let filling = lead.filling();
    put(&filling, "done", b"x");
    let mut writer = filling.file("half", 2, long_ago()).unwrap();
    let (complete, half) = (file(&filling, "done"), file(&filling, "half"));
    let needs = [Need::Name("x".into()), Need::Names, bytes(&half, 0..2)];
    let mut waits = needs.clone().map(|need| filling.changed(need));
    assert!(waits.iter_mut().all(|wait| !done(wait)));
    filling.fail(Arc::new(std::io::Error::other("flipped bit")));
    filling.fail(Arc::new(std::io::Error::other("too late")));
    assert!(waits.iter_mut().all(done));
    assert!(
        needs
            .into_iter()
            .all(|need| done(&mut filling.changed(need)))
    );
    for file in [complete, half] {
        match read(&file, 0, 1) {
            Err(ReadAt::Failed(why)) => assert_eq!(why.to_string(), "flipped bit"),
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(filling.find("done"), Found::Failed(_)) && filling.children("").is_none());
    assert!(matches!(writer.write(b"x"), Err(Error::Failed(_))));
    assert!(matches!(
        filling.file("new", 0, long_ago()),
        Err(Error::Failed(_))
    ));
    assert!(matches!(lead.seal(), Err(Error::Failed(why)) if why.to_string() == "flipped bit"));
    assert_clean(dir.path());
}

#[test]
fn impossible_names_and_sizes_are_refused_by_name() {
    let (dir, cache) = cache();
    let lead = lead(&cache);
    let filling = lead.filling();
    put(&filling, "file", b"x");
    put(&filling, "dir/file", b"x");
    for name in ["", "/etc/x", "../x", "a/../../x", "a//b", ".", "a\0b"] {
        assert!(
            matches!(
                filling.file(name, 0, long_ago()),
                Err(Error::BadName { .. })
            ),
            "{name:?}"
        );
    }
    assert!(matches!(
        filling.dir("a/..", long_ago()),
        Err(Error::BadName { .. })
    ));
    for name in ["file/x", "file/x/y"] {
        let error = filling.file(name, 0, long_ago()).unwrap_err();
        assert!(
            matches!(&error, Error::DirAndFile { what, .. } if what == "file"),
            "{error}"
        );
    }
    assert!(matches!(
        filling.dir("file", long_ago()),
        Err(Error::DirAndFile { .. })
    ));
    assert!(matches!(
        filling.file("dir", 0, long_ago()),
        Err(Error::DirAndFile { .. })
    ));
    let long = "n".repeat(256);
    assert!(matches!(
        filling.file(&long, 0, long_ago()),
        Err(Error::BadName { .. })
    ));
    let mut writer = filling.file("short", 3, long_ago()).unwrap();
    assert!(matches!(
        writer.write(b"1234"),
        Err(Error::TooLong { size: 3, .. })
    ));
    assert!(matches!(
        writer.hole(u64::MAX),
        Err(Error::TooLong { size: 3, .. })
    ));
    writer.write(b"12").unwrap();
    assert!(matches!(
        writer.end(),
        Err(Error::TooShort {
            size: 3,
            got: 2,
            ..
        })
    ));
    drop(lead);
    assert_clean(dir.path());
}

#[test]
fn a_hundred_names_take_no_descriptor_each() {
    let (_dir, cache) = cache();
    let lead = lead(&cache);
    let filling = lead.filling();
    for number in 0..100 {
        put(&filling, &format!("f{number}"), b"x");
    }
    let files: Vec<_> = (0..100)
        .map(|number| file(&filling, &format!("f{number}")))
        .collect();
    for file in &files {
        assert_eq!(read(file, 0, 1).unwrap(), b"x");
    }
    let staging = lead.filling().site().unwrap().base.named().to_path_buf();
    let open = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter(|fd| {
            std::fs::read_link(fd.as_ref().unwrap().path()).is_ok_and(|to| to.starts_with(&staging))
        })
        .count();
    assert_eq!(open, 1, "the staging directory itself");
    let held = files[0].open().unwrap();
    assert!(
        Arc::ptr_eq(&held, &files[0].open().unwrap()),
        "shared while held"
    );
}

#[test]
fn growth_is_seen_by_those_who_judge_by_it() {
    let (_dir, cache) = cache();
    let lead = lead(&cache);
    let filling = lead.filling();
    let before = filling.progress().grown;
    std::thread::sleep(Duration::from_millis(2));
    let mut writer = filling.file("a", 1 << 30, long_ago()).unwrap();
    let named = filling.progress();
    assert!(named.grown > before && named.bytes == 0);
    writer.write(&[1; 1000]).unwrap();
    assert_eq!(filling.progress().bytes, 1000);
    // tensorflow_hub steals a lock whose staging directory keeps its size: it must not have its final size at once.
    assert_eq!(busy(&cache).grown, 1000);
}

#[test]
fn no_reader_of_a_replaced_file_gets_its_successors_bytes() {
    let (_dir, cache) = cache();
    let lead = lead(&cache);
    let filling = lead.filling();
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !over.load(std::sync::atomic::Ordering::Relaxed) {
                    // Each version is as long as its bytes are large.
                    let Found::File(version) = filling.find("a") else {
                        continue;
                    };
                    match read(&version, 0, 256) {
                        Ok(bytes) => {
                            assert_eq!(bytes, vec![version.size() as u8; version.size() as usize])
                        }
                        Err(ReadAt::Replaced | ReadAt::NotYet) => {}
                        Err(other) => panic!("{other:?}"),
                    }
                }
            });
        }
        for round in 0..4000usize {
            let size = if round % 2 == 0 { 200 } else { 100 };
            put(&filling, "a", &vec![size as u8; size]);
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_readers_follow_one_writer() {
    let (_dir, cache) = cache();
    let lead = lead(&cache);
    let filling = lead.filling();
    let data: Arc<Vec<u8>> = Arc::new((0..1_000_000u32).map(|i| (i % 251) as u8).collect());
    let readers: Vec<_> = (0..16u64)
        .map(|reader| {
            let (filling, data) = (filling.clone(), data.clone());
            tokio::spawn(async move {
                filling.changed(Need::Name("big".into())).await;
                let file = file(&filling, "big");
                let mut at = reader * 1000;
                while at < file.size() {
                    let range = at..at + 30_000;
                    filling
                        .changed(Need::Bytes {
                            file: file.clone(),
                            range,
                        })
                        .await;
                    let got = read(&file, at, 30_000).unwrap();
                    assert_eq!(got, data[at as usize..at as usize + got.len()]);
                    at += got.len() as u64;
                }
            })
        })
        .collect();
    let source = data.clone();
    let writer = std::thread::spawn(move || {
        let mut writer = filling
            .file("big", source.len() as u64, long_ago())
            .unwrap();
        for part in source.chunks(7_919) {
            writer.write(part).unwrap();
        }
        writer.end().unwrap();
    });
    let all = async {
        for reader in readers {
            reader.await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(30), all)
        .await
        .expect("a wake-up was lost");
    writer.join().unwrap();
}
