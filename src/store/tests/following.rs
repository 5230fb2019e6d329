//! Readers of one process, a filler in another.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::super::layout::Key;
use super::*;

const IDENTITY: Option<&str> = Some("9 bytes, CRC-32C 00000001");

/// Two processes on one directory; the first one leads.
struct Two {
    dir: tempfile::TempDir,
    leader: Cache,
    second: Cache,
}

fn two() -> Two {
    let (dir, leader) = cache();
    let second = Cache::open(dir.path()).unwrap();
    Two {
        dir,
        leader,
        second,
    }
}

fn begun(cache: &Cache) -> Lead {
    let mut lead = lead(cache);
    lead.comes_from("here", IDENTITY);
    lead
}

fn follow(cache: &Cache) -> Followed {
    busy(cache);
    let mut followed = cache.follow(URL).unwrap();
    followed.look().unwrap();
    followed
}

fn text(file: &FillFile) -> Option<Vec<u8>> {
    let mut buf = vec![0; 64];
    match file.read_at(0, &mut buf) {
        ReadAt::Ready(count) => Some(buf[..count].to_vec()),
        ReadAt::NotYet => None,
        other => panic!("{other:?}"),
    }
}

fn is_replaced(file: &FillFile) -> bool {
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

/// The filler gives up at "early", and the second process leads.
fn taken_over(two: &Two, lead: Lead, identity: Option<&str>) -> (Lead, Arc<FillFile>) {
    put(&lead.filling(), "early", b"early");
    lead.filling()
        .file("late", 4, long_ago())
        .unwrap()
        .write(b"l")
        .unwrap();
    let followed = follow(&two.second);
    let early = file(&followed.filling(), "early");
    assert_eq!(text(&early).unwrap(), b"early");
    drop(lead);
    let mut mine = super::lead(&two.second);
    mine.comes_from("here", identity);
    mine.take_over(followed, identity).unwrap();
    (mine, early)
}

#[test]
fn readers_outlive_the_filler_if_the_same_bytes_come_again() {
    let two = two();
    let (mine, early) = taken_over(&two, begun(&two.leader), IDENTITY);
    let filling = mine.filling();
    assert_eq!(text(&early), None, "they wait");
    let late = file(&filling, "late");
    put(&filling, "early", b"early");
    assert_eq!(text(&early).unwrap(), b"early");
    put(&filling, "late", b"late");
    assert_eq!(text(&late).unwrap(), b"late");
    filling.names_known();
    let sealed = mine.seal().unwrap();
    assert_eq!(sealed.bytes(), 9);
    assert_eq!(text(&early).unwrap(), b"early");
}

#[test]
fn what_the_same_bytes_do_not_bring_again_is_gone() {
    let two = two();
    let (mine, early) = taken_over(&two, begun(&two.leader), IDENTITY);
    let filling = mine.filling();
    let late = file(&filling, "late");
    put(&filling, "early", b"another size");
    assert!(is_replaced(&early));
    put(&filling, "saved_model.pb", b"x");
    filling.names_known();
    assert!(is_replaced(&late) && matches!(filling.find("late"), Found::Absent));
    assert_eq!(mine.seal().unwrap().bytes(), 13);
}

#[test]
fn nobody_reads_bytes_of_two_archives() {
    for identity in [Some("another"), None] {
        let two = two();
        let (mine, early) = taken_over(&two, begun(&two.leader), identity);
        assert!(is_replaced(&early), "{identity:?}");
        assert!(matches!(mine.filling().find("early"), Found::NotYet));
        put(&mine.filling(), "early", b"EARLY");
        assert_eq!(text(&file(&mine.filling(), "early")).unwrap(), b"EARLY");
        assert!(is_replaced(&early));
    }
}

#[test]
fn bytes_of_a_filling_that_failed_are_not_gone_on_with() {
    let two = two();
    let lead = begun(&two.leader);
    put(&lead.filling(), "early", b"wrong");
    let mut followed = follow(&two.second);
    let other = follow(&two.second);
    fail(&lead);
    assert!(two.second.follow(URL).is_none(), "nobody begins with it");
    assert!(is_theirs(followed.look()));
    drop(lead);
    let mut mine = super::lead(&two.second);
    assert!(is_theirs(mine.take_over(other, IDENTITY)), "heard late");
}

#[test]
fn bytes_of_a_filling_that_failed_are_not_gone_on_with_by_a_third_either() {
    let two = two();
    let lead = begun(&two.leader);
    put(&lead.filling(), "early", b"wrong");
    let mut followed = follow(&two.second);
    fail(&lead);
    drop(lead);
    let mut third = super::lead(&Cache::open(two.dir.path()).unwrap());
    third.comes_from("here", IDENTITY);
    assert!(is_theirs(followed.look()));
}

fn fail(lead: &Lead) {
    let why = Error::Mismatch {
        name: "early".to_owned(),
        what: "CRC-32C",
        announced: "1".to_owned(),
        found: "2".to_owned(),
    };
    lead.filling().fail(Arc::new(why));
}

fn is_theirs<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::Theirs { why }) if why.contains("its CRC-32C is 2"))
}

