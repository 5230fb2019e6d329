//! Readers of one process, a filler in another.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::super::layout::Key;
use super::*;

pub(super) const IDENTITY: Option<&str> = Some("9 bytes, CRC-32C 00000001");

/// Two processes on one directory; the first one leads.
pub(super) struct Two {
    pub(super) dir: tempfile::TempDir,
    pub(super) leader: Cache,
    pub(super) second: Cache,
}

pub(super) fn two() -> Two {
    let (dir, leader) = cache();
    let second = Cache::open(dir.path()).unwrap();
    Two {
        dir,
        leader,
        second,
    }
}

pub(super) fn begun(cache: &Cache) -> Lead {
    let mut lead = lead(cache);
    lead.comes_from("here", IDENTITY);
    lead
}

pub(super) fn follow(cache: &Cache) -> Followed {
    busy(cache);
    let mut followed = cache.follow(URL).unwrap();
    followed.look().unwrap();
    followed
}

pub(super) fn text(file: &FillFile) -> Option<Vec<u8>> {
    let mut buf = vec![0; 64];
    match file.read_at(0, &mut buf) {
        ReadAt::Ready(count) => Some(buf[..count].to_vec()),
        ReadAt::NotYet => None,
        other => panic!("{other:?}"),
    }
}

pub(super) fn is_replaced(file: &FillFile) -> bool {
    matches!(file.read_at(0, &mut [0; 1]), ReadAt::Replaced)
}

fn is_over(wait: &mut Wait) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    matches!(Pin::new(wait).poll(&mut cx), Poll::Ready(()))
}

#[test]
fn names_sizes_and_bytes_are_known_as_they_come() {
    let two = two();
    let lead = begun(&two.leader);
    let mut followed = follow(&two.second);
    let (writing, reading) = (lead.filling(), followed.filling());
    let mut names = reading.changed(Need::Names);
    assert!(matches!(reading.find("a/b"), Found::NotYet));
    writing.dir("empty", long_ago()).unwrap();
    let mut writer = writing.file("a/b", 6, long_ago()).unwrap();
    writer.write(b"one").unwrap();
    assert!(followed.look().unwrap());
    let file = file(&reading, "a/b");
    assert_eq!((file.size(), file.mtime()), (6, long_ago()));
    let mut three = [0; 3];
    assert!(matches!(file.read_at(0, &mut three), ReadAt::Ready(3)) && &three == b"one");
    assert_eq!(text(&file), None, "three are still to come");
    let mut wait = reading.changed(Need::Bytes {
        file: file.clone(),
        range: 2..6,
    });
    assert!(!followed.look().unwrap() && !is_over(&mut wait));
    writer.hole(3).unwrap();
    writer.end().unwrap();
    put(&writing, "saved_model.pb", b"");
    assert!(followed.look().unwrap() && is_over(&mut wait));
    assert_eq!(text(&file).unwrap(), b"one\0\0\0");
    assert!(reading.children("").is_none() && !is_over(&mut names));
    writing.names_known();
    followed.look().unwrap();
    assert!(is_over(&mut names));
    let names: Vec<_> = reading
        .children("")
        .unwrap()
        .into_iter()
        .map(|c| c.name)
        .collect();
    assert_eq!(names, ["a", "empty", "saved_model.pb"]);
}

#[test]
fn a_sealed_model_is_read_on() {
    let two = two();
    let lead = begun(&two.leader);
    put(&lead.filling(), "early", b"early");
    let followed = follow(&two.second);
    let filling = followed.filling();
    let early = file(&filling, "early");
    let mut whole = filling.changed(Need::Sealed);
    seal(lead);
    assert_eq!(
        text(&early).unwrap(),
        b"early",
        "the rename is no hindrance"
    );
    let Begin::Sealed(sealed) = two.second.begin(URL).unwrap() else {
        panic!("it is sealed");
    };
    followed.sealed(&sealed).unwrap();
    assert!(is_over(&mut whole));
    assert_eq!(text(&early).unwrap(), b"early");
    assert_eq!(text(&file(&filling, "assets/vocab.txt")).unwrap(), b"words");
    assert!(matches!(filling.find("other"), Found::Absent));
    assert_eq!(
        super::names(&two.dir.path().join(".tfhub-fs/v1/tmp")),
        [""; 0]
    );
}

/// The earlier one is opened by its name, which is the later one's already.
#[test]
fn no_byte_of_a_later_file_is_taken_for_one_of_the_earlier() {
    for later in [&b"later"[..], b"l"] {
        let two = two();
        let lead = begun(&two.leader);
        put(&lead.filling(), "twice", b"first");
        let mut followed = follow(&two.second);
        let first = file(&followed.filling(), "twice");
        put(&lead.filling(), "twice", later);
        put(&lead.filling(), "other", b"x");
        assert_eq!(text(&first), None, "it waits until all is known");
        let mut wait = followed.filling().changed(Need::Bytes {
            file: first.clone(),
            range: 0..5,
        });
        followed.look().unwrap();
        assert!(is_over(&mut wait) && is_replaced(&first));
        let now = file(&followed.filling(), "twice");
        assert_eq!(text(&now).unwrap(), later);
    }
}

