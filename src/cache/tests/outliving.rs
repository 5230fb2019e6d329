//! Readers of one process, whose filler in another dies, fails, or gives way to a third.

use std::sync::Arc;

use super::following::{IDENTITY, Two, begun, follow, is_replaced, text, two};
use super::*;

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