/// A full disk is the filler's own matter: others may have room, or learn for themselves that they have none.
#[test]
fn what_is_wrong_with_the_filler_is_not_wrong_with_the_bytes() {
    let two = two();
    let lead = begun(&two.leader);
    put(&lead.filling(), "early", b"early");
    let mut followed = follow(&two.second);
    let early = file(&followed.filling(), "early");
    lead.filling().give_up(Arc::new(Error::Abandoned));
    drop(lead);
    followed.look().unwrap();
    let mut mine = super::lead(&two.second);
    mine.take_over(followed, IDENTITY).unwrap();
    put(&mine.filling(), "early", b"early");
    assert_eq!(text(&early).unwrap(), b"early");
}

#[test]
fn a_name_that_came_twice_is_not_gone_on_with() {
    let two = two();
    let lead = begun(&two.leader);
    put(&lead.filling(), "twice", b"first");
    let mut followed = follow(&two.second);
    let first = file(&followed.filling(), "twice");
    put(&lead.filling(), "twice", b"later");
    followed.look().unwrap();
    assert!(is_replaced(&first));
    let later = file(&followed.filling(), "twice");
    assert_eq!(text(&later).unwrap(), b"later");
    drop(lead);
    let mut mine = super::lead(&two.second);
    mine.take_over(followed, IDENTITY).unwrap();
    assert!(is_replaced(&later));
}

#[test]
fn a_third_process_is_followed_when_the_first_has_gone() {
    let two = two();
    let lead = begun(&two.leader);
    put(&lead.filling(), "early", b"early");
    let mut followed = follow(&two.second);
    let early = file(&followed.filling(), "early");
    drop(lead);
    assert_eq!(text(&early), None, "cleared away: they wait");
    let mut third = super::lead(&Cache::open(two.dir.path()).unwrap());
    busy(&two.second);
    followed.look().unwrap();
    third.comes_from("here", IDENTITY);
    put(&third.filling(), "early", b"early");
    followed.look().unwrap();
    assert_eq!(text(&early).unwrap(), b"early");
    seal(third);
    let Begin::Sealed(sealed) = two.second.begin(URL).unwrap() else {
        panic!("it is sealed");
    };
    followed.sealed(&sealed).unwrap();
    assert_eq!(text(&early).unwrap(), b"early");
}

/// An origin without validators, and `cache import`, which does not say where the bytes come from.
#[test]
fn a_filler_that_cannot_say_what_it_brings_is_followed_too() {
    for told in [true, false] {
        let two = two();
        let lead = begun(&two.leader);
        put(&lead.filling(), "early", b"early");
        let mut followed = follow(&two.second);
        let (filling, early) = (followed.filling(), file(&followed.filling(), "early"));
        drop(lead);
        let mut third = super::lead(&Cache::open(two.dir.path()).unwrap());
        followed.look().unwrap();
        assert!(!is_replaced(&early), "nothing is known of it");
        if told {
            third.comes_from("here", None);
        }
        put(&third.filling(), "early", b"EARLY");
        followed.look().unwrap();
        assert!(is_replaced(&early), "{told}");
        assert_eq!(text(&file(&filling, "early")).unwrap(), b"EARLY");
        third.filling().names_known();
        followed.look().unwrap();
        assert_eq!(filling.children("").unwrap().len(), 1);
    }
}

#[test]
fn what_somebody_else_completed_is_gone_on_with_by_who_has_read_nothing() {
    let two = two();
    let lead = begun(&two.leader);
    put(&lead.filling(), "saved_model.pb", b"ours!");
    let followed = follow(&two.second);
    let (filling, ours) = (
        followed.filling(),
        file(&followed.filling(), "saved_model.pb"),
    );
    drop(lead);
    let theirs = seal(super::lead(&Cache::open(two.dir.path()).unwrap()));
    followed.sealed(&theirs).unwrap();
    assert!(is_replaced(&ours));
    assert_eq!(text(&file(&filling, "saved_model.pb")).unwrap(), b"graph");
    assert!(matches!(filling.find("other"), Found::Absent));
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