/// Whoever has read the later one reads on when the model is complete.
#[test]
fn a_name_that_came_twice_is_read_on_when_it_is_sealed() {
    let two = two();
    let lead = begun(&two.leader);
    put(&lead.filling(), "saved_model.pb", b"first");
    let mut followed = follow(&two.second);
    let filling = followed.filling();
    let first = file(&filling, "saved_model.pb");
    put(&lead.filling(), "saved_model.pb", b"later");
    followed.look().unwrap();
    let later = file(&filling, "saved_model.pb");
    assert_eq!(text(&later).unwrap(), b"later");
    put(&lead.filling(), "twice", b"once");
    followed.look().unwrap();
    let once = file(&filling, "twice");
    put(&lead.filling(), "twice", b"once more"); // heard at the end only
    lead.filling().names_known();
    let sealed = lead.seal().unwrap();
    followed.sealed(&sealed).unwrap();
    assert_eq!(text(&later).unwrap(), b"later");
    assert!(is_replaced(&first) && is_replaced(&once));
    assert_eq!(text(&file(&filling, "twice")).unwrap(), b"once more");
}

#[test]
fn nothing_is_followed_but_a_tfhub_fs_that_tells() {
    let two = two();
    assert!(two.second.follow(URL).is_none(), "nobody fills it");
    let lead = begun(&two.leader);
    let journal = two
        .dir
        .path()
        .join(format!(".tfhub-fs/v1/tmp/{}.journal", Key::of(URL)));
    std::fs::write(&journal, "{\"fill\":{\"uid\":\"../../etc\"}}\n").unwrap();
    assert!(two.second.follow(URL).is_none(), "garbage");
    std::fs::remove_file(&journal).unwrap();
    assert!(two.second.follow(URL).is_none());
    // The filler notices nothing.
    seal(lead);
    std::fs::write(&journal, fill(BOOT)).unwrap();
    assert!(
        two.second.follow(URL).is_none(),
        "there is no such directory"
    );
}

const UID: &str = "0123456789abcdef0123456789abcdef";
const BOOT: fn() -> String = || crate::os::host::boot_id().unwrap();

/// The first line of a journal.
fn fill(boot: fn() -> String) -> String {
    format!(
        "{{\"fill\":{{\"uid\":\"{UID}\",\"boot\":\"{}\"}}}}\n",
        boot()
    )
}

#[test]
fn nobody_on_another_host_is_followed() {
    let two = two();
    let key = Key::of(URL);
    std::fs::create_dir(two.dir.path().join(format!("{key}.{UID}.tmp"))).unwrap();
    let journal = two
        .dir
        .path()
        .join(format!(".tfhub-fs/v1/tmp/{key}.journal"));
    std::fs::write(&journal, fill(BOOT)).unwrap();
    assert!(two.second.follow(URL).is_some());
    std::fs::write(&journal, fill(|| "of another host".to_owned())).unwrap();
    assert!(two.second.follow(URL).is_none());
    std::fs::write(&journal, format!("{{\"fill\":{{\"uid\":\"{UID}\"}}}}\n")).unwrap();
    assert!(two.second.follow(URL).is_none());
}

#[test]
fn names_that_lead_out_of_the_model_are_refused() {
    let two = two();
    let _lead = begun(&two.leader);
    let journal = two
        .dir
        .path()
        .join(format!(".tfhub-fs/v1/tmp/{}.journal", Key::of(URL)));
    let mut told = std::fs::read_to_string(&journal).unwrap();
    told += "{\"file\":{\"path\":\"../../secret\",\"size\":1,\"mtime\":0}}\n";
    std::fs::write(&journal, told).unwrap();
    let mut followed = two.second.follow(URL).unwrap();
    assert!(matches!(followed.look(), Err(Error::BadName { .. })));
}

/// It says nothing, as tensorflow_hub, and is known by what it stages.
#[test]
fn whoever_stages_more_is_alive() {
    let two = two();
    let lead = begun(&two.leader);
    let mut followed = follow(&two.second);
    let filling = followed.filling();
    let mut holder = busy(&two.second);
    let moves = |followed: &mut Followed, holder: &Holder| {
        let before = filling.progress();
        followed.is_filled_by(holder);
        filling.progress() != before
    };
    assert_eq!(filling.filler(), None);
    assert!(!moves(&mut followed, &holder));
    assert_eq!(filling.filler(), Some(holder.who.clone()));
    holder.grown += 1;
    assert!(moves(&mut followed, &holder) && !moves(&mut followed, &holder));
    drop(lead);
    let mut mine = super::lead(&two.second);
    mine.take_over(followed, None).unwrap();
    assert_eq!(filling.filler(), None, "we do");
}
